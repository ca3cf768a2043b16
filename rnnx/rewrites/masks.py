"""Masked sequences for operators that know no masks: moved together, and back.

What counts comes to the front in its order; after the recurrence, every position takes the state after the last one up
to it that counts, as Keras carries it over masked positions. That is right wherever the zeros stand. All arithmetic is
in int32, on numbers below 2^24, which every runtime does exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from rnnx.rewrites.graph import Graph


@dataclass(frozen=True)
class Order:
    """Where the positions of a masked sequence go; names of int32 values (time, batch) unless said otherwise.

    Attributes:
        inverse: For each place in the moved sequence, the position that comes there.
        last: For each position, the place of the last one up to it that counts; 0 where there is none.
        is_started: (time, batch, 1) bool: whether anything up to here counts.
        lengths: (batch,), how many count.
        batch: (), the number of rows.
        row: (batch,), each row's number.
    """

    inverse: str
    last: str
    is_started: str
    lengths: str
    batch: str
    row: str


def add_order(graph: Graph, name: str, mask: str) -> Order:
    """Computes the order from a mask (time, batch, 1) bool."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"{name}.{suffix}", **attributes)

    zero, one = graph.shared(0), graph.shared(1)
    is_there = add("Squeeze", [mask, graph.shared([2])], "is_there")
    counts = add("Cast", [is_there], "counts", to=onnx.TensorProto.INT32)
    rank = add("CumSum", [counts, zero], "rank")
    lengths = add("ReduceSum", [counts, graph.shared([0])], "lengths", keepdims=0)
    shape = add("Cast", [add("Shape", [counts], "shape_int64")], "shape", to=onnx.TensorProto.INT32)
    time = add("Gather", [shape, graph.shared(0)], "time", axis=0)
    batch = add("Gather", [shape, graph.shared(1)], "batch", axis=0)
    position = add("Unsqueeze", [add("Range", [zero, time, one], "positions"), graph.shared([1])], "position")
    place_before = add("Sub", [rank, one], "place_before")
    # What does not count goes behind, in its own order: as many places on as it has skipped.
    place_behind = add("Add", [add("Sub", [position, rank], "skipped"), lengths], "place_behind")
    place = add("Where", [is_there, place_before, place_behind], "place")
    zeros = add("Mul", [counts, zero], "zeros")
    everywhere = add("Add", [zeros, position], "everywhere")
    return Order(
        inverse=add("ScatterElements", [zeros, place, everywhere], "inverse", axis=0),
        last=add("Max", [place_before, zero], "last"),
        is_started=add("Unsqueeze", [add("Greater", [rank, zero], "started"), graph.shared([2])], "is_started"),
        lengths=lengths,
        batch=batch,
        row=add("Range", [zero, batch, one], "row"),
    )


def move_together(graph: Graph, name: str, order: Order, x: str, features: int) -> str:
    """Moves what counts to the front of x (time, batch, features)."""
    return _take_rows(graph, f"{name}.together", order, x, order.inverse, features)


def carry(graph: Graph, name: str, order: Order, y: str, units: int) -> str:
    """Brings the states y of a moved sequence back to their positions, and carries them; zero before the first."""
    last = _take_rows(graph, f"{name}.carried", order, y, order.last, units)
    return graph.add("Where", [order.is_started, last, graph.shared(0.0, np.float32)], f"{name}.states")


def _take_rows(graph: Graph, name: str, order: Order, values: str, place: str, features: int) -> str:
    """values[place[t, b], b] of (time, batch, features), as one Gather of whole rows."""
    rows = graph.add("Reshape", [values, graph.shared([-1, features])], f"{name}.rows")
    offset = graph.add("Mul", [place, order.batch], f"{name}.offset")
    index = graph.add("Add", [offset, order.row], f"{name}.index")
    return graph.add("Gather", [rows, index], name, axis=0)
