"""Backpropagation through time: bounds the effect of the rounding of each step on a later number.

A step that may be off by b moves a later number z by |dz / d(result)| b, to first order. One pass backwards over the
time gives all these derivatives, and dz / dx for the layers before. An LSTM has two results a step, the state h_t and
the cell state c_t, and so two such terms; the term of c_t includes its effect through h_t.

Source: P. Werbos, "Backpropagation through time: what it does and how to do it", 1990; the derivatives of the cells are
those of the formulas in `rnnx.reference.gated`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import assert_never

import numpy as np

from rnnx.reference import GRU, LSTM, ActivationName, Array, RecurrentLayer, SimpleRNN, Tensor, activate
from rnnx.reference.activations import LEAKY_SLOPE
from rnnx.rounding.recurrent_bounds import Inexact, gru_bound, lstm_gates, states_before
from rnnx.rounding.step_bound import step_bound


def through_time(layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps | None = None) -> tuple[Array, Array]:
    """Carries dz / d(output) back through a recurrence.

    Args:
        layer: The recurrence.
        x: Its inputs, (batch, time, inputs), not turned around.
        gradient: dz / d(output), (batch, time, units) with `return_sequences`, otherwise (batch, units).
        steps: From `linearize`, if several passes go back over the same inputs.

    Returns:
        The sum over all steps of |dz / d(result)| times the step's bound, (batch,); and dz / dx, the shape of
        `x.values`.
    """
    steps = steps or linearize(layer, x)
    x = layer.in_order(x)
    present = np.ones((*x.values.shape[:2], 1), bool) if x.mask is None else x.mask[:, :, None]
    batch, time, _ = x.values.shape
    if not layer.return_sequences:
        gradient = np.concatenate([np.zeros((batch, time - 1, layer.units)), gradient[:, None]], axis=1)
    if layer.zero_output_for_mask:
        gradient = np.where(present, gradient, 0.0)
    total = np.zeros(batch)
    d_sums = np.zeros((batch, time, layer.kernel.shape[1]))
    carried = (np.zeros((batch, layer.units)),) * layer.carried_count
    # Steps after the last output that z depends on carry nothing.
    for t in range(int(np.flatnonzero(gradient.any(axis=(0, 2))).max(initial=-1)), -1, -1):
        carried = (carried[0] + gradient[:, t], *carried[1:])
        error, d_sum, before = steps.back(t, carried)
        total += np.where(present[:, t, 0], error, 0.0)
        d_sums[:, t] = np.where(present[:, t], d_sum, 0.0)
        carried = tuple(np.where(present[:, t], new, old) for new, old in zip(before, carried, strict=True))
    d_x = d_sums @ layer.kernel.T
    return total, d_x[:, ::-1] if layer.go_backwards else d_x


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
    """All steps of a recurrence, linearized at the reference's states."""

    @abstractmethod
    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        """Goes back over step t.

        Args:
            t: The step.
            after: dz / d(what is carried on after it), (batch, units) each, as if nothing were masked.

        Returns:
            The sum of |dz / d(result)| times bound, (batch,); dz / d(the sums x W + ...), (batch, gates times units);
            dz / d(what was carried before it).
        """


class _PlainSteps(Steps):
    def __init__(self, layer: SimpleRNN, x: Tensor) -> None:
        states = layer.states(x)
        self._layer = layer
        self._bounds = step_bound(layer, x.values, states_before(states), np.zeros_like(x.values))
        # The slope at a masked position has no meaning, and is not used.
        self._slopes = slope(layer.activation, states)

    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        d_sum = after[0] * self._slopes[:, t]
        error = (np.abs(after[0]) * self._bounds[:, t]).sum(axis=1)
        return error, d_sum, (d_sum @ self._layer.recurrent_kernel.T,)


class _GatedSteps(Steps):
    """A GRU: h = z h' + (1 - z) k, from h' before."""

    def __init__(self, layer: GRU, x: Tensor) -> None:
        self._layer = layer
        self._before = states_before(layer.states(x))
        self._bounds = gru_bound(layer, x.values, self._before, np.zeros_like(x.values))
        self._gates = layer.gates(x.values, self._before)

    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        layer, h, d_h = self._layer, self._before[:, t], after[0]
        z, r, k, recalled = (values[:, t] for values in self._gates)
        u_z, u_r, u_k = np.split(layer.recurrent_kernel, 3, axis=1)
        d_k = d_h * (1.0 - z) * slope(layer.activation, k)
        d_z = d_h * (h - k) * slope(layer.recurrent_activation, z)
        d_before = d_h * z + d_z @ u_z.T
        if layer.reset_after:
            d_r = d_k * recalled
            d_before = d_before + (d_k * r) @ u_k.T
        else:
            d_product = d_k @ u_k.T
            d_r = d_product * h
            d_before = d_before + d_product * r
        d_r = d_r * slope(layer.recurrent_activation, r)
        error = (np.abs(d_h) * self._bounds[:, t]).sum(axis=1)
        return error, np.concatenate([d_z, d_r, d_k], axis=1), (d_before + d_r @ u_r.T,)


class _MemorySteps(Steps):
    """An LSTM: c = f c' + i k, from the cell state c' before; h = o g(c)."""

    def __init__(self, layer: LSTM, x: Tensor) -> None:
        self._layer = layer
        states, memory = layer.carried(x)
        before, self._memory_before = states_before(states), states_before(memory)
        self._steps = lstm_gates(layer, x.values, before, np.zeros_like(x.values))
        i, f, candidate, o = layer.gates(x.values, before)
        # The cell state after each step if the step were not masked; the derivatives are taken there.
        self._memory = f * self._memory_before + i * candidate
        self._shown = activate(layer.activation, self._memory)
        self._gates = i, f, candidate, o
        self._bounds = self._steps.state(layer.activation, Inexact(self._memory, np.zeros_like(memory))).error

    def back(self, t: int, after: tuple[Array, ...]) -> tuple[Array, Array, tuple[Array, ...]]:
        layer, (d_h, d_c) = self._layer, after
        i, f, candidate, o = (values[:, t] for values in self._gates)
        shown, c = self._shown[:, t], self._memory_before[:, t]
        d_c = d_c + d_h * o * slope(layer.activation, shown)
        s = layer.recurrent_activation
        d_sum = np.concatenate(
            [
                d_c * candidate * slope(s, i),
                d_c * c * slope(s, f),
                d_c * i * slope(layer.activation, candidate),
                d_h * shown * slope(s, o),
            ],
            axis=1,
        )
        of_memory = self._steps.memory(t, Inexact(c, np.zeros_like(c))).error
        error = (np.abs(d_h) * self._bounds[:, t] + np.abs(d_c) * of_memory).sum(axis=1)
        return error, d_sum, (d_sum @ layer.recurrent_kernel.T, d_c * f)


def linearize(layer: RecurrentLayer, x: Tensor) -> Steps:
    """Linearizes a recurrence along its states over the inputs `x`, which are not turned around."""
    x = layer.in_order(x)
    match layer:
        case LSTM():
            return _MemorySteps(layer, x)
        case GRU():
            return _GatedSteps(layer, x)
        case SimpleRNN():
            return _PlainSteps(layer, x)
    assert_never(layer)
