"""Reorders masked sequences for operators without masks: unmasked positions are moved together, and their states back.

The unmasked positions are moved to one end and keep their order. After the recurrence, every position takes the state
of the last unmasked position up to it, since Keras carries the state over masked positions. This is right wherever the
masked positions are. All arithmetic is in int32, on numbers below 2^24, which every runtime computes exactly.
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
    """Where the positions of a masked sequence are moved.

    The attributes are names of values, int32 (time, batch) unless they say otherwise.

    Attributes:
        place: The place of each position in the moved sequence. Each place is taken once.
        last: For each position, the place of the last unmasked position up to it; arbitrary where there is none.
        position: (time, 1), the positions 0, 1, 2 and so on.
        is_started: (time, batch, 1) bool, whether this position or one before it is unmasked.
        lengths: (batch,), the number of unmasked positions.
        shape: (2,), time and batch.
        sizes: (2,) int64, the same as the operator Shape gives them.
    """

    place: str
    last: str
    position: str
    is_started: str
    lengths: str
    shape: str
    sizes: str


def add_order(graph: Graph, name: str, is_there: str, end: End) -> Order:
    """Adds the nodes that compute the order of a sequence from its mask.

    Args:
        graph: The graph, to which the nodes are added.
        name: The prefix of the new values' names.
        is_there: The value (time, batch) bool, true at unmasked positions.
        end: The end to which the unmasked positions are moved.
    """

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"{name}.{suffix}", **attributes)

    zero, one = graph.shared(0), graph.shared(1)
    counts = add("Cast", [is_there], "counts", to=onnx.TensorProto.INT32)
    rank = add("CumSum", [counts, zero], "rank")
    lengths = add("ReduceSum", [counts, graph.shared([0])], "lengths", keepdims=0)
    sizes = add("Shape", [counts], "shape_int64")
    shape = add("Cast", [sizes], "shape", to=onnx.TensorProto.INT32)
    time = add("Gather", [shape, zero], "time", axis=0)
    position = add("Unsqueeze", [add_range(graph, sizes, 0, f"{name}.positions"), graph.shared([1])], "position")
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
        sizes=sizes,
    )


def add_range(graph: Graph, sizes: str, axis: int, name: str) -> str:
    """Adds the numbers 0, 1, 2 and so on up to the size of an axis, int32.

    The operator Range gets int64, as Shape gives it. If all dimensions of a file are fixed
    (`make_dim_param_fixed`), onnxruntime (1.32 too) computes a size through a Cast but forgets the type of the Cast,
    and then refuses a Range of int32.

    Args:
        graph: The graph, to which the nodes are added.
        sizes: The output of a Shape.
        axis: The axis.
        name: The name of the new value.
    """
    size = graph.add("Gather", [sizes, graph.shared(axis)], f"{name}_size", axis=0)
    zero, one = graph.shared(0, np.int64), graph.shared(1, np.int64)
    numbers = graph.add("Range", [zero, size, one], f"{name}_int64")
    return graph.add("Cast", [numbers], name, to=onnx.TensorProto.INT32)


def move_ids(graph: Graph, name: str, order: Order, ids: str) -> str:
    """Adds a node that moves ids (time, batch) to their places. Masked ids are 0 already."""
    return graph.add("ScatterElements", [ids, order.place, ids], f"{name}.moved", axis=0)


def move_rows(graph: Graph, name: str, order: Order, x: str, features: int) -> str:
    """Adds nodes that move the rows of x (time, batch, features) to their places."""
    zeros = graph.add("Mul", [order.place, graph.shared(0)], f"{name}.zeros")
    everywhere = graph.add("Add", [zeros, order.position], f"{name}.everywhere")
    inverse = graph.add("ScatterElements", [zeros, order.place, everywhere], f"{name}.inverse", axis=0)
    return _take_rows(graph, f"{name}.moved", order, x, inverse, features)


def carry(graph: Graph, name: str, order: Order, y: str, units: int, first: str | None = None) -> str:
    """Adds nodes that move states back to their positions and carry them over masked positions.

    Args:
        graph: The graph, to which the nodes are added.
        name: The prefix of the new values' names.
        order: The order of the moved sequence.
        y: The value (time, batch, units): the states of the moved sequence.
        units: The number of units.
        first: The value (batch, units) of the states before the first unmasked position; zero if None.

    Returns:
        The value (time, batch, units).
    """
    place = graph.add("Max", [order.last, graph.shared(0)], f"{name}.last_place")
    last = _take_rows(graph, f"{name}.carried", order, y, place, units)
    return graph.add("Where", [order.is_started, last, first or graph.shared(0.0, np.float32)], f"{name}.states")


def flip(graph: Graph, values: str, features: int) -> str:
    """Adds a node that reverses (time, batch, features) in time."""
    end = -(2**31)
    return graph.add("Slice", [values, *(graph.shared([n]) for n in (-1, end, 0, -1))], f"{values}.flipped")


def turn(graph: Graph, order: Order, end: End, values: str, features: int) -> str:
    """Adds nodes that reverse the unmasked positions of a moved sequence.

    The result is in the order of the reversed sequence, moved to the same end: in both, the unmasked positions are
    together, in one from the first to the last, in the other from the last to the first.

    Args:
        graph: The graph, to which the nodes are added.
        order: The order of the moved sequence.
        end: The end to which its unmasked positions were moved.
        values: The value (time, batch, features), zero at masked positions.
        features: The number of features.
    """

    def add(op_type: str, inputs: list[str], suffix: str) -> str:
        return graph.add(op_type, inputs, f"{values}.{suffix}")

    time = add("Gather", [order.shape, graph.shared(0)], "time")
    start = graph.shared(0) if end == "front" else add("Sub", [time, order.lengths], "start")
    since = add("Sub", [order.position, start], "since_start")  # 0 to lengths - 1 at unmasked positions
    before = add("Sub", [order.lengths, add("Add", [since, graph.shared(1)], "from_1")], "before_end")  # the reverse
    outside = add("Less", [add("Min", [since, before], "nearest_end"), graph.shared(0)], "outside")
    mirrored = add("Add", [start, before], "mirrored")
    # Masked positions keep their places, as all of them are zero.
    place = add("Where", [outside, order.position, mirrored], "place")
    return _take_rows(graph, f"{values}.turned", order, values, place, features)


def _take_rows(graph: Graph, name: str, order: Order, values: str, place: str, features: int) -> str:
    """Adds nodes that compute values[place[t, b], b] of (time, batch, features) by one Gather of whole rows."""
    rows = graph.add("Reshape", [values, graph.shared([-1, features])], f"{name}.rows")
    batch = graph.add("Gather", [order.shape, graph.shared(1)], f"{name}.batch", axis=0)
    offset = graph.add("Mul", [place, batch], f"{name}.offset")
    row = add_range(graph, order.sizes, 1, f"{name}.row")
    index = graph.add("Add", [offset, row], f"{name}.index")
    return graph.add("Gather", [rows, index], name, axis=0)
