"""A network: layers by name, what each reads, and the network's inputs and outputs. Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.reference.merging import Concatenate, Merge, TakeMask
from rnnx.reference.pointwise import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    LayerNormalization,
    LeakyReLU,
    Masking,
    Rescaling,
)
from rnnx.reference.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D, LastPosition, Pooling1D
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.reshaping import RepeatVector, Reshape, Reverse, ZeroPadding1D
from rnnx.reference.tensor import Array, Tensor

Layer: TypeAlias = (
    Embedding | Masking | Recurrent | Reverse | TakeMask | LastPosition | Concatenate | Merge
    | GlobalAveragePooling1D
    | GlobalMaxPooling1D | Pooling1D | ZeroPadding1D | RepeatVector | Reshape | Dense | Activation | LeakyReLU | ELU
    | Rescaling | BatchNormalization | LayerNormalization
)  # fmt: skip


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
Given: TypeAlias = Mapping[str, npt.NDArray[Any]] | npt.NDArray[Any]


# What stands at the positions of the padding: nothing, because the time is gone (or is no longer that of the inputs);
# what the mask leaves out; the same, but the positions are turned around under a mask that is not; or something that a
# layer over the time would read.
_Padding: TypeAlias = Literal["none", "masked", "turned", "open"]


def _padding_behind(layer: Layer, before: Sequence[_Padding], position_size: int | None) -> _Padding | None:
    """What becomes of the padding behind a layer; None if the layer reads it.

    Args:
        layer: The layer.
        before: What stands in each of its inputs.
        position_size: How many numbers its input has at each position, where that is known.
    """
    first = before[0]
    match layer:
        case Embedding():
            return "masked" if layer.mask_zero else first
        case TakeMask():
            return before[1] if first != "none" else first
        case Concatenate() | Merge():
            return first if len(set(before)) == 1 else "turned" if "turned" in before else "open"
        case Reverse() if first != "none":
            return "masked" if first == "turned" else "turned"
        case Recurrent() if first == "masked" and layer.return_sequences:
            return "turned" if layer.go_backwards else "masked"
        case LastPosition() if first != "none":
            return None if first == "open" else "none"
        case Recurrent() | GlobalAveragePooling1D() if first != "none":
            return "none" if first == "masked" else None
        case GlobalMaxPooling1D() | Pooling1D() | ZeroPadding1D() if first != "none":
            return None
        case Reshape() if first != "none":
            # One row for each position, as before; otherwise the padding comes among the rest.
            return "open" if position_size and layer.shape == (-1, position_size) else None
        case Masking() if first != "none":
            return "open"  # a mask of its own takes the place of the one before
    return first


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
    def recurrent_nodes(self) -> dict[str, Recurrent]:
        """The recurrent layers by name."""
        return {node.name: node.layer for node in self.nodes if isinstance(node.layer, Recurrent)}

    @property
    def masks_zero(self) -> bool:
        """Whether zeros at a position are padding that no layer over the time sees; some, as Keras has them, see it."""
        padding: dict[str, _Padding] = {one.name: "open" for one in self.inputs}
        sizes = {one.name: int(np.prod([size or 0 for size in one.shape[1:]])) for one in self.inputs}
        for node in self.nodes:
            behind = _padding_behind(node.layer, [padding[name] for name in node.inputs], sizes.get(node.inputs[0]))
            if behind is None:
                return False
            padding[node.name] = behind
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
