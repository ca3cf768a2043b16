"""The recurrences with gates, LSTM and GRU, in NumPy, in float64, written from their definitions.

A gate is a vector of numbers, normally between 0 and 1, that says for each unit how much passes. In the formulas, `*`
is the elementwise product, s is the recurrent activation (normally a sigmoid), and g is the activation (normally tanh).

Each gate has its own W, U and b. Keras stores them transposed and next to each other along the last axis: `kernel` is
`(inputs, gates * units)` and `recurrent_kernel` is `(units, gates * units)`.

Imports numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnnx.primitives import ActivationName, Array, activate, mix, split
from rnnx.reference.recurrent import Recurrent


@dataclass(frozen=True, eq=False)
class LSTM(Recurrent):
    """Long short-term memory: a cell state c next to the hidden state h, and gates that say what c keeps.

        i_t = s(U_i h_{t-1} + W_i x_t + b_i)      f_t = s(U_f h_{t-1} + W_f x_t + b_f)
        c_t = f_t * c_{t-1} + i_t * g(U_c h_{t-1} + W_c x_t + b_c)
        o_t = s(U_o h_{t-1} + W_o x_t + b_o)      h_t = o_t * g(c_t)

    i is the input gate, f the forget gate, o the output gate. The weights are stored in the order i, f, c, o, as in
    Keras 3.

    Attributes:
        bias: `(4 * units,)`.
        recurrent_activation: s.

    Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", 1997, with the forget gate of F. Gers,
    J. Schmidhuber and F. Cummins, "Learning to forget", 2000.
    """

    recurrent_activation: ActivationName = "sigmoid"

    carried_count: ClassVar[int] = 2

    def gates(self, read: Array, h: Array) -> tuple[Array, Array, Array, Array]:
        """Computes the gates of one step.

        Args:
            read: `(..., 4 * units)`, W x_t.
            h: `(..., units)`, the hidden state before the step.

        Returns:
            i, f, the candidate g(U_c h + W_c x_t + b_c), and o; each `(..., units)`.
        """
        i, f, c, o = split(read + h @ self.recurrent_kernel + self.bias, 4)
        s = self.recurrent_activation
        return activate(s, i), activate(s, f), activate(self.activation, c), activate(s, o)

    def begin(self, read: Array, h: Array) -> tuple[Array, ...]:
        return self.gates(read, h)

    def finish(self, begun: tuple[Array, ...], others: tuple[Array, ...]) -> tuple[Array, ...]:
        """Computes the hidden state and the cell state after one step, from its gates and the cell state before it."""
        (i, f, candidate, o), (c,) = begun, others
        c = f * c + i * candidate
        return o * activate(self.activation, c), c


@dataclass(frozen=True, eq=False)
class GRU(Recurrent):
    """The gated recurrent unit: z says how much of the old state stays, r how much of it the candidate k sees.

        z_t = s(U_z h_{t-1} + W_z x_t + b_z)      r_t = s(U_r h_{t-1} + W_r x_t + b_r)
        h_t = z_t * h_{t-1} + (1 - z_t) * k_t

    z is the update gate, r the reset gate. There are two variants of the candidate k_t. In version 3 of the paper, the
    reset gate is applied before the product with U_k:

        k_t = g(U_k (r_t * h_{t-1}) + W_k x_t + b_k)

    In version 1 it is applied after the product (`reset_after`). In Keras, the input and the state then have a bias
    each, b and d, in z and r too:

        k_t = g(r_t * (U_k h_{t-1} + d_k) + W_k x_t + b_k)

    The weights are stored in the order z, r, k, as in Keras 3.

    Attributes:
        bias: `(3 * units,)`; with `reset_after` `(2, 3 * units)`, first b, then d.
        recurrent_activation: s.
        reset_after: Whether the reset gate is applied after the product with U_k.

    Source: K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", 2014, arXiv:1406.1078; the variants as in Keras 3.
    """

    recurrent_activation: ActivationName = "sigmoid"
    reset_after: bool = True

    @property
    def biases(self) -> tuple[Array, Array]:
        """The bias of the input and that of the state, each `(3 * units,)`; d is zero without `reset_after`."""
        if self.reset_after:
            return self.bias[0], self.bias[1]
        return self.bias, np.zeros_like(self.bias)

    def step(self, x_t: Array, h: Array) -> Array:
        """Computes the state after one step from the input `(..., inputs)` and the state `(..., units)` before it."""
        return self.begin(self.read(x_t), h)[0]

    def begin(self, read: Array, h: Array) -> tuple[Array, ...]:
        """Computes the state after one step, where `read` is W x_t, `(..., 3 * units)`."""
        input_bias, recurrent_bias = self.biases
        x_z, x_r, x_k = split(read + input_bias, 3)
        u_z, u_r, u_k = split(self.recurrent_kernel, 3)
        d_z, d_r, d_k = split(recurrent_bias, 3)
        z = activate(self.recurrent_activation, x_z + h @ u_z + d_z)
        r = activate(self.recurrent_activation, x_r + h @ u_r + d_r)
        recalled = r * (h @ u_k + d_k) if self.reset_after else (r * h) @ u_k
        k = activate(self.activation, x_k + recalled)
        return (mix(z, h, k),)  # z * h + (1 - z) * k
