"""Writes both directions of a masked text as one Scan with several steps per iteration, for states that are pooled.

Besides its arithmetic, a step costs an iteration of the Scan and the copy of a state that is both an output and carried
on. With `STEPS` steps per iteration these are paid once for all of them. So that the number of steps is a multiple of
`STEPS`, zeros are added in front; their rows keep the states at zero.

Both directions look up the same ids, moved to the back. The forward one reads from the front, first the zeros, and the
backward one from the end, first the text. So one order is computed instead of two, and both have their state of a word
at the same place, one of them reversed. The backward states after the text, in the zeros, must not count and are
multiplied by zero. They have to be finite for that, so the activation has to be bounded.

The states stay apart, every `STEPS`-th state in one value. That is enough for a sum, and for a maximum that further
zeros do not change. They can also be had in one value, at the price of a copy; `is_put_together` tells whether a node
needs that.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from onnx import TensorProto

from rnnx.onnx_file.graph_builder import TO_THE_END
from rnnx.rewrites.folded_table import add_folded_from_zero
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.loop_ids import add_ids
from rnnx.rewrites.masked_order import add_order, carry, flip, move_ids
from rnnx.rewrites.pooled_states import Pooled
from rnnx.rewrites.recurrence import Embedded, Recurrence
from rnnx.rewrites.replace import Written, add_outputs
from rnnx.rewrites.scan import Part, add_last, add_scan

# How many times faster several steps per iteration are than one (`python -m bench.speed.unrolled`: the shipped network,
# two directions of 64, 400 ids, onnxruntime 1.32, Zen 4, one thread), at batch 1, 8, 32 and 128. 2 steps: 1.23, 1.09,
# 1.07, 1.05; 4 steps: 1.31, 1.08, 1.09, 1.10; 8 steps: 1.32, 1.09, 1.10, 1.11. More steps add more zeros to a short
# text.
STEPS = 4
# These are bounded, and act(0) is 0.
_ACTIVATIONS = ("Tanh", "Softsign")
_TOGETHER = "together"


def find_directions(members: Sequence[Recurrence]) -> tuple[Recurrence, Recurrence] | None:
    """Finds the forward and the backward recurrence that read one masked lookup and output zeros at masked positions.

    Returns:
        The two, or None if the members are not such a pair or have an activation that is not supported here.
    """
    by_direction = {r.embedded.is_backwards: r for r in members if r.embedded is not None}
    if len(members) != 2 or len(by_direction) != 2:
        return None
    forward, backward = by_direction[False], by_direction[True]
    if _ids(forward) != _ids(backward) or forward.is_turned or not backward.is_turned:
        return None
    is_known = all(r.mask is not None and not r.is_carried and r.activation in _ACTIVATIONS for r in members)
    return (forward, backward) if is_known else None


def write_unrolled(graph: Graph, forward: Recurrence, backward: Recurrence) -> list[Written]:
    """Adds the two recurrences that `find_directions` found.

    Returns:
        The results of the forward and of the backward one.
    """
    name = forward.name
    ids = add_ids(graph, name, _embedded(forward))
    order = add_order(graph, name, _is_there(graph, name, ids), "back")
    moved = move_ids(graph, name, order, ids)
    shape = graph.add("Shape", [moved], f"{name}.moved_shape")
    time = graph.slice(shape, f"{name}.moved_time", {0: (0, 1)})
    batch = graph.slice(shape, f"{name}.moved_batch", {0: (1, 2)})
    in_front = graph.add(
        "Mod", [graph.add("Neg", [time], f"{name}.minus_time"), graph.shared([STEPS])], f"{name}.in_front"
    )
    pads = graph.add("Concat", [in_front, graph.shared([0, 0, 0])], f"{name}.pads", axis=0)
    filled = graph.add("Pad", [moved, pads], f"{name}.filled")
    taken = [_take_every(graph, filled, f"{name}.ids_{i}", i, STEPS) for i in range(STEPS)]
    taken_backwards = [_take_every(graph, filled, f"{backward.name}.ids_{i}", -1 - i, -STEPS) for i in range(STEPS)]

    parts = [_part(graph, forward, taken), _part(graph, backward, taken_backwards)]
    (ys, final), (ys_backwards, _) = add_scan(graph, f"{name}+{backward.name}", parts)
    counted = [_count(graph, y, own) for y, own in zip(ys_backwards, taken_backwards, strict=True)]

    y = _put_together(graph, forward, ys, batch)
    y = graph.add("Slice", [y, in_front, graph.shared([TO_THE_END]), graph.shared([0])], f"{name}.y")
    states = carry(graph, name, order, y, len(forward.bias))
    last = add_last(graph, parts[0], final)
    written = Written(states, add_outputs(graph, forward, states), last, _pool(graph, forward, ys, y))
    y = _put_together(graph, backward, counted, batch)
    y = graph.add("Slice", [y, graph.shared([0]), time, graph.shared([0])], f"{backward.name}.y")
    return [written, _finish_backward(graph, backward, counted, y)]


def is_put_together(graph: Graph) -> bool:
    """Whether a node reads all states in one value; the graph must have no dead nodes."""
    return any(node.op_type == "Reshape" and node.name.endswith(f".{_TOGETHER}") for node in graph.proto.node)


def _embedded(r: Recurrence) -> Embedded:
    assert r.embedded is not None  # noqa: S101  # `find_directions` requires it
    return r.embedded


def _ids(r: Recurrence) -> str:
    return _embedded(r).ids


def _is_there(graph: Graph, name: str, ids: str) -> str:
    return graph.add("Cast", [ids], f"{name}.is_there", to=TensorProto.BOOL)


def _take_every(graph: Graph, ids: str, name: str, start: int, step: int) -> str:
    """Adds the ids from `start` on, every `step`-th one, backwards if it is negative."""
    end = TO_THE_END if step > 0 else -TO_THE_END
    return graph.add("Slice", [ids, *(graph.shared([n]) for n in (start, end, 0, step))], name)


def _part(graph: Graph, r: Recurrence, taken: Sequence[str]) -> Part:
    table = add_folded_from_zero(graph, r, _embedded(r).table)
    xs = [graph.add("Gather", [table, ids], f"{r.name}.x_{i}", axis=0) for i, ids in enumerate(taken)]
    return Part(r.name, r.activation, xs, r.recurrent_kernel)


def _count(graph: Graph, y: str, ids: str) -> str:
    """Sets the states (iterations, batch, units) to zero where the ids (iterations, batch) are zero."""
    is_there = graph.add("Cast", [ids], f"{y}.is_there", to=TensorProto.BOOL)
    factor = graph.add("Cast", [is_there], f"{y}.counts", to=TensorProto.FLOAT)
    factor = graph.add("Unsqueeze", [factor, graph.shared([2])], f"{y}.counts_in")
    return graph.add("Mul", [y, factor], f"{y}.counted")


def _put_together(graph: Graph, r: Recurrence, ys: Sequence[str], batch: str) -> str:
    """Adds the states of all steps in one value, (time, batch, units)."""
    iterations = graph.add("Concat", ys, f"{r.name}.turns", axis=1)
    shape = graph.add("Concat", [graph.shared([-1]), batch, graph.shared([len(r.bias)])], f"{r.name}.y_shape", axis=0)
    return graph.add("Reshape", [iterations, shape], f"{r.name}.{_TOGETHER}")


def _pool(graph: Graph, r: Recurrence, ys: Sequence[str], y: str) -> Pooled:
    totals = [graph.add("ReduceSum", [step, graph.shared([0])], f"{step}.total", keepdims=0) for step in ys]
    total = graph.add("Sum", totals, f"{r.name}.total")
    maximum = graph.add("ReduceMax", [y], f"{r.name}.maximum", axes=[0], keepdims=0)
    if not r.is_turned:
        return Pooled(len(r.bias), total, maximum, y, apart=tuple(ys))
    return Pooled(len(r.bias), total, maximum, y, partial(flip, graph), tuple(reversed(ys)))


def _finish_backward(graph: Graph, r: Recurrence, counted: Sequence[str], y: str) -> Written:
    """Adds the results of the backward recurrence.

    Its states are in the order of computation, with those of the text in front: the order of a sequence that was moved
    to the front.
    """
    order = add_order(graph, r.name, _is_there(graph, r.name, add_ids(graph, r.name, _embedded(r))), "front")
    states = carry(graph, r.name, order, y, len(r.bias))
    last = graph.slice(states, f"{r.name}.last_step", {0: (-1, TO_THE_END)})
    last = graph.add("Squeeze", [last, graph.shared([0])], f"{r.name}.last")
    return Written(states, add_outputs(graph, r, states), last, _pool(graph, r, counted, y))
