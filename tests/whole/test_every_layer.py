"""Tests that every layer of the reference has what it needs in the other rooms, so that none is forgotten."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.onnx_file.messages import parse_model
from rnnx.proof.evidence import LayerRecord
from rnnx.proof.recorded_reference import read_reference, record_network
from rnnx.reference import (
    LSTM,
    Array,
    Embedding,
    FoldTime,
    GlobalAveragePooling1D,
    Input,
    Layer,
    Network,
    Node,
    Recurrent,
    Reshape,
    SimpleRNN,
    Tensor,
    UnfoldTime,
    activate,
)
from rnnx.reference.head import order_after
from rnnx.reference.padding import reads_padding
from rnnx.reference.streaming import streaming_problem
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.layer_gradients import pass_back
from rnnx.rounding.recurrent_bounds import expect_steps
from rnnx.rounding.through_time import through_time
from rnnx.strict_json import from_json, to_json
from tests import documents
from tests.layers import FEATURES, LAYERS, RECURRENT_LAYERS, VOCABULARY, Case
from tests.onnx_bytes import graph, model, tensor

ALL_CASES = {**LAYERS, **{name: Case(layer) for name, layer in RECURRENT_LAYERS.items()}}
IDS = np.array([[3, 1, 4, 1, 5, 2]])
every_layer = pytest.mark.parametrize("kind", get_args(Layer), ids=lambda kind: kind.__name__)


def cases_of(kind: type[Layer]) -> list[Case]:
    """Returns the cases of one kind of layer; there must be one."""
    cases = [case for case in ALL_CASES.values() if type(case.layer) is kind]
    assert cases, f"tests/layers.py has no {kind.__name__}"
    return cases


def run(case: Case) -> tuple[list[Tensor], Tensor]:
    """Draws the inputs of a layer and runs it."""
    rng = np.random.default_rng(5)
    inputs = [Tensor(case.draw(rng)) for _ in range(case.count)]
    return inputs, case.layer(*inputs)


def test_every_layer_of_the_reference_is_in_the_union() -> None:
    named = {value for value in vars(reference).values() if isinstance(value, type)}
    callable_ones = {kind for kind in named if any("__call__" in vars(base) for base in kind.__mro__)}
    assert {kind for kind in callable_ones if not inspect.isabstract(kind)} == set(get_args(Layer))


@every_layer
def test_a_layer_has_a_bound(kind: type[Layer]) -> None:
    for case in cases_of(kind):
        inputs, output = run(case)
        errors = [np.full(x.values.shape, 0.0 if case.reads_ids else 1e-6) for x in inputs]
        if isinstance(case.layer, Recurrent):
            states = case.layer.states(case.layer.in_order(inputs[0]))
            _, bound = expect_steps(case.layer, inputs[0], errors[0], states)
            assert bound.shape == states.shape
        else:
            bound = output_error(case.layer, inputs, errors, output)
            assert bound.shape == output.values.shape
        assert np.isfinite(bound).all()
        assert (bound >= 0).all()


@every_layer
def test_a_layer_has_a_gradient(kind: type[Layer]) -> None:
    for case in cases_of(kind):
        inputs, output = run(case)
        gradient = np.ones_like(output.values)
        if isinstance(case.layer, Recurrent):
            passed = [through_time(case.layer, inputs[0], gradient)[1]]
        else:
            passed = pass_back(case.layer, inputs, gradient)
        assert [array.shape for array in passed] == [x.values.shape for x in inputs]
        assert all(np.isfinite(array).all() for array in passed)


@every_layer
def test_a_layer_has_a_rule_for_padding(kind: type[Layer]) -> None:
    for case in cases_of(kind):
        assert reads_padding(over_an_embedding(case)) in (False, True)


@every_layer
def test_a_layer_has_a_rule_for_order(kind: type[Layer]) -> None:
    for case in cases_of(kind):
        for before in itertools.product((False, True, None), repeat=case.count):
            try:
                orders = order_after(Node("name", case.layer, ("x",) * case.count), before)
            except ModelError as error:
                assert str(error).startswith("layer name: ")  # noqa: PT017  # refused is a rule too
            else:
                assert set(orders) <= {False, True, None}


@every_layer
def test_a_layer_has_a_decision_for_streaming(kind: type[Layer]) -> None:
    for case in cases_of(kind):
        for is_timed in (False, True):
            problem = streaming_problem(case.layer, is_timed=is_timed)
            assert problem is None or len(problem) > 20


def in_blocks(values: Array, order: tuple[int, ...]) -> Array:
    parts = np.split(values, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


@every_layer
def test_a_layer_has_a_record_in_the_evidence(kind: type[Layer]) -> None:
    """It is recorded for a file that holds the weights in the layout of ONNX, and read again."""
    for case in cases_of(kind):
        weights = {name: value for name, value in vars(case.layer).items() if isinstance(value, np.ndarray)}
        if kind is LSTM:  # the gates i, f, c, o of Keras are i, o, f, c in ONNX
            weights = {name: in_blocks(value, (0, 3, 1, 2)) for name, value in weights.items()}
        tensors = [tensor(name, value.shape, value.astype("<f4").tobytes()) for name, value in weights.items()]
        parsed = parse_model(model(graph([], tensors)))
        names = tuple(f"x{i}" for i in range(case.count))
        network = Network([Node("name", case.layer, names)], tuple(Input(name) for name in names))
        (record,) = record_network(network, parsed)
        record = from_json(LayerRecord, to_json(record, indent=None))
        evidence: Any = SimpleNamespace(
            layers=(record,), inputs=network.inputs, outputs={}
        )  # it reads no more than this
        (node,) = read_reference(evidence, parsed).nodes
        assert (node.name, type(node.layer), node.inputs) == ("name", kind, names)
        inputs, output = run(case)
        np.testing.assert_array_equal(output.values, node.layer(*inputs).values)


def over_an_embedding(case: Case) -> Network:
    """Puts a layer on the states of a masked embedding, or on ids, and a mean over time after it if needed."""
    rng = np.random.default_rng(4)
    table = Embedding(rng.normal(size=(VOCABULARY, FEATURES)), mask_zero=True)
    weights = rng.normal(size=(FEATURES, FEATURES)), rng.normal(size=(FEATURES, FEATURES)), rng.normal(size=FEATURES)
    states = SimpleRNN(*weights, "tanh", return_sequences=len(case.shape) >= 3)
    before = [] if case.reads_ids else [Node("table", table, ("ids",)), Node("rnn", states, ("table",))]
    names = ("ids",) * case.count if case.reads_ids else ("rnn", "table", "table")[: case.count]
    if len(case.shape) == 4:  # images
        before.append(Node("images", Reshape((-1, *case.shape[2:])), ("rnn",)))
        names = ("images",)
    if isinstance(case.layer, UnfoldTime):
        before.append(Node("rows", FoldTime(), ("rnn",)))
        names = ("rows", "table")
    nodes = [*before, Node("layer", case.layer, names)]
    if Network(nodes).predict(IDS).ndim > 2:
        nodes.append(Node("mean", GlobalAveragePooling1D(), ("layer",)))
    return Network(nodes)


def sees_padding(network: Network) -> bool:
    """Tells whether two zeros in front of the ids change the answer of a network."""
    try:
        plain, padded = network.predict(IDS), network.predict(np.pad(IDS, [(0, 0), (2, 0)]))
    except ValueError:  # a layer needs a fixed time
        return True
    # After a transpose or an attention, other axes have the positions too.
    return not np.allclose(plain, padded[tuple(slice(-size, None) for size in plain.shape)], rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ALL_CASES)
def test_the_rule_for_padding_is_right(name: str) -> None:
    network = over_an_embedding(ALL_CASES[name])
    assert not (network.masks_zero and sees_padding(network))


def test_a_wrong_rule_for_padding_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no layer were found to read padding, the test above would fail for those that do."""
    monkeypatch.setattr("rnnx.reference.network.reads_padding", lambda _: False)
    networks = {name: over_an_embedding(case) for name, case in ALL_CASES.items()}
    found = {name for name, network in networks.items() if network.masks_zero and sees_padding(network)}
    assert found == {
        "absolute", "adaptive average pooling", "adaptive image max pooling", "adaptive image pooling",
        "adaptive max pooling", "additive weights", "argmin over the time", "attention of pairs",
        "attention weights", "attention weights of pairs", "average pooling", "average pooling, valid",
        "batch normalization of positions", "celu", "choose by constants", "choose features", "clip",
        "compare computed numbers", "compare two computed numbers", "compare with constants",
        "constants of positions", "convolution",
        "convolution, dilated", "convolution, grouped", "cosine", "cosines", "counts of ids", "cube",
        "deviation over the time", "difference of two", "differences over the time",
        "division by the deviation of all", "dot", "einsum", "einsum dense", "einsum dense over the time",
        "einsum dense, a matrix each", "einsum, outer", "elu without a mask", "embedding", "erf", "erfc",
        "exponential minus 1", "gated halves", "gated halves of features", "gelu by tanh",
        "group normalization", "group normalization of positions", "group normalization, plain", "hard shrink",
        "hyperbolic cosine", "hyperbolic sine", "ids that are there", "image average pooling",
        "image convolution", "image convolution, dilated", "image convolution, grouped", "image max pooling",
        "image padding", "image up sampling", "image, transposed convolution",
        "image, transposed convolution, longer", "inverse hyperbolic sine", "inverse power", "inverse root",
        "inverse tangent", "join", "larger of two", "layer normalization of all",
        "layer normalization of the time", "leaky relu without a mask", "log", "log of 1 + x", "log of a sum",
        "log of two exponentials", "log sigmoid", "log softmax", "log to the base 10", "log to the base 2",
        "max pooling", "mean over the time", "negative", "norm", "number minus x", "padded", "places", "power",
        "prelu of each position", "product of a matrix", "product of features", "product of tensors",
        "product of two", "product with a matrix", "reciprocal", "relu with a threshold",
        "relu with a threshold and a slope", "relu6", "repeated", "reshape", "reverse", "rms normalization",
        "rms normalization of all", "rms normalization over the time", "rolled", "round", "running sum",
        "running sum of features", "sign", "simple, backwards", "sine", "soft shrink", "softmax of all",
        "softmax of all, masked", "softmax over the time", "softmax over the time, masked",
        "softmax without a mask", "sorted", "sorted features", "square", "square plus", "stack",
        "sum of features", "sum of two", "tanh without a mask", "threshold", "tiled", "transposed convolution",
        "transposed convolution, cut", "transposed convolution, longer", "unit vectors", "up sampling",
        "variance", "vectors of computed ids", "vectors of ids", "vectors of ids, squeezed", "x over a number",
        "x times constants", "zero padding",
    }  # fmt: skip


def example_of_the_recipe() -> Any:
    """Returns the layer that the README of the reference defines."""
    page = (Path(reference.__file__).parent / "README.md").read_text(encoding="utf-8")
    (code,) = documents.blocks(page, "py")
    names = {"dataclass": dataclass, "Array": Array, "Tensor": Tensor, "activate": activate}
    exec(code, names)  # noqa: S102  # our own page
    return names["PReLU"]


def test_the_example_of_the_recipe_needs_only_its_definition() -> None:
    slopes = np.array([0.3, -0.2, 1.7, 0.0, 0.1, -3.0])
    layer = example_of_the_recipe()(slopes)
    x = Tensor(np.random.default_rng(6).normal(size=(2, 5, FEATURES)))
    output = layer(x)
    np.testing.assert_allclose(np.where(x.values > 0, x.values, slopes * x.values), output.values, rtol=1e-15)
    moved = layer(Tensor(x.values.astype(np.float32).astype(np.float64))).values
    bound = output_error(layer, [x], [np.abs(x.values) * 2.0**-24], output)
    assert (np.abs(moved - output.values) <= bound).all()
    assert (bound < 1e-6).all()
    (slope,) = pass_back(layer, [x], np.ones_like(x.values))
    np.testing.assert_allclose(np.where(x.values > 0, 1.0, slopes), slope)
    assert order_after(Node("name", layer, ("x",)), [True]) == (True, True)
    assert streaming_problem(layer, is_timed=True) is None
    assert over_an_embedding(Case(layer)).masks_zero
