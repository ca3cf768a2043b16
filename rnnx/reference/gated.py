"""The recurrences with gates, in NumPy, in float64, written from the definition: LSTM and GRU.

A gate is a vector of numbers, as a rule between 0 and 1, that says unit by unit how much goes through. In the formulas
`*` is the product unit by unit, s the recurrent activation (a sigmoid as a rule) and g the activation (tanh as a rule);
each gate has its own W, U and b. Keras lays them side by side, transposed as in `rnnx.reference.network`: `kernel` is
(inputs, gates times units), `recurrent_kernel` (units, gates times units).

Imports numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnnx.reference.activations import ActivationName, activate
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.tensor import Array


@dataclass(frozen=True, eq=False)
class LSTM(Recurrent):
    """Long short-term memory: beside the state h, a memory c is carried on, and gates say what stays in it.

        i_t = s(U_i h_{t-1} + W_i x_t + b_i)      f_t = s(U_f h_{t-1} + W_f x_t + b_f)
        c_t = f_t * c_{t-1} + i_t * g(U_c h_{t-1} + W_c x_t + b_c)
        o_t = s(U_o h_{t-1} + W_o x_t + b_o)      h_t = o_t * g(c_t)

    Attributes:
        bias: (4 units,).
        recurrent_activation: s.

    Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997, with the forget gate of F. Gers,
    J. Schmidhuber and F. Cummins, "Learning to forget", 2000; the gates stand in the order i, f, c, o, as in Keras 3.
    """

    recurrent_activation: ActivationName = "sigmoid"

    carried_count: ClassVar[int] = 2

    def gates(self, x_t: Array, h: Array) -> tuple[Array, Array, Array, Array]:
        """The gates i, f and o, and between f and o the candidate g(...), each (..., units)."""
        i, f, c, o = np.split(x_t @ self.kernel + h @ self.recurrent_kernel + self.bias, 4, axis=-1)
        s = self.recurrent_activation
        return activate(s, i), activate(s, f), activate(self.activation, c), activate(s, o)

    def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
        """One step of state and memory."""
        h, c = carried
        i, f, candidate, o = self.gates(x_t, h)
        c = f * c + i * candidate
        return o * activate(self.activation, c), c


@dataclass(frozen=True, eq=False)
class GRU(Recurrent):
    """The gated recurrent unit: one gate says how much of the state stays, one how much of it the candidate sees.

        z_t = s(U_z h_{t-1} + W_z x_t + b_z)      r_t = s(U_r h_{t-1} + W_r x_t + b_r)
        h_t = z_t * h_{t-1} + (1 - z_t) * k_t

    The candidate k_t comes in two variants: the reset gate r applied before the product with U_k, as first published,

        k_t = g(U_k (r_t * h_{t-1}) + W_k x_t + b_k)

    or after it (`reset_after`), where the input and the state have a bias each, b and d, in z and r too:

        k_t = g(r_t * (U_k h_{t-1} + d_k) + W_k x_t + b_k)

    Attributes:
        bias: (3 units,); with `reset_after` (2, 3 units), b above d.
        recurrent_activation: s.
        reset_after: Which of the two.

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", 2014 (its z is 1 - z here); the gates stand in the order z, r, k, as in Keras 3.
    """

    recurrent_activation: ActivationName = "sigmoid"
    reset_after: bool = True

    @property
    def biases(self) -> tuple[Array, Array]:
        """Of the input and of the state, (3 units,) each; without `reset_after` the state has none."""
        if self.reset_after:
            return self.bias[0], self.bias[1]
        return self.bias, np.zeros_like(self.bias)

    def gates(self, x_t: Array, h: Array) -> tuple[Array, Array, Array, Array]:
        """The gates z and r, the candidate, and what the state gives for it: U_k h + d_k, or U_k (r * h)."""
        input_bias, recurrent_bias = self.biases
        x_z, x_r, x_k = np.split(x_t @ self.kernel + input_bias, 3, axis=-1)
        u_z, u_r, u_k = np.split(self.recurrent_kernel, 3, axis=-1)
        d_z, d_r, d_k = np.split(recurrent_bias, 3)
        z = activate(self.recurrent_activation, x_z + h @ u_z + d_z)
        r = activate(self.recurrent_activation, x_r + h @ u_r + d_r)
        recalled = h @ u_k + d_k if self.reset_after else (r * h) @ u_k
        return z, r, activate(self.activation, x_k + (r * recalled if self.reset_after else recalled)), recalled

    def step(self, x_t: Array, h: Array) -> Array:
        """One step, for each row of (..., inputs) and (..., units)."""
        z, _, candidate, _ = self.gates(x_t, h)
        return z * h + (1.0 - z) * candidate

    def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
        """One step of the state."""
        return (self.step(x_t, carried[0]),)
