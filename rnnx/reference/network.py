"""A network of the reference: its layers with their inputs, and its inputs and outputs. Imports NumPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Array
from rnnx.reference.gated import LSTM
from rnnx.reference.layer import Layer, RecurrentLayer
from rnnx.reference.padding import reads_padding
from rnnx.reference.pointwise import Dense
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.tensor import NamedArrays, Tensor

# The kind of an output. Each number of a sigmoid is a probability; the numbers of a softmax are the probabilities of
# all classes; the numbers of any other output are values.
HeadKind: TypeAlias = Literal["sigmoid", "softmax", "values"]


def last_state_of(name: str) -> str:
    """Returns the name under which nodes read the last hidden state of a layer, `(batch, units)`.

    It is needed where the output at the last position may be another one, because of a mask.
    """
    return f"{name}.last"


def cell_state_of(name: str) -> str:
    """Returns the name under which nodes read the last cell state of an LSTM, `(batch, units)`."""
    return f"{name}.cell"


@dataclass(frozen=True)
class Node:
    """A layer in a network: its name, and the names of the nodes (or `ids`) that it reads.

    A recurrent layer may read its first states too, after its input: h, and for an LSTM c.
    """

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def head_kind(self) -> HeadKind:
        """The kind of the node's output; only a Dense with a sigmoid or a softmax gives probabilities."""
        match self.layer:
            case Dense(activation="sigmoid"):
                return "sigmoid"
            case Dense(activation="softmax"):
                return "softmax"
        return "values"


INPUT_NAME = "ids"
NUMBERS_NAME = "x"
OUTPUT_NAME = "probs"
# The name of the only output of a network if it gives no probabilities.
VALUES_NAME = "values"


InputKind: TypeAlias = Literal["ids", "numbers", "mask"]
InputType: TypeAlias = Literal["int32", "float32", "bool"]
_TYPES: Mapping[InputKind, InputType] = {"ids": "int32", "numbers": "float32", "mask": "bool"}


@dataclass(frozen=True)
class Input:
    """An input of a network.

    Attributes:
        name: `ids`, or its name in Keras.
        kind: `ids` are looked up by an Embedding (int32); `numbers` are features (float32); a `mask` says which
            positions count (bool).
        shape: The shape of one row; None is the time, which may differ from batch to batch.
        size: The number of ids; 0 for numbers, and if it is not known.
    """

    name: str = INPUT_NAME
    kind: InputKind = "ids"
    shape: tuple[int | None, ...] = (None,)
    size: int = 0

    @property
    def dtype(self) -> InputType:
        """The NumPy dtype of the input."""
        return _TYPES[self.kind]


# The inputs by name; or the array alone, for a network with one input.
Given: TypeAlias = NamedArrays | npt.NDArray[Any]


@dataclass(frozen=True)
class Network:
    """A network: its layers, in an order in which each layer comes after its inputs.

    Attributes:
        nodes: The layers.
        inputs: The inputs, in the order of those of the file.
        outputs: The name of the node for each output name; empty if the only output is that of the last node.
        whole: The inputs of numbers that Keras reads as integers. It is known when a model is exported; files do not
            need it.
    """

    nodes: Sequence[Node]
    inputs: tuple[Input, ...] = (Input(),)
    outputs: Mapping[str, str] = field(default_factory=dict)
    whole: tuple[str, ...] = ()

    @property
    def ends(self) -> dict[str, Node]:
        """The node of each output by name; the last node as `probs` if no outputs are named."""
        nodes = {node.name: node for node in self.nodes}
        return {name: nodes[end] for name, end in self.outputs.items()} or {OUTPUT_NAME: self.nodes[-1]}

    @property
    def recurrent_nodes(self) -> dict[str, RecurrentLayer]:
        """The recurrent layers by name."""
        return {node.name: node.layer for node in self.nodes if isinstance(node.layer, Recurrent)}

    @property
    def shown_states(self) -> tuple[str, ...]:
        """The names of the states that a proof compares: of each recurrent layer, and each cell state that is read."""
        read = {name for node in self.nodes for name in node.inputs}
        lstms = [name for name, layer in self.recurrent_nodes.items() if isinstance(layer, LSTM)]
        return (*self.recurrent_nodes, *(cell_state_of(name) for name in lstms if cell_state_of(name) in read))

    @cached_property
    def masks_zero(self) -> bool:
        """Whether positions of zeros are padding that no layer reads; some layers of Keras do read padding."""
        # An input of a fixed time cannot be padded.
        is_open = all(port.shape[0] is None for port in self.inputs)
        return is_open and not reads_padding(self)

    def named(self, given: Given) -> dict[str, npt.NDArray[Any]]:
        """Returns the inputs by name, in their order.

        Raises:
            ValueError: If an input is missing or unknown, has another shape, or has a time of 0.
        """
        if not isinstance(given, Mapping):
            given = {self.inputs[0].name: given}
        names = [port.name for port in self.inputs]
        if given.keys() != set(names):
            raise ValueError(f"inputs should be {', '.join(names)}, not {', '.join(given)}")
        for port in self.inputs:
            shape = given[port.name].shape
            fits = len(shape) == 1 + len(port.shape) and all(
                size > 0 and (own is None or own == size) for own, size in zip(port.shape, shape[1:], strict=True)
            )
            if not fits:
                sizes = ", ".join(["batch", *("time" if size is None else str(size) for size in port.shape)])
                raise ValueError(f"{port.name} should be ({sizes}) with a time of at least 1, not {shape}")
        return {name: given[name] for name in names}

    def forward(
        self,
        given: Given,
        states: Mapping[str, Array] | None = None,
        histories: dict[str, tuple[Array, ...]] | None = None,
    ) -> dict[str, Tensor]:
        """Runs the network.

        Args:
            given: The inputs: ids int32 (batch, time), numbers (batch, time, features), masks bool (batch, time); time
                at least 1.
            states: By recurrent layer, the states `(batch, time, units)` of another computation, and by their own
                names the last cell states `(batch, 1, units)` that are read (`shown_states`). They replace the states
                of this one, so that the outputs of all later layers follow exactly from them.
            histories: If given, the states of each recurrence are added to it by name, as `Recurrent.carried` returns
                them.

        Returns:
            The output of each node, and the inputs, by name.

        Raises:
            ValueError: If the input is so short that a layer gives nothing for it.
        """
        outputs = {name: Tensor(values.astype(np.float64)) for name, values in self.named(given).items()}
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite never passes a comparison
            self._add_outputs(outputs, states, histories)
        return outputs

    def _add_outputs(
        self,
        outputs: dict[str, Tensor],
        states: Mapping[str, Array] | None,
        histories: dict[str, tuple[Array, ...]] | None,
    ) -> None:
        """Adds the output of each node to those of the inputs; see `forward`."""
        shown = self.shown_states
        read = {name for node in self.nodes for name in node.inputs}
        for node in self.nodes:
            inputs = [outputs[name] for name in node.inputs]
            cell_state = cell_state_of(node.name)
            last_state = last_state_of(node.name)
            is_split = states is not None or histories is not None or bool({cell_state, last_state} & read)
            if isinstance(node.layer, Recurrent) and is_split:
                x = node.layer.in_order(inputs[0])
                if states is None:
                    history = node.layer.carried(x, [state.values for state in inputs[1:]])
                    if histories is not None:
                        histories[node.name] = history
                else:
                    history = tuple(states[name] for name in (node.name, cell_state) if name in shown)
                outputs[node.name] = node.layer.outputs(history[0], x, has_first=len(inputs) > 1)
                outputs[last_state] = Tensor(history[0][:, -1])
                if cell_state in shown:
                    outputs[cell_state] = Tensor(history[1][:, -1])
            else:
                outputs[node.name] = node.layer(*inputs)
            if 0 in outputs[node.name].values.shape[1:]:
                raise ValueError(f"layer {node.name} gives nothing for so short an input")

    def answers(self, given: Given) -> dict[str, Array]:
        """Runs the network and returns its outputs by name."""
        tensors = self.forward(given)
        return {name: tensors[node.name].values for name, node in self.ends.items()}

    def predict(self, given: Given) -> Array:
        """Runs the network and returns its first output alone."""
        return next(iter(self.answers(given).values()))
