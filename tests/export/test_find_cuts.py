"""Tests that an export finds the output of each layer in its files, and that the files are verified layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx
from onnx import helper, numpy_helper

from rnnx.errors import ModelError
from rnnx.export.find_cuts import with_cuts
from rnnx.export.golden import GoldenVectors, finish
from rnnx.export.probes import GoldenInputs, make_array_traps
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof import compare_file as compared
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.evidence import CUTS_VERSION, MADE_VERSION, Evidence
from rnnx.proof.evidence_metadata import read_evidence, with_evidence
from rnnx.proof.report import ParityReport, RuntimeReport
from rnnx.proof.verify import verify_file
from rnnx.reference import GlobalMaxPooling1D, Input, NamedArrays, Network, Node
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.decisions import decide
from rnnx.runtime.session import Device
from tests.deep import DENSE_WEIGHTS, INPUTS, MIDDLE, dense, make_form, make_network
from tests.rewrites.graphs import parse

pytestmark = pytest.mark.train

NETWORK = make_network()
FORM = with_cuts(make_form(), NETWORK)
X = np.random.default_rng(0).normal(size=(4, 5, INPUTS)).astype(np.float32)
BATCH = ProbeBatch(X, tuple("abcd"))
LAYERS = ["lstm", *DENSE_WEIGHTS, "probs", "end to end"]


def compare(form: Rewritten, network: Network = NETWORK, batch: ProbeBatch = BATCH) -> RuntimeReport:
    candidate = Candidate("model.onnx", form.model.SerializeToString(), form.recipe(), carried=form.carried)
    return compare_file(candidate, "cpu", network, [batch], [decide(network, batch.given)]).report


def with_wrong_bias(model: Any, name: str) -> None:
    """Lets a Dense read a bias that is off by 1e-4; the right one stays in use, so that no hash finds it."""
    off = np.zeros_like(DENSE_WEIGHTS[name][1])
    off[2] = 1e-4
    model.graph.initializer.append(type(model.graph.initializer[0])())
    model.graph.initializer[-1].ParseFromString(numpy_helper.from_array(off, "off").SerializeToString())
    node = next(node for node in model.graph.node if node.output[0] == f"{name}_sum")
    node.input[:] = [read if read != f"{name}_bias" else "wrong" for read in node.input]
    nodes = [type(node)(), *model.graph.node]
    nodes[0].ParseFromString(helper.make_node("Add", [f"{name}_bias", "off"], ["wrong"]).SerializeToString())
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def finished(form: Rewritten = FORM) -> bytes:
    """Writes the evidence of a form into it, as an export does."""
    golden: GoldenInputs = {name: (None, given) for name, given in make_array_traps(NETWORK).items()}
    report = ParityReport(0, len(golden), 5, (compare(form),), unit="sequences")
    return finish(form, NETWORK, GoldenVectors.of(NETWORK, golden), report, {})


def rewritten(data: bytes, change: Callable[[Any, Evidence], Evidence]) -> bytes:
    """Returns a file after a consistent change of its graph and its evidence."""
    model = parse_model(data)
    properties = read_properties(model)
    evidence = change(model, read_evidence(properties, model))
    properties = with_evidence(properties, evidence, model)
    for entry in model.metadata_props:
        entry.value = properties[entry.key]
    altered: bytes = model.SerializeToString()
    return altered


def test_the_cuts_are_the_outputs_of_the_layers() -> None:
    assert FORM.cuts == {name: f"{name}_output" for name in DENSE_WEIGHTS}
    report = compare(FORM)
    assert report.passed
    assert [layer.layer for layer in report.layers] == LAYERS
    assert all((layer.ratio or 0) < 0.5 for layer in report.layers)


def test_a_wrong_bias_in_the_middle_is_found_in_its_layer_only_with_cuts() -> None:
    model = onnx.ModelProto.FromString(FORM.model.SerializeToString())
    with_wrong_bias(model, MIDDLE)
    wrong = dataclasses.replace(FORM, model=model)
    report = compare(wrong)
    assert not report.passed
    assert (report.worst.layer, report.worst.unit) == (MIDDLE, 2)
    assert (report.worst.ratio or 0) > 50
    assert compare(dataclasses.replace(wrong, cuts=None)).passed
    # The export looks for the outputs in the wrong file itself.
    again = compare(with_cuts(dataclasses.replace(wrong, cuts=None), NETWORK))
    assert (again.passed, again.worst.layer) == (False, MIDDLE)


def test_a_file_is_verified_layer_by_layer() -> None:
    data = finished()
    found = verify_file("model.onnx", data, ["cpu"])
    assert found.report.passed
    assert [layer.layer for layer in found.report.runtimes[0].layers] == LAYERS
    model = parse_model(data)
    evidence = read_evidence(read_properties(model), model)
    assert evidence.version == CUTS_VERSION
    assert evidence.states.cuts == FORM.cuts


def test_a_file_whose_hashes_were_made_to_fit_fails_in_the_wrong_layer() -> None:
    def change(model: Any, evidence: Evidence) -> Evidence:
        with_wrong_bias(model, MIDDLE)
        return evidence

    found = verify_file("model.onnx", rewritten(finished(), change), ["cpu"])
    assert not found.report.passed
    assert f"layer {MIDDLE}, unit 2" in found.report.first_problem


def test_a_file_that_leaves_out_a_cut_fails() -> None:
    def change(model: Any, evidence: Evidence) -> Evidence:
        cuts = {name: value for name, value in (evidence.states.cuts or {}).items() if name != MIDDLE}
        return dataclasses.replace(evidence, states=dataclasses.replace(evidence.states, cuts=cuts))

    found = verify_file("model.onnx", rewritten(finished(), change), ["cpu"])
    assert not found.report.passed
    assert f"layer {MIDDLE} does not show its output" in found.report.first_problem


def test_a_cut_that_is_no_value_or_has_another_shape_is_refused() -> None:
    def change_to(value: str) -> Callable[[Any, Evidence], Evidence]:
        def change(model: Any, evidence: Evidence) -> Evidence:
            cuts = {**(evidence.states.cuts or {}), MIDDLE: value}
            return dataclasses.replace(evidence, states=dataclasses.replace(evidence.states, cuts=cuts))

        return change

    with pytest.raises(ModelError, match="'nowhere', which no node computes"):
        verify_file("model.onnx", rewritten(finished(), change_to("nowhere")), ["cpu"])
    with pytest.raises(ModelError, match="its evidence does not fit it"):
        verify_file("model.onnx", rewritten(finished(), change_to("logits")), ["cpu"])


def test_the_version_of_the_evidence_says_whether_there_are_cuts() -> None:
    def change_to(version: int, cuts: dict[str, str] | None) -> Callable[[Any, Evidence], Evidence]:
        return lambda model, evidence: dataclasses.replace(
            evidence, version=version, states=dataclasses.replace(evidence.states, cuts=cuts)
        )

    data = finished()
    before = verify_file("model.onnx", rewritten(data, change_to(1, None)), ["cpu"]).report
    assert before.passed
    assert [layer.layer for layer in before.runtimes[0].layers] == ["lstm", "probs", "end to end"]
    for version, cuts in ((CUTS_VERSION, None), (1, {})):
        with pytest.raises(ModelError, match="does not fit its cuts"):
            verify_file("model.onnx", rewritten(data, change_to(version, cuts)), ["cpu"])
    with pytest.raises(ModelError, match="upgrade rnnx"):
        verify_file("model.onnx", rewritten(data, change_to(MADE_VERSION + 1, {})), ["cpu"])


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def positions(text: str, nodes: list[Node], **constants: np.ndarray) -> tuple[Rewritten, Network]:
    """Returns a form and a network from `x`, (batch, time, 3), to `values`; without a recurrence."""
    network = Network(nodes, (Input("x", "numbers", (5, 3)),), {"values": nodes[-1].name})
    model = parse(f"rnnx (float[batch, time, 3] x) => (float[b, t, c] values) {{ {text} }}", **constants)
    return Rewritten(model, onnx.GraphProto(), {}), network


def test_a_value_with_the_time_first_is_transposed_by_the_recipe() -> None:
    first, second = (draw(3, 4), draw(4)), (draw(4, 2), draw(2))
    form, network = positions(
        """turned = Transpose<perm = [1, 0, 2]>(x)
        product = MatMul(turned, v)
        sum = Add(product, c)
        late = MatMul(sum, w)
        moved = Add(late, d)
        values = Transpose<perm = [1, 0, 2]>(moved)""",
        [
            Node("first", dense(first, "linear"), ("x",)),
            Node("last", dense(second, "linear"), ("first",)),
        ],
        **dict(zip("vcwd", (*first, *second), strict=True)),
    )
    found = with_cuts(form, network)
    assert found.cuts == {"first": "sum.in_order"}
    assert [node.op_type for node in found.extra.node] == ["Transpose"]
    assert compare(found, network).passed


def test_a_value_whose_positions_are_joined_is_read_as_it_is() -> None:
    first, second = (draw(3, 4), draw(4)), (draw(4, 2), draw(2))
    form, network = positions(
        """rows = Reshape(x, to_rows)
        product = MatMul(rows, v)
        sum = Add(product, c)
        late = MatMul(sum, w)
        moved = Add(late, d)
        shape = Shape(x)
        sizes = Slice(shape, zero, two)
        whole = Concat<axis = 0>(sizes, two)
        values = Reshape(moved, whole)""",
        [
            Node("first", dense(first, "linear"), ("x",)),
            Node("last", dense(second, "linear"), ("first",)),
        ],
        **dict(zip("vcwd", (*first, *second), strict=True)),
        to_rows=np.array([-1, 3]),
        zero=np.array([0]),
        two=np.array([2]),
    )
    found = with_cuts(form, network)
    assert found.cuts == {"first": "sum"}
    assert compare(found, network).passed


def test_the_maximum_that_is_taken_before_the_bias_is_compared_as_the_layer() -> None:
    first, second = (draw(3, 4), draw(4)), (draw(4, 2), draw(2))
    nodes = [
        Node("detectors", dense(first, "relu"), ("x",)),
        Node("maximum", GlobalMaxPooling1D(keepdims=False), ("detectors",)),
        Node("last", dense(second, "linear"), ("maximum",)),
    ]
    text = """product = MatMul(x, v)
        largest = ReduceMax<axes = [1], keepdims = 0>(product)
        shifted = Add(largest, c)
        pooled = Relu(shifted)
        late = MatMul(pooled, w)
        values = Add(late, d)"""
    form, network = positions(text, nodes, **dict(zip("vcwd", (*first, *second), strict=True)))
    found = with_cuts(form, network)
    assert found.cuts == {"maximum": "pooled"}
    report = compare(found, network)
    assert report.passed
    assert [layer.layer for layer in report.layers] == ["detectors", "values", "end to end"]


def test_a_copy_that_rounds_otherwise_is_compared_next_to_one_that_does_not() -> None:
    """A runtime fuses a sum with the normalization that reads it, unless the sum is an output."""
    opened: list[bool] = []
    open_copy = compared._open_copy

    def open_otherwise(candidate: Candidate, device: Device) -> Any:
        session: Any = open_copy(candidate, device)
        opened.append(bool(candidate.recipe.cuts))
        if opened[-1]:
            run = session.run_by_name

            def run_otherwise(given: NamedArrays) -> NamedArrays:
                result = run(given)
                return {**result, "probs": np.nextafter(result["probs"], np.float32(1))}

            session.run_by_name = run_otherwise
        return session

    with patch.object(compared, "_open_copy", open_otherwise):
        report = compare(FORM)
        model = onnx.ModelProto.FromString(FORM.model.SerializeToString())
        with_wrong_bias(model, MIDDLE)
        wrong = compare(dataclasses.replace(FORM, model=model))
    assert opened == [True, False, True, False]
    assert report.passed
    assert [layer.layer for layer in report.layers] == LAYERS
    assert (wrong.passed, wrong.worst.layer) == (False, MIDDLE)
