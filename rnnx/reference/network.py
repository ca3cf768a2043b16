"""A network: layers by name, what each reads, and the network's inputs and outputs. Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.reference.layer import Layer, RecurrentLayer
from rnnx.reference.padding import Padding, padding_after
from rnnx.reference.pointwise import Dense, Embedding
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.tensor import Array, NamedArrays, Tensor

# What an output is: a sigmoid gives a probability with each number, a softmax with all of them; anything else gives
# values.
HeadKind: TypeAlias = Literal["sigmoid", "softmax", "values"]


@dataclass(frozen=True)
class Node:
    """A layer in a network: its name, and the names of the nodes (or `ids`) that it reads."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]

    @property
    def head_kind(self) -> HeadKind:
        """What the node is as an output: probabilities come from a Dense with a sigmoid or a softmax."""
        match self.layer:
            case Dense(activation="sigmoid"):
                return "sigmoid"
            case Dense(activation="softmax"):
                return "softmax"
        return "values"


INPUT_NAME = "ids"
NUMBERS_NAME = "x"
OUTPUT_NAME = "probs"
# The one output of a network that gives no probabilities.
VALUES_NAME = "values"


@dataclass(frozen=True)
class Input:
    """What a network reads.

    Attributes:
        name: `ids`, or what Keras calls it.
        kind: `ids` are looked up by an Embedding (int32); `numbers` are features (float32).
        shape: Of one row: None stands for the time, which differs from batch to batch.
        size: Ids run from 0 to one below it; 0 for numbers, and where nothing is known.
    """

    name: str = INPUT_NAME
    kind: Literal["ids", "numbers"] = "ids"
    shape: tuple[int | None, ...] = (None,)
    size: int = 0


# By input name; or, for a network with a single input, that one alone.
Given: TypeAlias = NamedArrays | npt.NDArray[Any]


@dataclass(frozen=True)
class Network:
    """Layers in an order in which each comes after what it reads.

    Attributes:
        nodes: The layers.
        inputs: What it reads, in the order of the file's inputs.
        outputs: Output name to the node that gives it; empty for one output, the last node's.
    """

    nodes: Sequence[Node]
    inputs: tuple[Input, ...] = (Input(),)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def ends(self) -> dict[str, Node]:
        """Output name to node; `probs` for the last one where there is no other."""
        nodes = {node.name: node for node in self.nodes}
        return {name: nodes[end] for name, end in self.outputs.items()} or {OUTPUT_NAME: self.nodes[-1]}

    @property
    def recurrent_nodes(self) -> dict[str, RecurrentLayer]:
        """The recurrent layers by name."""
        return {node.name: node.layer for node in self.nodes if isinstance(node.layer, Recurrent)}

    @property
    def masks_zero(self) -> bool:
        """Whether zeros at a position are padding that no layer over the time sees; some, as Keras has them, see it."""
        padding: dict[str, Padding] = {one.name: "open" for one in self.inputs}
        sizes = {one.name: int(np.prod([size or 0 for size in one.shape[1:]])) for one in self.inputs}
        for node in self.nodes:
            after = padding_after(node.layer, [padding[name] for name in node.inputs], sizes.get(node.inputs[0]))
            if after is None:
                return False
            padding[node.name] = after
            if isinstance(node.layer, Embedding):
                sizes[node.name] = sizes.get(node.inputs[0], 0) * node.layer.table.shape[-1]
        # An input of a fixed time cannot be padded.
        is_open = all(one.shape[0] is None for one in self.inputs)
        return is_open and all(padding[end.name] != "turned" for end in self.ends.values())

    def named(self, given: Given) -> dict[str, npt.NDArray[Any]]:
        """The inputs by name, in their order.

        Raises:
            ValueError: If there are others, or one is not of its shape, or has a time of 0.
        """
        if not isinstance(given, Mapping):
            given = {self.inputs[0].name: given}
        if given.keys() != {one.name for one in self.inputs}:
            raise ValueError(f"inputs should be {', '.join(one.name for one in self.inputs)}, not {', '.join(given)}")
        for one in self.inputs:
            shape = given[one.name].shape
            fits = len(shape) == 1 + len(one.shape) and all(
                size > 0 and (own is None or own == size) for own, size in zip(one.shape, shape[1:], strict=True)
            )
            if not fits:
                sizes = ", ".join(["batch", *("time" if size is None else str(size) for size in one.shape)])
                raise ValueError(f"{one.name} should be ({sizes}) with a time of at least 1, not {shape}")
        return {one.name: given[one.name] for one in self.inputs}

    def forward(self, given: Given, states: Mapping[str, Array] | None = None) -> dict[str, Tensor]:
        """Runs the network.

        Args:
            given: The inputs: ids int32 (batch, time), numbers (batch, time, features); time at least 1.
            states: By recurrent layer, the states (batch, time, units) of another computation, taken in place of this
                one's: everything behind that layer is then what follows exactly from those states.

        Returns:
            What each node puts out, by name; the inputs under theirs.
        """
        outputs = {name: Tensor(values.astype(np.float64)) for name, values in self.named(given).items()}
        for node in self.nodes:
            inputs = [outputs[name] for name in node.inputs]
            if isinstance(node.layer, Recurrent) and states is not None:
                outputs[node.name] = node.layer.outputs(states[node.name], node.layer.in_order(inputs[0]))
            else:
                outputs[node.name] = node.layer(*inputs)
        return outputs

    def answers(self, given: Given) -> dict[str, Array]:
        """Runs the network and returns its outputs by name."""
        tensors = self.forward(given)
        return {name: tensors[node.name].values for name, node in self.ends.items()}

    def predict(self, given: Given) -> Array:
        """Runs the network and returns its first output alone."""
        return next(iter(self.answers(given).values()))
