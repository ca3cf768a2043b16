"""Computes one float64 step from each of a runtime's own states, with its rounding bound, for every recurrence.

The bound follows from the definition of the step (`rnnx.reference`), which is called with values that track the
rounding of each operation (`rnnx.primitives`).

A file shows the hidden state h. All that follows from x_t and h_{t-1} alone is computed for all steps at once
(`Recurrent.begin`), so each step of a SimpleRNN or a GRU is compared alone. An LSTM also has a cell state c, which no
file returns. It is computed here, in float64, along the runtime's own h (`Recurrent.finish`): c_t = f_t c_{t-1} +
i_t k_t with the gates of x_t and the runtime's own h_{t-1}. The error of c_t is the earlier error times the forget
gate, plus the error of this step. Because f < 1, earlier errors fade, and the bound stays close to that of a single
step.

A form may sum more terms: if several layers run as one (`rnnx.rewrites.join`), each sum includes the states of all of
them. Those that a layer does not read are multiplied by 0, and adding an exact 0 does not round.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 3.1 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Trace, track
from rnnx.primitives.operands import rounded
from rnnx.reference import LSTM, Array, Mask, RecurrentLayer, Tensor
from rnnx.rounding.layer_bounds import bound_of

# Of 64 numbers each: most of the arrays of one operation then stay in the cache of a core.
_POSITIONS_AT_ONCE = 1 << 10
# The states before the first step, h first, each `(batch, units)` with how far the runtime's may be from it.
First: TypeAlias = Sequence[tuple[Array, Array]]


def expect_steps(
    layer: RecurrentLayer, x: Tensor, x_error: Array, states: Array, first: First = ()
) -> tuple[Array, Array]:
    """Computes one float64 step from each of the runtime's states; at a masked position the state must not change.

    Args:
        layer: The recurrence.
        x: Its exact inputs, `(batch, time, inputs)`, not reversed.
        x_error: How far the runtime's inputs may be from them.
        states: The runtime's own states, (batch, time, units), in the order of their computation.
        first: The states before the first position; zero if empty.

    Returns:
        The expected states, and their rounding bounds.
    """
    x = layer.in_order(x)
    x_error = x_error[:, ::-1] if layer.go_backwards else x_error
    before, before_error = _before(states, first)
    return _steps(layer, x, x_error, (before, before_error), first[1:])[0]


def expect_cell_state(layer: LSTM, x: Tensor, x_error: Array, states: Array, first: First = ()) -> tuple[Array, Array]:
    """Computes the last cell state of an LSTM from the runtime's own states; arguments as in `expect_steps`.

    Returns:
        The expected cell state, and its rounding bound over all steps; each `(batch, units)`.
    """
    x = layer.in_order(x)
    x_error = x_error[:, ::-1] if layer.go_backwards else x_error
    _, (cell_state,) = _steps(layer, x, x_error, _before(states, first), first[1:])
    return cell_state


def _before(states: Array, first: First) -> tuple[Array, Array]:
    """Returns the hidden state before each step, and how far it may be off; only the first may be."""
    error = np.zeros_like(states)
    for _, of_first in first[:1]:
        error[:, 0] = of_first
    return states_before(states, *(state for state, _ in first[:1])), error


def states_before(states: Array, first: Array | None = None) -> Array:
    """Returns the state before each step: `first` or zero, then that after the previous step; (batch, time, units)."""
    start = np.zeros_like(states[:, :1]) if first is None else first[:, None]
    return np.concatenate([start, states[:, :-1]], axis=1)


def step_bound(layer: RecurrentLayer, x_t: Array, h: Array, x_error: Array) -> Array:
    """Bounds the rounding of one step that starts from the same h, for a layer whose only state is h.

    Args:
        layer: The recurrence.
        x_t: (..., inputs), the exact inputs.
        h: (..., units), the runtime's own state before the step.
        x_error: (..., inputs), how far the runtime's inputs may be from `x_t`.

    Returns:
        (..., units).
    """
    trace = Trace(in_recurrence=True)
    read = track(trace, x_t, x_error if x_error.any() else None)
    (state,) = layer.finish(layer.begin(layer.read(read), track(trace, h)), ())
    return np.asarray(bound_of(state))


def _steps(
    layer: RecurrentLayer, x: Tensor, x_error: Array, before: tuple[Array, Array], first_others: First
) -> tuple[tuple[Array, Array], list[tuple[Array, Array]]]:
    """Computes all steps and their bounds.

    Args:
        layer: The recurrence.
        x: As in `expect_steps`, in reading order.
        x_error: The same.
        before: The hidden state before each step, and how far the runtime's may be from it.
        first_others: The other states before the first step; zero if empty.

    Returns:
        The hidden states with their bounds, at a masked position those before it; and each other state after the last
        step, with its bound.
    """
    is_read = np.ones(x.values.shape[:2], np.bool_) if x.mask is None else x.mask
    begun = _begin_all(layer, x, x_error, before, is_read)
    if layer.carried_count == 1:
        ((value, error),) = begun
        return (at_positions(is_read, value, before[0]), at_positions(is_read, error, before[1])), []
    shown = [(at_positions(is_read, value), at_positions(is_read, error)) for value, error in begun]
    expected, bound = np.empty_like(before[0]), np.empty_like(before[0])
    zero = np.zeros_like(expected[:, 0])
    others = list(first_others) or [(zero, zero)] * (layer.carried_count - 1)
    for t in range(expected.shape[1]):
        trace = Trace(in_recurrence=True)
        now = tuple(track(trace, values[:, t], error[:, t]) for values, error in shown)
        after = [_with_error(state) for state in layer.finish(now, tuple(track(trace, *other) for other in others))]
        others = [_unless_masked(new, old, x.mask, t) for new, old in zip(after[1:], others, strict=True)]
        expected[:, t], bound[:, t] = after[0]
    there = is_read[:, :, None]
    return (np.where(there, expected, before[0]), np.where(there, bound, before[1])), others


def _begin_all(
    layer: RecurrentLayer, x: Tensor, x_error: Array, before: tuple[Array, Array], is_read: Mask
) -> list[tuple[Array, Array]]:
    """Computes what of each step follows from the input and the hidden state, with its bounds.

    Returns:
        The states after the step, if the hidden state is the only one; otherwise the results of `Recurrent.begin`. Each
        has the positions that are read, in their order.
    """
    # Exact inputs and states are the usual case, which saves half of the work.
    errors = [error if error.any() else None for error in (x_error, before[1])]
    parts = []
    for at in parts_of(is_read):
        trace = Trace(in_recurrence=True)
        read, h = (
            track(trace, values[at], None if error is None else error[at])
            for values, error in zip((x.values, before[0]), errors, strict=True)
        )
        begun = layer.begin(layer.read(read), h)
        parts.append([_with_error(state) for state in (layer.finish(begun, ()) if layer.carried_count == 1 else begun)])
    return [(join([part[i][0] for part in parts]), join([part[i][1] for part in parts])) for i in range(len(parts[0]))]


def parts_of(is_read: Mask) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Splits the positions that are read into parts so small that the arrays of their operations fit the caches.

    Returns:
        The rows and the steps of each part; one part without positions if none is read.
    """
    # Most positions of a padded batch may be masked. Nothing is computed there.
    rows, steps = np.nonzero(is_read)
    count = max(1, -(-len(rows) // _POSITIONS_AT_ONCE))
    ends = np.linspace(0, len(rows), count + 1).round().astype(np.intp).tolist()
    return [(rows[start:end], steps[start:end]) for start, end in pairwise(ends)]


def join(parts: Sequence[Array]) -> Array:
    """Joins the arrays of parts of the positions, without a copy if there is one part."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def at_positions(is_read: Mask, values: Array, others: Array | None = None) -> Array:
    """Returns `(batch, time, ...)` with the values at the positions that are read, and `others` or zeros elsewhere."""
    if is_read.all():
        return values.reshape(*is_read.shape, *values.shape[1:])
    spread = np.zeros((*is_read.shape, *values.shape[1:])) if others is None else others.copy()
    spread[is_read] = values
    return spread


def _with_error(result: Any) -> tuple[Array, Array]:
    state = rounded(result)
    return state.value, np.zeros_like(state.value) if state.error is None else state.error


def _unless_masked(
    new: tuple[Array, Array], old: tuple[Array, Array], mask: Mask | None, t: int
) -> tuple[Array, Array]:
    if mask is None:
        return new
    is_read = mask[:, t, None]
    return np.where(is_read, new[0], old[0]), np.where(is_read, new[1], old[1])
