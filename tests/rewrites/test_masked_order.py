"""Tests that masked sequences are moved to one end and back: all masks of five positions, against loops in Python."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx
from onnx import helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.masked_order import End, Order, add_order, carry, flip, move_ids, move_rows, turn
from tests.rewrites.graphs import Floats, check, parse, run

pytestmark = pytest.mark.train

TIME, UNITS = 5, 3
MASKS = np.array(list(itertools.product([False, True], repeat=TIME))).T  # (time, 32), each mask a row of the batch
BATCH = MASKS.shape[1]
X = np.random.default_rng(0).normal(size=(TIME, BATCH, UNITS)).astype(np.float32)
FIRST = np.random.default_rng(1).normal(size=(BATCH, UNITS)).astype(np.float32)
IDS = np.where(MASKS, np.arange(1, TIME * BATCH + 1).reshape(TIME, BATCH), 0).astype(np.int32)
ENDS: tuple[End, ...] = get_args(End)

MODEL = """g (bool[time, batch] mask, float[time, batch, 3] x, int32[time, batch] ids, float[batch, 3] first)
    => (float[time, batch, 3] y) { }"""


def compute(end: End, write: Callable[[Graph, Order], str], dtype: int = onnx.TensorProto.FLOAT) -> np.ndarray:
    """Runs a graph that writes its output from the order of all masks."""
    model = parse(MODEL)
    graph = Graph(model.graph)
    output = write(graph, add_order(graph, "moved", "mask", end))
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(output, dtype, None))
    graph.clean()
    model.graph.output[0].CopyFrom(onnx.shape_inference.infer_shapes(model).graph.output[0])
    read = {name for node in model.graph.node for name in node.input}
    inputs = {"mask": MASKS, "x": X, "ids": IDS, "first": FIRST}
    for name in inputs.keys() - read:
        model.graph.input.remove(next(value for value in model.graph.input if value.name == name))
    check(model)
    return run(model, **{name: array for name, array in inputs.items() if name in read})[0]


def places(end: End) -> list[range]:
    """Returns, for each row of the batch, where its unmasked positions are after they were moved."""
    lengths = MASKS.sum(axis=0).tolist()
    return [range(length) if end == "front" else range(TIME - length, TIME) for length in lengths]


@pytest.mark.parametrize("end", ENDS)
def test_each_position_has_its_own_place_and_unmasked_ones_keep_their_order(end: End) -> None:
    place = compute(end, lambda graph, order: order.place, onnx.TensorProto.INT32)
    np.testing.assert_array_equal(np.tile(np.arange(TIME)[:, None], BATCH), np.sort(place, axis=0))
    for b, own in enumerate(places(end)):
        assert place[MASKS[:, b], b].tolist() == list(own)


@pytest.mark.parametrize("end", ENDS)
def test_rows_are_moved_to_their_places(end: End) -> None:
    moved = compute(end, lambda graph, order: move_rows(graph, "x", order, "x", UNITS))
    for b, own in enumerate(places(end)):
        np.testing.assert_array_equal(X[MASKS[:, b], b], moved[list(own), b])


@pytest.mark.parametrize("end", ENDS)
def test_ids_are_moved_to_their_places_with_zeros_elsewhere(end: End) -> None:
    moved = compute(end, lambda graph, order: move_ids(graph, "x", order, "ids"), onnx.TensorProto.INT32)
    for b, own in enumerate(places(end)):
        expected = np.zeros(TIME, np.int32)
        expected[list(own)] = IDS[MASKS[:, b], b]
        np.testing.assert_array_equal(expected, moved[:, b])


def carried(first: Floats) -> np.ndarray:
    """Returns the states X, carried over masked positions."""
    expected, state = np.empty_like(X), first
    for t in range(TIME):
        state = np.where(MASKS[t, :, None], X[t], state)
        expected[t] = state
    return expected


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("first", [None, "first"])
def test_states_are_moved_back_and_carried_over_masked_positions(end: End, first: str | None) -> None:
    actual = compute(
        end,
        lambda graph, order: carry(graph, "y", order, move_rows(graph, "x", order, "x", UNITS), UNITS, first),
    )
    np.testing.assert_array_equal(carried(FIRST if first else np.zeros_like(FIRST)), actual)


@pytest.mark.parametrize("end", ENDS)
def test_a_moved_sequence_is_reversed_among_its_unmasked_positions(end: End) -> None:
    def write(graph: Graph, order: Order) -> str:
        axis, zero = graph.shared([2]), graph.shared(0.0, np.float32)
        zeroed = graph.add("Where", [graph.add("Unsqueeze", ["mask", axis], "mask_in"), "x", zero], "zeroed")
        return turn(graph, order, end, move_rows(graph, "x", order, zeroed, UNITS), UNITS)

    actual = compute(end, write)
    for b, own in enumerate(places(end)):
        expected = np.zeros((TIME, UNITS), np.float32)
        expected[list(own)] = X[MASKS[:, b], b][::-1]
        np.testing.assert_array_equal(expected, actual[:, b])


def test_a_whole_sequence_is_reversed() -> None:
    np.testing.assert_array_equal(X[::-1], compute("front", lambda graph, order: flip(graph, "x", UNITS)))
