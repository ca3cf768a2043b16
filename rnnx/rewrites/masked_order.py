"""Masked sequences for operators that know no masks: moved together, and back.

What counts is moved to one end in its order; after the recurrence, every position takes the state after the last one
up to it that counts, as Keras carries it over masked positions. That is right wherever the zeros stand. All arithmetic
is in int32, on numbers below 2^24, which every runtime does exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx

from rnnx.rewrites.graph import Graph

End = Literal["front", "back"]


@dataclass(frozen=True)
class Order:
    """Where the positions of a masked sequence go; names of int32 values (time, batch) unless said otherwise.

    Attributes:
        place: For each position, its place in the moved sequence; each place is taken once.
        last: For each position, the place of the last one up to it that counts; any place where there is none.
        position: (time, 1), 0, 1, 2 and so on.
        is_started: (time, batch, 1) bool: whether anything up to here counts.
        lengths: (batch,), how many count.
        shape: (2,), time and batch.
    """

    place: str
    last: str
    position: str
    is_started: str
    lengths: str
    shape: str


def add_order(graph: Graph, name: str, is_there: str, end: End) -> Order:
    """Computes the order from what counts, (time, batch) bool, for a sequence moved to one end."""

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"{name}.{suffix}", **attributes)

    zero, one = graph.shared(0), graph.shared(1)
    counts = add("Cast", [is_there], "counts", to=onnx.TensorProto.INT32)
    rank = add("CumSum", [counts, zero], "rank")
    lengths = add("ReduceSum", [counts, graph.shared([0])], "lengths", keepdims=0)
    shape = add("Cast", [add("Shape", [counts], "shape_int64")], "shape", to=onnx.TensorProto.INT32)
    time = add("Gather", [shape, zero], "time", axis=0)
    position = add("Unsqueeze", [add("Range", [zero, time, one], "positions"), graph.shared([1])], "position")
    skipped = add("Sub", [position, rank], "skipped")
    before = add("Sub", [rank, one], "before")
    if end == "front":
        last = before
        rest = add("Add", [skipped, lengths], "behind")
    else:
        last = add("Add", [before, add("Sub", [time, lengths], "shift")], "shifted")
        rest = skipped
    return Order(
        place=add("Where", [is_there, last, rest], "place"),
        last=last,
        position=position,
        is_started=add("Unsqueeze", [add("Greater", [rank, zero], "started"), graph.shared([2])], "is_started"),
        lengths=lengths,
        shape=shape,
    )


def move_ids(graph: Graph, name: str, order: Order, ids: str) -> str:
    """Moves ids (time, batch) to their places; what does not count is 0 already."""
    return graph.add("ScatterElements", [ids, order.place, ids], f"{name}.moved", axis=0)


def move_rows(graph: Graph, name: str, order: Order, x: str, features: int) -> str:
    """Moves x (time, batch, features) to their places."""
    zeros = graph.add("Mul", [order.place, graph.shared(0)], f"{name}.zeros")
    everywhere = graph.add("Add", [zeros, order.position], f"{name}.everywhere")
    inverse = graph.add("ScatterElements", [zeros, order.place, everywhere], f"{name}.inverse", axis=0)
    return _take_rows(graph, f"{name}.moved", order, x, inverse, features)


def carry(graph: Graph, name: str, order: Order, y: str, units: int, first: str | None = None) -> str:
    """Brings the states y of a moved sequence back to their positions, and carries them.

    Before the first position that counts stands `first` (batch, units), zero if None.
    """
    place = graph.add("Max", [order.last, graph.shared(0)], f"{name}.last_place")
    last = _take_rows(graph, f"{name}.carried", order, y, place, units)
    return graph.add("Where", [order.is_started, last, first or graph.shared(0.0, np.float32)], f"{name}.states")


def flip(graph: Graph, values: str, features: int) -> str:
    """Turns (time, batch, features) around."""
    end = -(2**31)
    return graph.add("Slice", [values, *(graph.shared([n]) for n in (-1, end, 0, -1))], f"{values}.flipped")


def turn(graph: Graph, order: Order, end: End, values: str, features: int) -> str:
    """Brings what lies in the order of a sequence that was moved to an end into that of the sequence turned around.

    Both have what counts together, one from its first to its last, the other from its last to its first.

    Args:
        graph: Gets the nodes.
        order: Of the moved sequence.
        end: Where it was moved.
        values: (time, batch, features).
        features: Their number.
    """

    def add(op_type: str, inputs: list[str], suffix: str) -> str:
        return graph.add(op_type, inputs, f"{values}.{suffix}")

    time = add("Gather", [order.shape, graph.shared(0)], "time")
    start = graph.shared(0) if end == "front" else add("Sub", [time, order.lengths], "start")
    since = add("Sub", [order.position, start], "since_start")  # 0 to lengths - 1 where something counts
    before = add("Sub", [order.lengths, add("Add", [since, graph.shared(1)], "from_1")], "before_end")  # the reverse
    outside = add("Less", [add("Min", [since, before], "nearest_end"), graph.shared(0)], "outside")
    mirrored = add("Add", [start, before], "mirrored")
    # What does not count stays where it is; all of it is zero.
    place = add("Where", [outside, order.position, mirrored], "place")
    return _take_rows(graph, f"{values}.turned", order, values, place, features)


def _take_rows(graph: Graph, name: str, order: Order, values: str, place: str, features: int) -> str:
    """values[place[t, b], b] of (time, batch, features), as one Gather of whole rows."""
    rows = graph.add("Reshape", [values, graph.shared([-1, features])], f"{name}.rows")
    batch = graph.add("Gather", [order.shape, graph.shared(1)], f"{name}.batch", axis=0)
    offset = graph.add("Mul", [place, batch], f"{name}.offset")
    row = graph.add("Range", [graph.shared(0), batch, graph.shared(1)], f"{name}.row")
    index = graph.add("Add", [offset, row], f"{name}.index")
    return graph.add("Gather", [rows, index], name, axis=0)
