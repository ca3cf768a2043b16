"""Writes recurrences as Scans whose body is one Gemm and one activation: for batches on the CPU.

Everything that does not depend on the state is computed before the loop. Where the input is an embedding, `table W + b`
is computed once, which onnxruntime does when it loads the file, and the steps look up their rows in the result. The
body is exactly `Gemm(h, U, C = x_t)` and the activation, which onnxruntime fuses.

Under a mask, unmasked positions are moved to the back, after rows of zeros: act(0 U + 0) = 0 keeps the state at exactly
zero until the text starts. This does not hold for sigmoid and similar activations. For these, and where the input is
not a lookup, unmasked positions are moved to the front, and the states after them are not used. LSTM and GRU are native
operators in this form too, without lengths.

Small layers run in one Scan if they can (`rnnx.rewrites.join` decides): a step with few numbers takes as long as its
call, not as its arithmetic. Their states are side by side, and their recurrent matrices are blocks of one matrix, with
zeros where one layer does not read the other. Products with these zeros change nothing, because states are finite. In a
stack each layer's W is a block as well, from the state of the layer below to its own, and reads what that layer
computed one step before. So layer l runs l - 1 steps after the first, and the Scan has T + L - 1 steps. Until a layer
starts, its bias is held back, and its state stays at act(0) = 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import onnx

from rnnx.onnx_file.graph_builder import TO_THE_END
from rnnx.rewrites.folded_table import add_folded, add_folded_from_zero
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.join import Joint, find_joints
from rnnx.rewrites.loop_ids import add_ids
from rnnx.rewrites.masked_order import Order, add_order, add_range, carry, flip, move_ids, move_rows, turn
from rnnx.rewrites.pooled_states import Pooled
from rnnx.rewrites.recurrence import NOT_ZERO_AT_ZERO, Embedded, Recurrence
from rnnx.rewrites.replace import Written, add_outputs
from rnnx.rewrites.rnn_form import write_native
from rnnx.rewrites.scan import Part, add_last, add_scan
from rnnx.rewrites.unrolled import find_directions, write_unrolled


def write_scan(graph: Graph, recurrences: Sequence[Recurrence], *, unrolls: bool = False) -> list[Written]:
    """Adds the recurrences, several in one Scan where that is possible.

    LSTM and GRU stay native operators, which batch well. They have no lengths, which engines other than onnxruntime
    compute wrongly. What starts from given states, or gives its cell state, is a native operator with lengths.

    Args:
        graph: The graph, which is changed in place.
        recurrences: All recurrences of the graph.
        unrolls: Whether two wide directions run several steps per iteration, where `rnnx.rewrites.unrolled` can.
    """
    native = [r for r in recurrences if r.operator != "RNN" or r.shows_states or not r.is_native]
    written = {r: write_native(graph, r, has_lengths=False) for r in native}
    for joint in find_joints(graph, [r for r in recurrences if r not in native]):
        directions = find_directions(joint.members) if unrolls and not joint.has_one_matrix else None
        if directions is not None:
            written |= zip(directions, write_unrolled(graph, *directions), strict=True)
        elif len(joint.members) == 1:
            written[joint.members[0]] = _write_alone(graph, joint.members[0])
        else:
            together = (_write_joint if joint.has_one_matrix else _write_side_by_side)(graph, joint)
            written |= zip(joint.members, together, strict=True)
    return [written[recurrence] for recurrence in recurrences]


def _write_alone(graph: Graph, r: Recurrence) -> Written:
    if r.mask is None or (r.embedded is not None and r.activation not in NOT_ZERO_AT_ZERO):
        steps = _add_steps(graph, r)
        part = _part(graph, r, steps)
        (((y,), final),) = add_scan(graph, r.name, [part])
        return _finish(graph, r, steps.order, y, add_last(graph, part, final))
    units = len(r.recurrent_kernel)
    is_there = graph.add("Squeeze", [r.mask, graph.shared([2])], f"{r.name}.is_there")
    order = add_order(graph, r.name, is_there, "front")
    x = _look_up(graph, r.name, _add_steps(graph, dataclasses.replace(r, mask=None)).x)
    x = move_rows(graph, r.name, order, x, units)
    (((y,), _),) = add_scan(graph, r.name, [Part(r.name, r.activation, [x], r.recurrent_kernel)])
    states = carry(graph, r.name, order, y, units)
    last = graph.slice(states, f"{r.name}.last_step", {0: (-1, TO_THE_END)})
    return Written(
        states,
        add_outputs(graph, r, states),
        graph.add("Squeeze", [last, graph.shared([0])], f"{r.name}.last"),
    )


def _write_side_by_side(graph: Graph, joint: Joint) -> list[Written]:
    """Adds two directions that are too wide for one matrix: one Scan with a product for each."""
    steps = [_add_steps(graph, r) for r in joint.members]
    parts = [_part(graph, r, own) for r, own in zip(joint.members, steps, strict=True)]
    made = add_scan(graph, "+".join(part.name for part in parts), parts)
    lasts = [add_last(graph, part, final) for part, (_, final) in zip(parts, made, strict=True)]
    return [
        _finish(graph, r, s.order, y, last)
        for r, s, ((y,), _), last in zip(joint.members, steps, made, lasts, strict=True)
    ]


def _write_joint(graph: Graph, joint: Joint) -> list[Written]:
    """Adds recurrences that have one matrix: one Scan with one product."""
    members = joint.members
    name, first = "+".join(r.name for r in members), members[0]
    delays = range(len(members)) if joint.is_stack else [0] * len(members)
    ends = np.cumsum([len(r.recurrent_kernel) for r in members]).tolist()
    places = list(pairwise([0, *ends]))
    if joint.is_stack:
        steps = [_add_steps(graph, first, tail=delays[-1])] * len(members)
        inputs = [steps[0].x, *_add_biases(graph, members[1:], first, steps[0])]
    else:
        steps = [_add_steps(graph, r) for r in members]
        inputs = [s.x for s in steps]
    x = _look_up_together(graph, name, list(zip(members, inputs, strict=True)))
    (((y,), last),) = add_scan(graph, name, [Part(name, first.activation, [x], _blocks(joint, places))])
    written = []
    for r, own_steps, place, delay in zip(members, steps, places, delays, strict=True):
        # The number of steps that the Scan runs after this layer's last one.
        tail = delays[-1] - delay
        time = (delay, -tail if tail else TO_THE_END)
        own = graph.slice(y, f"{r.name}.y", {0: time, 2: place})
        if tail:
            last_step = graph.slice(own, f"{r.name}.last_step", {0: (-1, TO_THE_END)})
            own_last = graph.add("Squeeze", [last_step, graph.shared([0])], f"{r.name}.final")
        else:
            own_last = graph.slice(last, f"{r.name}.final", {1: place})
        written.append(_finish(graph, r, own_steps.order, own, own_last))
    return written


def _blocks(joint: Joint, places: Sequence[tuple[int, int]]) -> npt.NDArray[np.float32]:
    """Returns the joint matrix: each U on the diagonal, and in a stack W in the rows of the layer below."""
    matrix = np.zeros((places[-1][1], places[-1][1]), np.float32)
    for i, (r, (start, end)) in enumerate(zip(joint.members, places, strict=True)):
        matrix[start:end, start:end] = r.recurrent_kernel
        if joint.is_stack and i:
            below = slice(*places[i - 1])
            matrix[below, start:end] = r.kernel
    return matrix


@dataclass(frozen=True)
class _Lookup:
    """Inputs of steps as a lookup.

    Attributes:
        table: The value (rows, units).
        rows: The number of rows.
        index: The value (time, batch) int32, the row of each input.
        has_ids: Whether the rows are ids. A Gather refuses an id that is too large or too small, and counts a negative
            one from the end.
    """

    table: str
    rows: int
    index: str
    has_ids: bool = True


@dataclass(frozen=True)
class _Steps:
    """The input of a Scan.

    Attributes:
        x: x W + b, (time, batch, units), or its lookup. Under a mask it is moved to the back, with zeros in front.
        order: The order in which it was moved; None without a mask.
    """

    x: str | _Lookup
    order: Order | None = None


def _add_steps(graph: Graph, r: Recurrence, tail: int = 0) -> _Steps:
    """Adds the input of a recurrence, after zeros under a mask, and then `tail` more steps with arbitrary inputs."""
    if r.embedded is not None:
        return _add_lookup(graph, r, r.embedded, tail)
    x = add_folded(graph, r, r.x)
    if r.mask is None:
        return _Steps(_pad(graph, x, tail, rank=3))
    is_there = graph.add("Squeeze", [r.mask, graph.shared([2])], f"{r.name}.is_there")
    order = add_order(graph, r.name, is_there, "back")
    x = graph.add("Where", [r.mask, x, graph.shared(0.0, np.float32)], f"{r.name}.x_or_zero")
    return _Steps(_pad(graph, move_rows(graph, r.name, order, x, len(r.bias)), tail, rank=3), order)


def _add_lookup(graph: Graph, r: Recurrence, embedded: Embedded, tail: int) -> _Steps:
    name = r.name
    ids = add_ids(graph, name, embedded)
    vocabulary = graph.constant(embedded.table)
    assert vocabulary is not None  # noqa: S101  # the table of an `Embedded` is a constant
    if r.mask is None:
        folded = add_folded(graph, r, embedded.table)
        return _Steps(_Lookup(folded, len(vocabulary), _pad(graph, ids, tail, rank=2)))
    is_there = graph.add("Cast", [ids], f"{name}.is_there", to=onnx.TensorProto.BOOL)
    order = add_order(graph, name, is_there, "back")
    moved = _pad(graph, move_ids(graph, name, order, ids), tail, rank=2)
    return _Steps(_Lookup(add_folded_from_zero(graph, r, embedded.table), len(vocabulary), moved), order)


def _look_up(graph: Graph, name: str, x: str | _Lookup) -> str:
    """Adds the Gather of a lookup; an input that is no lookup is returned as it is."""
    return x if isinstance(x, str) else graph.add("Gather", [x.table, x.index], f"{name}.x", axis=0)


def _look_up_together(graph: Graph, name: str, parts: Sequence[tuple[Recurrence, str | _Lookup]]) -> str:
    """Adds the inputs of several recurrences side by side, (time, batch, sum of units).

    Rows of the same width are looked up by one Gather in one table, which writes them to their final places. A Concat
    of two Gathers would copy everything once more, which takes a sixth of the time for 128 rows.
    """
    lookups = [x for _, x in parts if isinstance(x, _Lookup)]
    widths = {len(r.bias) for r, _ in parts}
    if len(lookups) < len(parts) or len(widths) > 1:
        return graph.add("Concat", [_look_up(graph, r.name, x) for r, x in parts], f"{name}.x", axis=-1)
    table = graph.add("Concat", [x.table for x in lookups], f"{name}.table", axis=0)
    starts = np.cumsum([0, *(x.rows for x in lookups)]).tolist()
    indices = []
    for (r, _), x, start in zip(parts, lookups, starts, strict=False):
        index = x.index
        if x.has_ids:  # another table follows in the one that is read, so the ids are looked up in their own range
            numbers = graph.add("Range", [graph.shared(n) for n in (0, x.rows, 1)], f"{r.name}.row_numbers")
            index = graph.add("Gather", [numbers, index], f"{r.name}.own_row", axis=0)
        index = graph.add("Add", [index, graph.shared(start)], f"{r.name}.row") if start else index
        indices.append(graph.add("Unsqueeze", [index, graph.shared([2])], f"{r.name}.index"))
    index = graph.add("Concat", indices, f"{name}.index", axis=2)
    rows = graph.add("Gather", [table, index], f"{name}.rows", axis=0)
    return graph.add("Reshape", [rows, graph.shared([0, 0, len(parts) * widths.pop()])], f"{name}.x")


def _add_biases(graph: Graph, delayed: Sequence[Recurrence], first: Recurrence, steps: _Steps) -> list[_Lookup]:
    """Adds the biases of the upper layers of a stack as lookups: zero until the step in which the layer starts."""
    name = first.name

    def add(op_type: str, inputs: list[str], suffix: str, **attributes: object) -> str:
        return graph.add(op_type, inputs, f"{name}.{suffix}", **attributes)

    zero, one = graph.shared(0), graph.shared(1)
    shape = add("Shape", [steps.x if isinstance(steps.x, str) else steps.x.index], "steps_shape")
    shape = graph.slice(shape, f"{name}.time_and_batch", {0: (0, 2)})
    since = add("Unsqueeze", [add_range(graph, shape, 0, f"{name}.step"), graph.shared([1])], "since_begin")
    if steps.order is not None:
        length = add("Gather", [steps.order.shape, zero], "length", axis=0)
        since = add("Sub", [since, add("Sub", [length, steps.order.lengths], "start")], "since_start")
    since = add("Expand", [since, shape], "since")
    lookups = []
    for delay, r in enumerate(delayed, start=1):
        table = graph.add_constant(f"{r.name}.zero_and_bias", np.stack([np.zeros_like(r.bias), r.bias]))
        late = graph.add("Sub", [since, graph.shared(delay - 1)], f"{r.name}.late")
        is_on = graph.add("Min", [graph.add("Max", [late, zero], f"{r.name}.not_before"), one], f"{r.name}.is_on")
        lookups.append(_Lookup(table, 2, is_on, has_ids=False))
    return lookups


def _finish(graph: Graph, r: Recurrence, order: Order | None, y: str, last: str) -> Written:
    """Adds the results of a recurrence from the states of the moved sequence, (time, batch, units)."""
    units = len(r.recurrent_kernel)
    maximum = graph.add("ReduceMax", [y], f"{r.name}.maximum", axes=[0], keepdims=0)
    if order is None:
        return Written(y, y, last, Pooled(units, None, maximum, y, partial(flip, graph)))
    states = carry(graph, r.name, order, y, units)
    total = graph.add("ReduceSum", [y, graph.shared([0])], f"{r.name}.total", keepdims=0)
    pooled = Pooled(units, total)
    if not r.is_carried:
        # Before the unmasked positions, y has as many zeros as there are masked positions.
        pooled = Pooled(units, total, maximum, y, partial(turn, graph, order, "back") if r.is_turned else None)
    return Written(states, add_outputs(graph, r, states), last, pooled)


def _part(graph: Graph, r: Recurrence, steps: _Steps) -> Part:
    return Part(r.name, r.activation, [_look_up(graph, r.name, steps.x)], r.recurrent_kernel)


def _pad(graph: Graph, value: str, count: int, rank: int) -> str:
    """Adds `count` steps of zeros at the end of the first axis, time."""
    if not count:
        return value
    pads = [0] * rank + [count] + [0] * (rank - 1)
    return graph.add("Pad", [value, graph.shared(pads)], f"{value}.padded")
