"""The network in NumPy, in float64, written from the definition; what every other computation is compared with.

The simple recurrent network carries a state from position to position:

    h_t = tanh(U h_{t-1} + W x_t + b)        p_t = softmax(V h_t + c)

x_t is the input at position t, h_t the state, p_t the output; h_0 is zero. A network that answers once for a whole
sequence applies V and c to the last state alone, or to a mean or maximum of all states; with two answers, softmax over
two is a sigmoid over one.

Keras keeps rows where the formula has columns, so it stores the transposed matrices, and here they stand as Keras
stores them: `kernel` is W transposed, (inputs, units); `recurrent_kernel` is U transposed, (units, units). A batch is
(batch, time, features); one row of it is the article's (timesteps, input_features).

A mask marks the positions that hold something. Over a masked position the state is carried on unchanged. The cells
with gates, LSTM and GRU, are in `rnnx.reference.gated`.

The other layers are in `rnnx.reference.pointwise` and `rnnx.reference.pooling`. Imports numpy only, reads no ONNX
graph, and raises on what it does not model.

Source: the definition in Li Hang, "Machine Learning Methods"; masks and layers as Keras 3 defines them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rnnx.reference.activations import ActivationName, activate
from rnnx.reference.tensor import Array, Tensor


@dataclass(frozen=True, eq=False)
class Recurrent(ABC):
    """A recurrence, whatever its step: what it carries from position to position, masks, order, and what it puts out.

    Attributes:
        kernel: W transposed, (inputs, units), the gates of a cell side by side along the units.
        recurrent_kernel: U transposed, (units, units), likewise.
        bias: b, (units,), likewise.
        activation: tanh in the article.
        return_sequences: All states, or the last one alone.
        go_backwards: Reads from the end; the states come in the order in which they were computed.
        zero_output_for_mask: Puts zeros out at masked positions, where otherwise the carried state stands.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    activation: ActivationName
    return_sequences: bool
    go_backwards: bool = False
    zero_output_for_mask: bool = False

    # How many vectors of `units` a cell carries on; the first of them is its state h, which is what it puts out.
    carried_count: ClassVar[int] = 1

    @property
    def units(self) -> int:
        """The size of the state."""
        return len(self.recurrent_kernel)

    @abstractmethod
    def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
        """One step, from (..., inputs) and what is carried, each (..., units), to what is carried on."""

    def in_order(self, x: Tensor) -> Tensor:
        """Turns the input around if this layer reads backwards."""
        if not self.go_backwards:
            return x
        return Tensor(x.values[:, ::-1], None if x.mask is None else x.mask[:, ::-1])

    def carried(self, x: Tensor) -> tuple[Array, ...]:
        """Runs the recurrence over an input that is in order.

        Returns:
            (batch, time, units) each: what is carried on after each position, the state h first.
        """
        batch, time, _ = x.values.shape
        now = (np.zeros((batch, self.units)),) * self.carried_count
        after = tuple(np.empty((batch, time, self.units)) for _ in now)
        for t in range(time):
            new = self.advance(x.values[:, t], now)
            if x.mask is not None:
                new = tuple(np.where(x.mask[:, t, None], n, old) for n, old in zip(new, now, strict=True))
            now = new
            for values, value in zip(after, now, strict=True):
                values[:, t] = value
        return after

    def states(self, x: Tensor) -> Array:
        """The state h after each position of an input that is in order, (batch, time, units)."""
        return self.carried(x)[0]

    def outputs(self, states: Array, x: Tensor) -> Tensor:
        """Selects what the layer puts out from its states over the input `x`, which is in order."""
        if self.zero_output_for_mask and x.mask is not None:
            states = np.where(x.mask[:, :, None], states, 0.0)
        if not self.return_sequences:
            return Tensor(states[:, -1])
        # Keras hands the mask on as it came, not turned around.
        return Tensor(states, self.in_order(x).mask)

    def __call__(self, x: Tensor) -> Tensor:
        x = self.in_order(x)
        return self.outputs(self.states(x), x)


@dataclass(frozen=True, eq=False)
class SimpleRNN(Recurrent):
    """The article's recurrence."""

    def step(self, x_t: Array, h: Array) -> Array:
        """One step: tanh(U h + W x_t + b), for each row of (..., inputs) and (..., units)."""
        return activate(self.activation, h @ self.recurrent_kernel + x_t @ self.kernel + self.bias)

    def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
        return (self.step(x_t, carried[0]),)
