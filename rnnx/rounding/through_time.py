"""Backpropagation through time: bounds the effect of the rounding of each step on a later number.

A step that may be off by b moves a later number z by |dz / d(result)| b, to first order. One pass backwards over the
time gives all these derivatives, and dz / dx for the layers before. An LSTM has two results a step, the state h_t and
the cell state c_t, and so two such terms; the term of c_t includes its effect through h_t.

Source: P. Werbos, "Backpropagation through time: what it does and how to do it", 1990; the derivatives of the cells are
those of the formulas in `rnnx.reference.gated`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias, assert_never

import numpy as np
import numpy.typing as npt

from rnnx.reference import GRU, LSTM, ActivationName, Array, RecurrentLayer, SimpleRNN, Tensor, activate
from rnnx.reference.activations import LEAKY_SLOPE
from rnnx.rounding.recurrent_bounds import Inexact, gru_bound, lstm_gates, states_before
from rnnx.rounding.step_bound import step_bound

# Some rows of a batch: all of them, or those with these indices.
Rows: TypeAlias = slice | npt.NDArray[np.intp]


def through_time(layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps | None = None) -> tuple[Array, Array]:
    """Carries dz / d(output) back through a recurrence, for one or several z at once.

    Args:
        layer: The recurrence.
        x: Its inputs, `(batch, time, inputs)`, not reversed.
        gradient: dz / d(output), `(copies * batch, time, units)` with `return_sequences`, otherwise
            `(copies * batch, units)`: the whole batch for the first z, then the whole batch for the next.
        steps: The result of `linearize`, for a caller that goes back over the same inputs more than once.

    Returns:
        The sum over all steps of |dz / d(result)| times the step's bound, `(copies * batch,)`; and dz / dx,
        `(copies * batch, time, inputs)`.
    """
    return through_time_and_states(layer, x, gradient, steps or linearize(layer, x))[:2]


def through_time_and_states(
    layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps, of_last: Sequence[Array] = ()
) -> tuple[Array, Array, list[Array]]:
    """Carries dz / d(output) and dz / d(each last state) back through a recurrence, to its input and first states.

    Args:
        layer: The recurrence.
        x: As in `through_time`.
        gradient: As in `through_time`.
        steps: The result of `linearize`.
        of_last: dz / d(each last state), h first, `(copies * batch, units)`; none if z depends on outputs alone.

    Returns:
        The two results of `through_time`; and dz / d(each first state), `(copies * batch, units)`.
    """
    total, d_sums, d_first = _go_back(layer, x, gradient, steps, of_last, keeps_sums=True)
    batch, time, _ = x.values.shape
    count, steps_back, width = d_sums.shape
    d_x = np.zeros((count, time, len(layer.kernel)))
    mask = layer.in_order(x).mask
    if mask is None or mask[:, :steps_back].all():
        d_x[:, :steps_back] = _product(d_sums, layer.kernel.T)
    else:  # most positions of a padded batch may be masked
        rows, at = np.nonzero(mask[:, :steps_back])
        of_copies = d_sums.reshape(-1, batch, steps_back, width)[:, rows, at]
        d_x.reshape(-1, batch, time, len(layer.kernel))[:, rows, at] = _product(of_copies, layer.kernel.T)
    return total, d_x[:, ::-1] if layer.go_backwards else d_x, d_first


def error_through_time(
    layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps, of_last: Sequence[Array] = ()
) -> Array:
    """Returns only the sum of `through_time`, `(copies * batch,)`, for a layer whose inputs are exact."""
    return _go_back(layer, x, gradient, steps, of_last, keeps_sums=False)[0]


def _go_back(
    layer: RecurrentLayer,
    x: Tensor,
    gradient: Array,
    steps: Steps,
    of_last: Sequence[Array],
    *,
    keeps_sums: bool,
) -> tuple[Array, Array, list[Array]]:
    """Goes back over the steps of a recurrence.

    Args:
        layer: The recurrence.
        x: Its inputs, as in `through_time`.
        gradient: dz / d(output), as in `through_time`.
        steps: The result of `linearize`.
        of_last: As in `through_time_and_states`.
        keeps_sums: Whether to return the second result, or no step of it.

    Returns:
        The sum over all steps of |dz / d(result)| times the step's bound, `(copies * batch,)`;
        dz / d(the sums x W + ...) in the order of computation, up to the last step that z depends on,
        `(copies * batch, steps, gates * units)`; and dz / d(each first state).
    """
    mask = layer.in_order(x).mask
    batch, time, _ = x.values.shape
    copies = len(gradient) // batch
    if not layer.return_sequences:
        gradient = np.concatenate([np.zeros((len(gradient), time - 1, layer.units)), gradient[:, None]], axis=1)
    gradient = gradient.reshape(copies, batch, time, layer.units)
    if layer.zero_output_for_mask and mask is not None:
        gradient = np.where(mask[:, :, None], gradient, 0.0)
    elif steps.has_first and mask is not None:
        gradient = np.where(np.logical_or.accumulate(mask, axis=1)[:, :, None], gradient, 0.0)
    # After the last output that z depends on, there is nothing to carry.
    last = next((t for t in range(time - 1, -1, -1) if gradient[:, :, t].any()), -1)
    last = time - 1 if of_last else last
    total = np.zeros((copies, batch))
    kept = last + 1 if keeps_sums else 0
    d_sums = np.zeros((copies, batch, kept, layer.kernel.shape[1]))
    carried = [np.zeros((copies, batch, layer.units)) for _ in range(layer.carried_count)]
    for values, given in zip(carried, of_last, strict=False):
        np.add(values, given.reshape(values.shape), out=values)
    for t in range(last, -1, -1):
        carried[0] += gradient[:, :, t]
        # At a masked position, the states are carried over unchanged, and nothing is rounded.
        rows = steps.rows[t]
        error, d_sum, before = steps.back(t, tuple(values[:, rows] for values in carried))
        total[:, rows] += error
        if keeps_sums:
            d_sums[:, rows, t] = d_sum
        for values, new in zip(carried, before, strict=True):
            values[:, rows] = new
    d_first = [values.reshape(copies * batch, layer.units) for values in carried]
    return total.reshape(-1), d_sums.reshape(copies * batch, kept, layer.kernel.shape[1]), d_first


def slope(name: ActivationName, output: Array) -> Array:
    """Returns the derivative of an activation, from its result."""
    match name:
        case "tanh":
            return 1.0 - output**2
        case "sigmoid":
            return output * (1.0 - output)
        case "relu":
            return (output > 0).astype(np.float64)
        case "linear":
            return np.ones_like(output)
        case "hard_sigmoid":
            return ((output > 0) & (output < 1)) / 6.0
        case "softsign":
            return np.asarray((1.0 - np.abs(output)) ** 2)
        case "softplus":
            return -np.expm1(-output)
        case "elu":
            return np.where(output > 0, 1.0, output + 1.0)
        case "leaky_relu":
            return np.where(output > 0, 1.0, LEAKY_SLOPE)
    raise TypeError(f"no derivative of {name}")


class Steps(ABC):
    """All steps of a recurrence, linearized along the states of the reference.

    Attributes:
        rows: For each step, the rows of the batch that are not masked.
        has_first: Whether the layer was given first states.
    """

    def __init__(self, x: Tensor, first: Sequence[Array]) -> None:
        """Takes the inputs in the order in which the layer reads them."""
        self.has_first = bool(first)
        mask = np.ones(x.values.shape[:2], np.bool_) if x.mask is None else x.mask
        self.rows: list[Rows] = [slice(None) if there.all() else np.flatnonzero(there) for there in mask.T]

    @abstractmethod
    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        """Goes back over step t, in the rows that are not masked.

        Args:
            t: The step.
            after: dz / d(each state after the step), `(copies, rows, units)`.

        Returns:
            The sum of |dz / d(result)| times the bound, `(copies, rows)`; dz / d(the sums x W + ...),
            `(copies, rows, gates * units)`; and dz / d(each state before the step).
        """


def _product(x: Array, weights: Array) -> Array:
    """Returns `x @ weights`, computed as one product of two matrices; NumPy would compute one per entry of `x`."""
    return (x.reshape(-1, x.shape[-1]) @ weights).reshape(*x.shape[:-1], weights.shape[1])


class _PlainSteps(Steps):
    def __init__(self, layer: SimpleRNN, x: Tensor, first: Sequence[Array]) -> None:
        super().__init__(x, first)
        states = layer.states(x, first)
        self._layer = layer
        bounds = step_bound(layer, x.values, states_before(states, *first[:1]), np.zeros_like(x.values))
        slopes = slope(layer.activation, states)
        # Indexed once, since the backward pass is repeated for every number that is followed.
        self._bounds = [bounds[rows, t] for t, rows in enumerate(self.rows)]
        self._slopes = [slopes[rows, t] for t, rows in enumerate(self.rows)]

    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        d_sum = after[0] * self._slopes[t]
        error = (np.abs(after[0]) * self._bounds[t]).sum(axis=-1)
        return error, d_sum, (_product(d_sum, self._layer.recurrent_kernel.T),)


class _GatedSteps(Steps):
    """A GRU: h = z h' + (1 - z) k, from h' before."""

    def __init__(self, layer: GRU, x: Tensor, first: Sequence[Array]) -> None:
        super().__init__(x, first)
        self._layer = layer
        self._before = states_before(layer.states(x, first), *first[:1])
        self._bounds = gru_bound(layer, x.values, self._before, np.zeros_like(x.values))
        self._gates = layer.gates(x.values, self._before)

    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        rows = self.rows[t]
        layer, h, d_h = self._layer, self._before[rows, t], after[0]
        z, r, k, recalled = (values[rows, t] for values in self._gates)
        u_z, u_r, u_k = np.split(layer.recurrent_kernel, 3, axis=1)
        d_k = d_h * (1.0 - z) * slope(layer.activation, k)
        d_z = d_h * (h - k) * slope(layer.recurrent_activation, z)
        d_before = d_h * z + _product(d_z, u_z.T)
        if layer.reset_after:
            d_r = d_k * recalled
            d_before = d_before + _product(d_k * r, u_k.T)
        else:
            d_product = _product(d_k, u_k.T)
            d_r = d_product * h
            d_before = d_before + d_product * r
        d_r = d_r * slope(layer.recurrent_activation, r)
        error = (np.abs(d_h) * self._bounds[rows, t]).sum(axis=-1)
        return error, np.concatenate([d_z, d_r, d_k], axis=-1), (d_before + _product(d_r, u_r.T),)


class _LSTMSteps(Steps):
    """An LSTM: c = f c' + i k, from the cell state c' before; h = o g(c)."""

    def __init__(self, layer: LSTM, x: Tensor, first: Sequence[Array]) -> None:
        super().__init__(x, first)
        self._layer = layer
        states, memory = layer.carried(x, first)
        before, self._memory_before = states_before(states, *first[:1]), states_before(memory, *first[1:])
        self._steps = lstm_gates(layer, x.values, before, np.zeros_like(x.values))
        i, f, candidate, o = layer.gates(x.values, before)
        # The cell state after each step if the step were not masked; the derivatives are taken there.
        self._memory = f * self._memory_before + i * candidate
        self._shown = activate(layer.activation, self._memory)
        self._gates = i, f, candidate, o
        self._bounds = self._steps.state(layer.activation, Inexact(self._memory, np.zeros_like(memory))).error

    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        rows = self.rows[t]
        layer, (d_h, d_c) = self._layer, after
        i, f, candidate, o = (values[rows, t] for values in self._gates)
        shown, c = self._shown[rows, t], self._memory_before[:, t]
        d_c = d_c + d_h * o * slope(layer.activation, shown)
        s = layer.recurrent_activation
        d_sum = np.concatenate(
            [
                d_c * candidate * slope(s, i),
                d_c * c[rows] * slope(s, f),
                d_c * i * slope(layer.activation, candidate),
                d_h * shown * slope(s, o),
            ],
            axis=-1,
        )
        of_memory = self._steps.memory(t, Inexact(c, np.zeros_like(c))).error[rows]
        error = (np.abs(d_h) * self._bounds[rows, t] + np.abs(d_c) * of_memory).sum(axis=-1)
        return error, d_sum, (_product(d_sum, layer.recurrent_kernel.T), d_c * f)


def linearize(layer: RecurrentLayer, x: Tensor, first: Sequence[Array] = ()) -> Steps:
    """Linearizes a recurrence along its states over the inputs `x`, which are not reversed, from its first states."""
    x = layer.in_order(x)
    match layer:
        case LSTM():
            return _LSTMSteps(layer, x, first)
        case GRU():
            return _GatedSteps(layer, x, first)
        case SimpleRNN():
            return _PlainSteps(layer, x, first)
    assert_never(layer)
