"""Tests recurrences with activations that ONNX's operators lack: numbers, masks, first states, and a whole body."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx
from onnx import compose

from rnnx.primitives.activations import ActivationName
from rnnx.reference import GRU, LSTM, RecurrentLayer, SimpleRNN, Tensor
from rnnx.rewrites.recurrence import NOT_NATIVE, ONNX_ACTIVATIONS
from rnnx.rewrites.replace import Rewritten, Write, replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from rnnx.rewrites.stream_form import replace_for_stream
from tests.rewrites.graphs import add_marker, draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

MODEL = "g (float[time, batch, 3] x, bool[time, batch, 1] mask) => (float[time, batch, 4] rnn_y) { }"
X = np.random.default_rng(3).normal(size=(6, 4, 3)).astype(np.float32)
MASK = np.array([[0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0] * 6, [1] * 6], np.bool_).T[..., None]
FORMS: dict[str, Write] = {"native": write_rnn, "scan": write_scan}
LACKING = [name for name, operator in ONNX_ACTIVATIONS.items() if operator in NOT_NATIVE]

KINDS = ("SimpleRNN", "LSTM", "GRU", "GRU, reset after")


def marked(
    kind: str, activation: str, of_gates: str = "sigmoid", **settings: Any
) -> tuple[onnx.ModelProto, RecurrentLayer]:
    """Returns a model with one marker, and the layer of the reference that the marker means."""
    reset_after = kind == "GRU, reset after"
    weights = draw_weights(3, 4, {"LSTM": 4, "GRU": 3, "GRU, reset after": 3}.get(kind, 1), 2 if reset_after else 0)
    if {"exponential", "log_softmax"} & {activation, of_gates}:  # else the states grow beyond float32
        weights = tuple((array * 0.1).astype(np.float32) for array in weights)  # type: ignore[assignment]
    w, u, b = (array.astype(np.float64) for array in weights)
    name, gates = cast("ActivationName", activation), cast("ActivationName", of_gates)
    layer: RecurrentLayer
    attributes: dict[str, Any] = {"recurrent_activation": ONNX_ACTIVATIONS[of_gates]}
    if kind == "LSTM":
        layer = LSTM(w, u, b, name, True, recurrent_activation=gates)
    elif kind.startswith("GRU"):
        layer = GRU(w, u, b, name, True, recurrent_activation=gates, reset_after=reset_after)
        attributes["reset_after"] = int(reset_after)
    else:
        layer, attributes = SimpleRNN(w, u, b, name, True), {}
    attributes["operator"] = "RNN" if kind == "SimpleRNN" else type(layer).__name__
    model = parse(MODEL)
    add_marker(model, "rnn", weights, activation=ONNX_ACTIVATIONS[activation], **attributes, **settings)
    return model, layer


def expected(layer: RecurrentLayer, mask: np.ndarray | None = None, *first: np.ndarray) -> np.ndarray:
    x = Tensor(X.swapaxes(0, 1).astype(np.float64), None if mask is None else mask[..., 0].T)
    states: np.ndarray = layer.states(x, first).swapaxes(0, 1)
    return states


def scan_of(form: Rewritten) -> onnx.NodeProto:
    found: onnx.NodeProto = next(node for node in form.model.graph.node if node.op_type == "Scan")
    return found


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("activation", LACKING)
def test_each_activation_gives_what_the_reference_computes(activation: str, kind: str, is_masked: bool) -> None:
    model, layer = marked(kind, activation, mask="mask" if is_masked else "")
    for write in FORMS.values():
        rewritten = replace_recurrences(model, write).model
        assert op_types(rewritten).count("Scan") == 1
        assert not {"RNN", "LSTM", "GRU"} & set(op_types(rewritten))
        (actual,) = run(rewritten, x=X, mask=MASK)
        np.testing.assert_allclose(expected(layer, MASK if is_masked else None), actual, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("activation", [*LACKING, "tanh", "hard_sigmoid", "hard_sigmoid_keras_2", "softsign"])
@pytest.mark.parametrize("kind", KINDS[1:])
def test_each_activation_of_the_gates_gives_what_the_reference_computes(kind: str, activation: str) -> None:
    model, layer = marked(kind, "silu", activation, mask="mask")
    (actual,) = run(replace_recurrences(model, write_rnn).model, x=X, mask=MASK)
    states = expected(layer, MASK)
    np.testing.assert_allclose(
        states / np.maximum(1, np.abs(states)), actual / np.maximum(1, np.abs(states)), atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_masked_positions_are_zeros_if_the_marker_says_so(kind: str) -> None:
    model, layer = marked(kind, "gelu", mask="mask", is_carried=0)
    (actual,) = run(replace_recurrences(model, write_rnn).model, x=X, mask=MASK)
    np.testing.assert_allclose(np.where(MASK, expected(layer, MASK), 0), actual, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_starts_from_the_states_that_it_gave(kind: str, is_masked: bool) -> None:
    model, layer = marked(kind, "silu", mask="mask" if is_masked else "")
    form = replace_for_stream(model)
    states = {state.input: np.zeros((4, 4), np.float32) for state in form.carried}
    parts = []
    for chunk in (slice(0, 2), slice(2, 6)):
        y, *ends = run(form.model, x=X[chunk], mask=MASK[chunk], **states)
        parts.append(y)
        states = dict(zip(states, ends, strict=True))
    np.testing.assert_allclose(expected(layer, MASK if is_masked else None), np.concatenate(parts), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_body_stays_whole_in_tools_that_rename_and_cut(kind: str) -> None:
    model, layer = marked(kind, "gelu", mask="mask")
    form = replace_recurrences(model, write_rnn)
    scan = scan_of(form)
    body = scan.attribute[0].g
    given = {value.name for value in body.input} | {tensor.name for tensor in body.initializer}
    made = {name for node in body.node for name in node.output}
    assert {name for node in body.node for name in node.input} <= given | made
    assert not any(size.dim_param for value in (*body.input, *body.output) for size in value.type.tensor_type.shape.dim)
    renamed = compose.add_prefix(form.model, "mine/")
    (actual,) = run(renamed, **{"mine/x": X, "mine/mask": MASK})
    np.testing.assert_allclose(expected(layer, MASK), actual, rtol=1e-5, atol=1e-5)
    cut = onnx.utils.Extractor(onnx.shape_inference.infer_shapes(form.model)).extract_model(
        ["x", "mask"], [scan.output[-1]]
    )
    (actual,) = run(cut, x=X, mask=MASK)
    np.testing.assert_allclose(expected(layer, MASK), actual, rtol=1e-5, atol=1e-5)
