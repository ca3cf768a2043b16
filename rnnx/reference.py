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
with gates, LSTM and GRU, are in `rnnx.cells`.

Imports numpy only, reads no ONNX graph, and raises on what it does not model.

Source: the definition in Li Hang, "Machine Learning Methods"; masks and layers as Keras 3 defines them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]

ActivationName = Literal[
    "linear", "tanh", "relu", "sigmoid", "softmax", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu"
]
LEAKY_SLOPE = 0.2  # below zero, Keras's own


def activate(name: ActivationName, x: Array) -> Array:
    """Applies an activation as Keras 3 defines it; softmax runs over the last axis."""
    match name:
        case "linear":
            return x
        case "tanh":
            return np.tanh(x)
        case "relu":
            return np.maximum(x, 0.0)
        case "sigmoid":
            with np.errstate(invalid="ignore"):  # NaN in, NaN out
                return np.exp(-np.logaddexp(0.0, -x))  # 1 / (1 + exp(-x)) without overflow
        case "softmax":
            powers = np.exp(x - x.max(axis=-1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
        case "hard_sigmoid":
            return np.asarray(np.clip(x + 3.0, 0.0, 6.0) / 6.0)
        case "softsign":
            return x / (1.0 + np.abs(x))
        case "softplus":
            return np.asarray(np.logaddexp(0.0, x))  # log(1 + exp(x)) without overflow
        case "elu":
            return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))
        case "leaky_relu":
            return np.where(x > 0, x, LEAKY_SLOPE * x)
    raise ValueError(f"activation {name!r} is not modelled")


@dataclass(frozen=True)
class Tensor:
    """Values with the mask that travels along.

    Attributes:
        values: (batch, time, features), or (batch, features) after the time is gone; ids (batch, time) at the input.
        mask: (batch, time), True where there is something; None where everything counts.
    """

    values: Array
    mask: Mask | None = None


@dataclass(frozen=True, eq=False)
class Embedding:
    """Looks up one row of `table` (vocabulary, features) per id; with `mask_zero`, id 0 is masked from here on."""

    table: Array
    mask_zero: bool

    def __call__(self, ids: Tensor) -> Tensor:
        indices = ids.values.astype(np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self.table):
            raise ValueError(f"ids should lie in 0..{len(self.table) - 1}")
        return Tensor(self.table[indices], indices != 0 if self.mask_zero else None)


@dataclass(frozen=True, eq=False)
class Recurrent:
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

    def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
        """One step, from (..., inputs) and what is carried, each (..., units), to what is carried on."""
        raise NotImplementedError

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


@dataclass(frozen=True)
class Reverse:
    """Turns the time around, behind the backward half of a Bidirectional; the mask was never turned and stays."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, ::-1], x.mask)


@dataclass(frozen=True)
class Concatenate:
    """Joins the features of several inputs of one mask."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        return Tensor(np.concatenate([x.values for x in inputs], axis=-1), inputs[0].mask)


@dataclass(frozen=True)
class GlobalAveragePooling1D:
    """The mean over the positions that are not masked; NaN, as in Keras, if all are."""

    def __call__(self, x: Tensor) -> Tensor:
        if x.mask is None:
            return Tensor(x.values.mean(axis=1))
        weights = x.mask[:, :, None].astype(np.float64)
        with np.errstate(invalid="ignore"):
            return Tensor((x.values * weights).sum(axis=1) / weights.sum(axis=1))


@dataclass(frozen=True)
class GlobalMaxPooling1D:
    """The maximum over all positions, the masked ones too: Keras's layer ignores the mask."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values.max(axis=1))


@dataclass(frozen=True, eq=False)
class Dense:
    """activation(x kernel + bias); the article's V (transposed) and c, at every position or once.

    Attributes:
        kernel: (inputs, outputs).
        bias: (outputs,).
    """

    kernel: Array
    bias: Array
    activation: ActivationName

    def logits(self, x: Array) -> Array:
        """What the activation is applied to."""
        return x @ self.kernel + self.bias

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(activate(self.activation, self.logits(x.values)), x.mask)


Layer: TypeAlias = Embedding | Recurrent | Reverse | Concatenate | GlobalAveragePooling1D | GlobalMaxPooling1D | Dense


@dataclass(frozen=True)
class Node:
    """A layer in a network: its name, and the names of the nodes (or `ids`) that it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


INPUT_NAME = "ids"


@dataclass(frozen=True)
class Network:
    """Layers in an order in which each comes after what it reads; the last one is the output."""

    nodes: Sequence[Node]

    @property
    def recurrent_nodes(self) -> dict[str, Recurrent]:
        """The recurrent layers by name."""
        return {node.name: node.layer for node in self.nodes if isinstance(node.layer, Recurrent)}

    @property
    def masks_zero(self) -> bool:
        """Whether id 0 is padding that no layer sees; GlobalMaxPooling1D, as Keras has it, sees it nevertheless."""
        layers = [node.layer for node in self.nodes]
        sees_padding = any(isinstance(layer, GlobalMaxPooling1D) for layer in layers)
        return not sees_padding and any(isinstance(layer, Embedding) and layer.mask_zero for layer in layers)

    def forward(self, ids: npt.NDArray[np.int32], states: Mapping[str, Array] | None = None) -> dict[str, Tensor]:
        """Runs the network.

        Args:
            ids: (batch, time) int32, time at least 1.
            states: By recurrent layer, the states (batch, time, units) of another computation, taken in place of this
                one's: everything behind that layer is then what follows exactly from those states.

        Returns:
            What each node puts out, by name; the input under `ids`.
        """
        if ids.ndim != 2 or ids.shape[1] == 0:
            raise ValueError(f"ids should be (batch, time) with a time of at least 1, not {ids.shape}")
        outputs = {INPUT_NAME: Tensor(ids.astype(np.float64))}
        for node in self.nodes:
            inputs = [outputs[name] for name in node.inputs]
            if isinstance(node.layer, Recurrent) and states is not None:
                outputs[node.name] = node.layer.outputs(states[node.name], node.layer.in_order(inputs[0]))
            else:
                outputs[node.name] = node.layer(*inputs)
        return outputs

    def predict(self, ids: npt.NDArray[np.int32]) -> Array:
        """Runs the network and returns its last output alone."""
        return self.forward(ids)[self.nodes[-1].name].values
