"""The simple recurrent network in NumPy, in float64, written from its definition.

At each position t the network reads an input x_t, updates its state h_t, and computes an output p_t. The first state
h_0 is zero, unless the network gives the layer another one:

    h_t = tanh(U h_{t-1} + W x_t + b)        p_t = softmax(V h_t + c)

A network that gives one output for a whole sequence applies V and c once: to the last state, or to the mean or the
maximum of all states. For two classes, a sigmoid of one logit takes the place of a softmax of two.

Keras multiplies row vectors where the formulas multiply column vectors. It stores the transposed matrices, and so does
this module: `kernel` is W transposed, `(inputs, units)`, and `recurrent_kernel` is U transposed, `(units, units)`. A
batch is `(batch, time, features)`; one row of it is the article's `(timesteps, input_features)`.

A mask is True at the positions that count. At a masked position, where it is False, the state is carried over
unchanged.

`rnnx.reference.gated` has the recurrences with gates, LSTM and GRU. `rnnx.reference.network` puts layers together.

Imports numpy only, and reads no ONNX graph. An activation that is not supported raises a `ValueError`.

Source: the definition in Li Hang, "Machine Learning Methods"; masks and layers as Keras 3 defines them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.primitives import ActivationName, Array, activate, where
from rnnx.reference.tensor import Tensor

# Positions whose products with W are computed at once.
_READ_AT_ONCE = 64
_ALL = slice(None)
# The rows of a batch that are read at a position; None if there are none.
_Rows: TypeAlias = slice | npt.NDArray[np.intp] | None


@dataclass(frozen=True, eq=False)
class Recurrent(ABC):
    """A recurrent layer: the loop over the positions. A subclass defines the single step, `begin` and `finish`.

    Below, `width` is `units` for a SimpleRNN. It is `4 * units` for an LSTM and `3 * units` for a GRU, which store the
    weights of their gates next to each other along the last axis.

    Attributes:
        kernel: `(inputs, width)`, W transposed.
        recurrent_kernel: `(units, width)`, U transposed.
        bias: `(width,)`, b; a GRU may have two.
        activation: The activation of the new state; tanh in the article.
        return_sequences: Whether the layer returns the states of all positions, or the last state only.
        go_backwards: Whether the layer reads from the end. It returns the states in the order of computation.
        zero_output_for_mask: Whether the output at a masked position is zero, in place of the carried state.
    """

    kernel: Array
    recurrent_kernel: Array
    bias: Array
    activation: ActivationName
    return_sequences: bool
    go_backwards: bool = False
    zero_output_for_mask: bool = False

    # The number of state vectors, each of `units` numbers. The first is the hidden state h, which is the output.
    carried_count: ClassVar[int] = 1

    @property
    def units(self) -> int:
        """The size of the hidden state."""
        return len(self.recurrent_kernel)

    def read(self, x: Array) -> Array:
        """Computes what of a step follows from the input alone: the product W x, for any number of positions at once.

        Args:
            x: `(..., inputs)`.

        Returns:
            `(..., width)`, what `begin` needs of each position.
        """
        return x @ self.kernel

    @abstractmethod
    def begin(self, read: Array, h: Array) -> tuple[Array, ...]:
        """Computes what of a step follows from the input and the hidden state alone.

        Args:
            read: The result of `read` at one position.
            h: `(..., units)`, the hidden state before the step.

        Returns:
            The states after the step, if the hidden state is the only one; otherwise what `finish` needs.
        """

    def finish(self, begun: tuple[Array, ...], others: tuple[Array, ...]) -> tuple[Array, ...]:
        """Computes the rest of a step, for a layer that has other states than the hidden one.

        Args:
            begun: The result of `begin`.
            others: The other states before the step, each `(..., units)`.

        Returns:
            The states after the step, the hidden state first; each `(..., units)`.
        """
        assert not others  # noqa: S101  # the hidden state is the only one
        return begun

    def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
        """Computes one step.

        Args:
            x_t: `(..., inputs)`, the input at one position.
            carried: The states before the step, the hidden state first; each `(..., units)`.

        Returns:
            The states after the step, in the same order and shapes.
        """
        h, *others = carried
        return self.finish(self.begin(self.read(x_t), h), tuple(others))

    def in_order(self, x: Tensor) -> Tensor:
        """Returns the input in the order in which this layer reads it: reversed in time if `go_backwards`."""
        if not self.go_backwards:
            return x
        return Tensor(x.values[:, ::-1], None if x.mask is None else x.mask[:, ::-1])

    def carried(self, x: Tensor, first: Sequence[Array] = (), added: Sequence[Array] = ()) -> tuple[Array, ...]:
        """Runs the recurrence.

        Args:
            x: `(batch, time, inputs)`, in reading order (see `in_order`).
            first: The states before the first position, the hidden state h first, each `(batch, units)`; zero if empty.
            added: What is added to each state after each step, as a disturbance, `(batch, time, units)`; nothing if
                empty.

        Returns:
            The states after each position, the hidden state h first; each `(batch, time, units)`.
        """
        batch, time, _ = x.values.shape
        states = [np.array(state) for state in first] or [np.zeros((batch, self.units))] * self.carried_count
        history = tuple(np.empty((batch, time, self.units)) for _ in states)
        for t, (rows, read) in enumerate(self._read_steps(x)):
            if rows is not None:
                h, *others = (state[rows] for state in states)
                new_states = self.finish(self.begin(read, h), tuple(others))
                if added:
                    new_states = tuple(new + more[rows, t] for new, more in zip(new_states, added, strict=True))
                if rows is _ALL:
                    states = list(new_states)
                else:
                    states = [_replaced(state, rows, new) for state, new in zip(states, new_states, strict=True)]
            for values, state in zip(history, states, strict=True):
                values[:, t] = state
        return history

    def _read_steps(self, x: Tensor) -> Iterator[tuple[_Rows, Array]]:
        """Yields the rows that are read at each position, and the result of `read` for them."""
        batch, time, _ = x.values.shape
        rows = _read_rows(x)
        for start in range(0, time, _READ_AT_ONCE):
            chosen = rows[start : start + _READ_AT_ONCE]
            given = x.values[:, start : start + _READ_AT_ONCE].swapaxes(0, 1)
            if batch == 1 or all(each is _ALL for each in chosen):
                yield from zip(chosen, self.read(given), strict=True)
                continue
            # Most positions of a padded batch may be masked. Nothing is computed there.
            all_rows = np.arange(batch)
            indices = [all_rows[:0] if each is None else all_rows[each] for each in chosen]
            ends = np.cumsum([len(each) for each in indices])
            steps = np.repeat(np.arange(len(chosen)), [len(each) for each in indices])
            read = self.read(given[steps, np.concatenate(indices)])
            yield from zip(chosen, np.split(read, ends[:-1]), strict=True)

    def states(self, x: Tensor, first: Sequence[Array] = ()) -> Array:
        """Returns the hidden state h after each position of an input in reading order, `(batch, time, units)`."""
        return self.carried(x, first)[0]

    def outputs(self, states: Array, x: Tensor, *, has_first: bool = False) -> Tensor:
        """Returns the layer's output, given its hidden states.

        Args:
            states: `(batch, time, units)`, the hidden state after each position.
            x: The input in reading order; only its mask is used.
            has_first: Whether the layer was given first states. Keras's output is zero until the first position that
                counts, while the state is the first state there.

        Returns:
            `(batch, time, units)` and the mask if `return_sequences`; otherwise `(batch, units)`, the last state.
        """
        if self.zero_output_for_mask and x.mask is not None:
            states = where(x.mask[:, :, None], states, 0.0)
        elif has_first and x.mask is not None:
            states = where(np.logical_or.accumulate(x.mask, axis=1)[:, :, None], states, 0.0)
        if not self.return_sequences:
            return Tensor(states[:, -1])
        # Keras passes the mask on as it received it, so the reversal is undone here; the states stay reversed.
        return Tensor(states, self.in_order(x).mask)

    def __call__(self, x: Tensor, *first: Tensor) -> Tensor:
        x = self.in_order(x)
        return self.outputs(self.states(x, [state.values for state in first]), x, has_first=bool(first))


def _read_rows(x: Tensor) -> list[_Rows]:
    """Returns the rows of a batch that are read at each position. At the others, the state is carried over."""
    batch, time = x.values.shape[:2]
    if x.mask is None:
        return [_ALL] * time
    return [
        _ALL if count == batch else _at_least_two(np.flatnonzero(is_read)) if count else None
        for count, is_read in zip(x.mask.sum(axis=0).tolist(), x.mask.T, strict=True)
    ]


def _at_least_two(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Returns a single row twice: BLAS multiplies a vector by another function, which adds in another order."""
    return np.repeat(rows, 2) if len(rows) == 1 else rows


def _replaced(state: Array, rows: _Rows, new: Array) -> Array:
    """Returns a state with new values in some rows."""
    state = state.copy()
    state[rows] = new
    return state


@dataclass(frozen=True, eq=False)
class SimpleRNN(Recurrent):
    """The article's recurrent layer: h_t = tanh(U h_{t-1} + W x_t + b)."""

    def step(self, x_t: Array, h: Array) -> Array:
        """Computes the state after one step from the input `(..., inputs)` and the state `(..., units)` before it."""
        return self.begin(self.read(x_t), h)[0]

    def begin(self, read: Array, h: Array) -> tuple[Array, ...]:
        """Computes the state after one step: tanh(U h + W x + b), where `read` is W x."""
        return (activate(self.activation, h @ self.recurrent_kernel + read + self.bias),)
