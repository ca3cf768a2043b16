"""Finds the rows of a batch for which a first-order estimate of rounding holds.

`rnnx.rounding.decisions` carries roundings through a network by its derivatives at the reference's own values. That
holds while a disturbed run stays so close to the reference that the derivatives do not change. Where the weights expand
differences, or saturate, a disturbance of 1e-7 can grow until it reaches another saturated value. From there on the
derivatives at the reference say nothing about the runtime: they may even be close to 0.

So the reference is run again with every step of every recurrence disturbed by its whole rounding bound
(`rnnx.rounding.recurrent_bounds`), with seeded signs: once as large as that, and once 2^20 times smaller. While the
first order dominates, the large deviation is 2^20 times the small one. What is left over are the terms of second order
and above. If these exceed a quarter of the deviation at any step, or half of the bound of an output, the estimate does
not hold for the row. It then has no end-to-end bound, and no label of it is certain; its steps are compared as always.

The test is one of the reference alone. So nothing in a file can make its row one without a bound.

Source: the comparison of two step sizes is the usual test of a linearization; random disturbances of the size of
rounding errors are those of J. Vignes, "A stochastic arithmetic for reliable scientific computation", 1993. Imports
NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Trace, track
from rnnx.primitives.operands import rounded
from rnnx.reference import (
    Array,
    Embedding,
    Network,
    Node,
    Recurrent,
    RecurrentLayer,
    Tensor,
    cell_state_of,
    last_state_of,
)
from rnnx.rounding.recurrent_bounds import at_positions, join, parts_of, states_before

_SMALL = 2.0**-20
_COPIES = 2  # the runs of each row: disturbed in full size, and small
_MOST_OF_STATES = 0.25
_MOST_OF_BOUNDS = 0.5


def rows_of_first_order(
    network: Network,
    tensors: Mapping[str, Tensor],
    histories: Mapping[str, Sequence[Array]],
    bounds: Mapping[str, Array],
) -> npt.NDArray[np.bool_]:
    """Says for which rows of a batch the first-order bounds hold.

    Args:
        network: The reference.
        tensors: Its values for the batch, from `Network.forward`.
        histories: By recurrent node, each state after each step, h first, `(batch, time, units)`. A recurrence that is
            missing moves no output.
        bounds: The first-order bound of each output by name, infinite where there is none.

    Returns:
        `(batch,)`; True for every row of a network without recurrent layers.
    """
    count = len(next(iter(tensors.values())).values)
    holds = np.ones(count, np.bool_)
    disturbed: dict[str, Tensor] = {}
    with np.errstate(all="ignore"):  # what overflows is not finite, and then the estimate does not hold
        for node in network.nodes:
            if isinstance(node.layer, Recurrent):
                if node.name in histories:
                    linear = _disturb(node, node.layer, tensors, histories[node.name], disturbed)
                    # Each position of a row is a row of a recurrence in a TimeDistributed.
                    holds &= linear.reshape(count, -1).all(axis=-1)
            elif any(name in disturbed for name in node.inputs) and not isinstance(node.layer, Embedding):
                disturbed[node.name] = node.layer(*(_copied(name, tensors, disturbed) for name in node.inputs))
        for name, node in network.ends.items():
            if node.name in disturbed:
                own = tensors[node.name].values
                _, beyond = _orders(own, disturbed[node.name].values)
                excess = np.where(np.isfinite(bounds[name]), beyond - _MOST_OF_BOUNDS * bounds[name], 0.0)
                holds &= (excess <= 0).reshape(count, -1).all(axis=-1)
    return holds


def _disturb(
    node: Node,
    layer: RecurrentLayer,
    tensors: Mapping[str, Tensor],
    own: Sequence[Array],
    disturbed: dict[str, Tensor],
) -> npt.NDArray[np.bool_]:
    """Runs a recurrence disturbed, adds what later layers read to `disturbed`, and says for which rows it is linear."""
    x, *first = (tensors[name] for name in node.inputs)
    x = layer.in_order(x)
    noise = _step_bounds(layer, x, own, [state.values for state in first])
    copied, *copied_first = (_copied(name, tensors, disturbed) for name in node.inputs)
    copied = layer.in_order(copied)
    history = layer.carried(copied, [state.values for state in copied_first], [_signed(values) for values in noise])
    disturbed[node.name] = layer.outputs(history[0], copied, has_first=bool(first))
    for name, states in zip((last_state_of(node.name), cell_state_of(node.name)), history, strict=False):
        disturbed[name] = Tensor(states[:, -1])
    holds = np.ones(len(x.values), np.bool_)
    # At a masked position, the states are those of the position before it.
    is_read = _is_read(x)
    rows = np.nonzero(is_read)[0]
    for states, moved, rounding in zip(own, history, noise, strict=True):
        copies = moved.reshape(_COPIES, *states.shape)[:, is_read]
        linear, beyond = _orders(states[is_read], copies.reshape(-1, *copies.shape[2:]))
        allowed = _MOST_OF_STATES * np.maximum(linear.max(axis=-1), rounding[is_read].max(axis=-1))
        holds[rows[~(beyond.max(axis=-1) <= allowed)]] = False  # also if the numbers are not finite
    return holds


def _is_read(x: Tensor) -> npt.NDArray[np.bool_]:
    return np.ones(x.values.shape[:2], np.bool_) if x.mask is None else x.mask


def _step_bounds(layer: RecurrentLayer, x: Tensor, own: Sequence[Array], first: Sequence[Array]) -> list[Array]:
    """Bounds the rounding of each step from exact states, for each state; zero at masked positions."""
    is_read = _is_read(x)
    befores = [states_before(states, *first[i : i + 1]) for i, states in enumerate(own)]
    parts: list[list[Array]] = []
    for at in parts_of(is_read):
        trace = Trace(in_recurrence=True)
        after = layer.advance(track(trace, x.values[at]), tuple(track(trace, before[at]) for before in befores))
        parts.append([_error_of(state) for state in after])
    return [at_positions(is_read, join(errors)) for errors in zip(*parts, strict=True)]


def _error_of(state: Array) -> Array:
    tracked = rounded(state)
    return np.zeros(tracked.shape) if tracked.error is None else tracked.error


def _signed(bounds: Array) -> Array:
    """Returns the disturbances of all copies, `(copies * batch, time, units)`."""
    # From the last position on, so that padding in front changes nothing.
    signs = np.random.default_rng(0).choice([-1.0, 1.0], bounds.shape[1:])[::-1]
    full = bounds * signs
    return np.concatenate([full, _SMALL * full])


def _copied(name: str, tensors: Mapping[str, Tensor], disturbed: Mapping[str, Tensor]) -> Tensor:
    """Returns the disturbed values of a node, or copies of the reference's own."""
    if name in disturbed:
        return disturbed[name]
    own = tensors[name]
    mask = None if own.mask is None else np.concatenate([own.mask] * _COPIES)
    return Tensor(np.concatenate([own.values] * _COPIES), mask)


def _orders(own: Array, disturbed: Array) -> tuple[Array, Array]:
    """Returns the sizes of the first-order deviation and of all beyond it, each in the shape of `own`."""
    full, small = disturbed.reshape(_COPIES, *own.shape) - own
    linear = small / _SMALL
    return np.abs(linear), np.abs(full - linear)
