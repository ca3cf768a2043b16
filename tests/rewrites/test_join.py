"""Tests which recurrences run as one: stacks, pairs, and each reason to stay alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.join import MAX_WIDTH, find_joints
from rnnx.rewrites.recurrence import read_recurrences
from rnnx.rewrites.replace import replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from tests.rewrites.graphs import add_marker, draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

LSTM: dict[str, Any] = {"operator": "LSTM", "recurrent_activation": "Sigmoid"}


def stack(between: str = "b_x = Identity (a_y)", outputs: str = "b_y", units: int = 4, **upper: Any) -> onnx.ModelProto:
    """Returns two layers, the second of which reads `b_x`."""
    ends = ", ".join(f"float[time, batch, {units}] {name}" for name in outputs.split())
    masks = "bool[time, batch, 1] mask, bool[time, batch, 1] other"
    model = parse(f"g (float[time, batch, 3] x, {masks}) => ({ends}) {{ {between} }}")
    add_marker(model, "a", draw_weights(3, units), mask="mask" if "mask" in upper else "")
    gates = 4 if upper.get("operator") == "LSTM" else 1
    add_marker(model, "b", draw_weights(units, units, gates), **{"x": "b_x"} | upper)
    return model


def pair(units: int = 4, reverse: str = "", activation: str = "Tanh", **backward: Any) -> onnx.ModelProto:
    """Returns two directions of one masked sequence, as tf2onnx reverses it."""
    model = parse(
        f"""g (float[time, batch, 3] x, bool[time, batch, 1] mask, int64[batch] lengths)
            => (float[time, batch, {units}] a_y, float[time, batch, {units}] b_y) {{
            x_reversed = ReverseSequence <batch_axis = 1, time_axis = 0> (x, lengths)
            mask_reversed = ReverseSequence <batch_axis = 1, time_axis = 0> (mask, lengths)
        }}"""
    )
    add_marker(model, "a", draw_weights(3, units), mask="mask", activation=activation)
    given = {"x": "x_reversed", "mask": "mask_reversed", "activation": activation} | backward
    add_marker(model, "b", draw_weights(3, units), **given)
    return model


def joints(model: onnx.ModelProto) -> list[tuple[str, bool]]:
    """Returns the names of the recurrences that run as one, and whether they are a stack."""
    graph = Graph(model.graph)
    found = find_joints(graph, read_recurrences(graph))
    return [("+".join(r.name for r in joint.members), joint.is_stack) for joint in found if len(joint.members) > 1]


TWICE = "t = Transpose <perm = [1, 0, 2]> (a_y) b_x = Transpose <perm = [1, 0, 2]> (t)"
X = np.random.default_rng(6).normal(size=(5, 2, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "model",
    [stack(), stack(TWICE), stack(units=MAX_WIDTH // 2), stack(activation="Tanh", mask="mask")],
    ids=["as they are", "transposed and back", "as wide as pays", "of one mask"],
)
def test_layers_on_top_of_each_other_run_as_one(model: onnx.ModelProto) -> None:
    assert joints(model) == [("a+b", True)]
    assert op_types(replace_recurrences(model, write_scan).model).count("Scan") == 1


@pytest.mark.parametrize(
    "model",
    [
        stack("b_x = Transpose <perm = [1, 0, 2]> (a_y)"),
        stack("b_x = Neg (a_y)"),
        stack(outputs="a_y b_y"),
        stack("b_x = Identity (a_y) c_y = Add (b_y, a_y)", outputs="c_y"),
        stack(units=MAX_WIDTH // 2 + 1),
        stack(activation="Relu"),
        stack(mask="other"),
        stack(**LSTM),
    ],
    ids=[
        "time and batch exchanged",
        "changed between",
        "an output of the model",
        "read by another node",
        "too wide",
        "another activation",
        "another mask",
        "gates",
    ],
)
def test_layers_that_cannot_or_should_not_run_as_one_stay_alone(model: onnx.ModelProto) -> None:
    assert joints(model) == []


def test_a_stack_of_sigmoids_stays_alone() -> None:
    """The state of the upper layer would not stay at zero until that layer starts."""
    model = stack(activation="Sigmoid")
    lower = next(node for node in model.graph.node if node.name == "a")
    next(attribute for attribute in lower.attribute if attribute.name == "activation").s = b"Sigmoid"
    assert joints(model) == []


def test_a_stack_is_split_where_it_becomes_too_wide() -> None:
    model = stack("b_x = Identity (a_y) c_x = Identity (b_y)", outputs="c_y", units=MAX_WIDTH // 2)
    add_marker(model, "c", draw_weights(MAX_WIDTH // 2, MAX_WIDTH // 2), x="c_x")
    assert joints(model) == [("a+b", True)]


def test_two_directions_run_as_one_and_wide_ones_share_only_the_steps() -> None:
    for units in (MAX_WIDTH // 2, MAX_WIDTH):
        model = pair(units)
        assert joints(model) == [("a+b", False)]
        graph = Graph(model.graph)
        (joint,) = find_joints(graph, read_recurrences(graph))
        assert joint.has_one_matrix == (units < MAX_WIDTH)
        rewritten = replace_recurrences(model, write_scan).model
        (scan,) = (node for node in rewritten.graph.node if node.op_type == "Scan")
        products = [node.op_type for node in scan.attribute[0].g.node].count("Gemm")
        assert products == (1 if joint.has_one_matrix else 2)


@pytest.mark.parametrize(
    "model",
    [
        pair(x="x"),
        pair(mask="mask"),
        pair(mask=""),
        pair(activation="Sigmoid"),
        pair(activation="Relu", **LSTM),
    ],
    ids=["both forward", "a mask that is not reversed", "one without a mask", "masked sigmoids", "gates"],
)
def test_directions_that_do_not_fit_stay_alone(model: onnx.ModelProto) -> None:
    assert joints(model) == []


@pytest.mark.parametrize(
    "model",
    [stack(), stack(mask="mask"), pair(), pair(MAX_WIDTH)],
    ids=["stack", "masked stack", "pair", "wide pair"],
)
def test_joint_recurrences_compute_what_an_operator_for_each_computes(model: onnx.ModelProto) -> None:
    mask = np.array([[0, 1, 1, 0, 1], [1, 1, 0, 0, 0]], np.bool_).T[..., None]
    inputs = {"x": X, "mask": mask, "other": mask, "lengths": np.array([5, 5])}
    given = {value.name: inputs[value.name] for value in model.graph.input}
    alone, joint = (run(replace_recurrences(model, form).model, **given) for form in (write_rnn, write_scan))
    for expected, actual in zip(alone, joint, strict=True):
        np.testing.assert_allclose(expected, actual, rtol=1e-5, atol=1e-5)
