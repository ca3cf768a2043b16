"""Computes one float64 step from each of a runtime's own states, with its rounding bound, for SimpleRNN, LSTM and GRU.

`rnnx.rounding.step_bound` has the model of rounding and the bound of a plain step. A gate is such a step: a sum of
products and an activation, whose error is e = slope times the rounding of the sum, plus the activation's own error. The
gates are then multiplied unit by unit: if the errors of a and b are e_a and e_b, the error of their product is
|a| e_b + e_a |b| + e_a e_b, plus one rounding.

A GRU's state is h alone, so each step is compared alone. An LSTM also has a cell state c, which no file returns.
It is computed here, in float64, along the runtime's own h: c_t = f_t c_{t-1} + i_t k_t with the gates of x_t and the
runtime's own h_{t-1}. The error of the runtime's own cell state is at most

    E_t = (|f_t| + e_f) E_{t-1} + e_f |c_{t-1}| + |i_t| e_k + e_i |k_t| + e_i e_k
          + gamma_2 ((|f_t| + e_f) (|c_{t-1}| + E_{t-1}) + (|i_t| + e_i) (|k_t| + e_k)),    E_0 = 0,

the earlier error times the forget gate, plus the error of this step. So the error of h_t = o_t g(c_t) is at most, with
e_g = slope E_t plus the activation's own error,

    |o_t| e_g + e_o |g(c_t)| + e_o e_g + gamma_1 (|o_t| + e_o) (|g(c_t)| + e_g).

Because f < 1, earlier errors fade, and the bound stays close to that of a single step.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 3.1 and 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import numpy as np

from rnnx.reference import GRU, LSTM, ActivationName, Array, RecurrentLayer, SimpleRNN, Tensor, activate
from rnnx.rounding.float32 import gamma
from rnnx.rounding.step_bound import own_error, steepest, step_bound


@dataclass(frozen=True, eq=False)
class Inexact:
    """Exact values, and how far a runtime's values may be from them, in the same shape."""

    value: Array
    error: Array

    @property
    def size(self) -> Array:
        """The largest absolute values that the runtime may have."""
        return np.abs(self.value) + self.error

    def times(self, other: Inexact, roundings: int) -> Inexact:
        """Returns the product unit by unit, rounded `roundings` times."""
        carried = np.abs(self.value) * other.error + self.error * np.abs(other.value) + self.error * other.error
        return Inexact(self.value * other.value, carried + gamma(float(roundings)) * self.size * other.size)


@dataclass(frozen=True, eq=False)
class LSTMGates:
    """The gates of an LSTM along given states, each `(batch, time, units)`."""

    i: Inexact
    f: Inexact
    candidate: Inexact
    o: Inexact

    def memory(self, t: int, c: Inexact) -> Inexact:
        """Returns the cell state after step t from the cell state before it, `(batch, units)`."""
        i, f, candidate = (Inexact(g.value[:, t], g.error[:, t]) for g in (self.i, self.f, self.candidate))
        kept, new = f.times(c, 2), i.times(candidate, 2)
        return Inexact(kept.value + new.value, kept.error + new.error)

    def state(self, name: ActivationName, c: Inexact) -> Inexact:
        """Returns the states from the cell state after each step, `(batch, time, units)`."""
        return self.o.times(_activated(name, c), 1)


def expect_steps(
    layer: RecurrentLayer, x: Tensor, x_error: Array, states: Array, first: Sequence[Array] = ()
) -> tuple[Array, Array]:
    """Computes one float64 step from each of the runtime's states; at a masked position the state must not change.

    Args:
        layer: The recurrence.
        x: Its exact inputs, `(batch, time, inputs)`, not reversed.
        x_error: How far the runtime's inputs may be from them.
        states: The runtime's own states, (batch, time, units), in the order of their computation.
        first: The runtime's own states before the first position, h first, each `(batch, units)`; zero if empty.

    Returns:
        The expected states, and their rounding bounds.
    """
    x = layer.in_order(x)
    x_error = x_error[:, ::-1] if layer.go_backwards else x_error
    before = states_before(states, *first[:1])
    match layer:
        case LSTM():
            expected, bound, _ = _expect_lstm(layer, x, x_error, before, first[1:])
        case GRU():
            expected, bound = layer.step(x.values, before), gru_bound(layer, x.values, before, x_error)
        case SimpleRNN():
            expected, bound = layer.step(x.values, before), step_bound(layer, x.values, before, x_error)
        case _:
            assert_never(layer)
    if x.mask is not None:
        expected, bound = np.where(x.mask[:, :, None], expected, before), np.where(x.mask[:, :, None], bound, 0.0)
    return expected, bound


def expect_cell_state(
    layer: LSTM, x: Tensor, x_error: Array, states: Array, first: Sequence[Array] = ()
) -> tuple[Array, Array]:
    """Computes the last cell state of an LSTM from the runtime's own states; arguments as in `expect_steps`.

    Returns:
        The expected cell state and its rounding bound E_T, each `(batch, units)`.
    """
    x = layer.in_order(x)
    x_error = x_error[:, ::-1] if layer.go_backwards else x_error
    last = _expect_lstm(layer, x, x_error, states_before(states, *first[:1]), first[1:])[2]
    return last.value, last.error


def states_before(states: Array, first: Array | None = None) -> Array:
    """Returns the state before each step: `first` or zero, then that after the previous step; (batch, time, units)."""
    start = np.zeros_like(states[:, :1]) if first is None else first[:, None]
    return np.concatenate([start, states[:, :-1]], axis=1)


def gru_bound(layer: GRU, x_t: Array, h: Array, x_error: Array) -> Array:
    """Bounds the rounding of one step of a GRU that starts from the same h.

    The new state is z h + (1 - z) k = k + z (h - k), and a runtime may compute either. Three roundings of
    (|z| + |1 - z|) (|h| + |k|) cover both. The errors of z and k change it by e_z (|h - k| + e_k) + |1 - z| e_k.

    Args:
        layer: The recurrence.
        x_t: (..., inputs), the exact inputs.
        h: (..., units), the runtime's own state before the step.
        x_error: (..., inputs), how far the runtime's inputs may be from `x_t`.

    Returns:
        The bounds, `(..., units)`.
    """
    inputs, units = len(layer.kernel), layer.units
    z_value, r_value, k_value, recalled_value = layer.gates(x_t, h)
    input_bias, recurrent_bias = (np.abs(bias) for bias in layer.biases)
    w_zr, w_k = np.split(np.abs(layer.kernel), [2 * units], axis=1)
    u_zr, u_k = np.split(np.abs(layer.recurrent_kernel), [2 * units], axis=1)
    x_size = np.abs(x_t) + x_error
    size = x_size @ w_zr + np.abs(h) @ u_zr + (input_bias + recurrent_bias)[: 2 * units]
    z_sum, r_sum = np.split(x_error @ w_zr + gamma(inputs + units + 4.0) * size, 2, axis=-1)
    z = _gate(layer.recurrent_activation, z_value, z_sum)
    r = _gate(layer.recurrent_activation, r_value, r_sum)
    k_size, k_sum = x_size @ w_k + input_bias[2 * units :], x_error @ w_k
    if layer.reset_after:
        recalled = gamma(units + 2.0) * (np.abs(h) @ u_k + recurrent_bias[2 * units :])
        product = r.times(Inexact(recalled_value, recalled), 1)
        k_sum = k_sum + product.error + gamma(inputs + 3.0) * (k_size + product.size)
    else:
        product = r.times(Inexact(h, np.zeros_like(h)), 1)
        k_sum = k_sum + product.error @ u_k + gamma(inputs + units + 4.0) * (k_size + product.size @ u_k)
    k = _gate(layer.activation, k_value, k_sum)
    own = gamma(3.0) * (z.size + np.abs(1 - z.value) + z.error) * (np.abs(h) + k.size)
    return np.asarray(z.error * (np.abs(h - k.value) + k.error) + np.abs(1 - z.value) * k.error + own)


def lstm_gates(layer: LSTM, x_t: Array, h: Array, x_error: Array) -> LSTMGates:
    """Returns the gates of an LSTM for the same h; arguments as in `gru_bound`, with the time as the second axis."""
    inputs, units = len(layer.kernel), layer.units
    kernel = np.abs(layer.kernel)
    size = (np.abs(x_t) + x_error) @ kernel + np.abs(h) @ np.abs(layer.recurrent_kernel) + np.abs(layer.bias)
    i, f, candidate, o = np.split(x_error @ kernel + gamma(inputs + units + 3.0) * size, 4, axis=-1)
    s = layer.recurrent_activation
    values = layer.gates(x_t, h)
    return LSTMGates(
        _gate(s, values[0], i), _gate(s, values[1], f), _gate(layer.activation, values[2], candidate),
        _gate(s, values[3], o),
    )  # fmt: skip


def _expect_lstm(
    layer: LSTM, x: Tensor, x_error: Array, before: Array, first: Sequence[Array]
) -> tuple[Array, Array, Inexact]:
    """Returns the expected hidden states, their bounds, and the cell state after the last step."""
    steps = lstm_gates(layer, x.values, before, x_error)
    after = Inexact(np.empty_like(before), np.empty_like(before))
    zero = np.zeros_like(before[:, 0])
    c = Inexact(first[0] if first else zero, zero)
    for t in range(before.shape[1]):
        new = steps.memory(t, c)
        if x.mask is not None:
            is_there = x.mask[:, t, None]
            new = Inexact(np.where(is_there, new.value, c.value), np.where(is_there, new.error, c.error))
        c = new
        after.value[:, t], after.error[:, t] = c.value, c.error
    state = steps.state(layer.activation, after)
    return state.value, state.error, c


def _activated(name: ActivationName, x: Inexact) -> Inexact:
    return _gate(name, activate(name, x.value), x.error)


def _gate(name: ActivationName, value: Array, sum_error: Array) -> Inexact:
    """Returns the value of an activation with its error, from the error of the sum before it."""
    carried = steepest(name) * sum_error
    return Inexact(value, carried + own_error(name, np.abs(value) + carried))
