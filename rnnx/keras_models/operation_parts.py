"""What the readers of operations ask of an operation of a functional model: its inputs, arguments, axes and constants.

Imports Keras.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.explicit_masks import computed_mask, is_same_mask
from rnnx.keras_models.folding import Fold, Unfold
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.read_layers import is_passed_over
from rnnx.reference import Array


@dataclass(frozen=True)
class Chain:
    """Several layers, each of which reads the one before it, that compute one output of an operation together."""

    layers: tuple[reference.Layer, ...]


LayerOrChain: TypeAlias = reference.Layer | Chain
# Turns an operation into its layer of the reference, or into one reading for each of its outputs.
OperationReader: TypeAlias = Callable[[Any], LayerOrChain | list[LayerOrChain]]

# The evidence of a file has them as text.
MOST_CONSTANTS = 1 << 14

# The operations that round nothing. A comparison may jump.
_EXACT = frozenset(
    {
        "Abs", "Absolute", "All", "Any", "Append", "ArraySplit", "Cast", "Concatenate", "ConvertToTensor", "Copy",
        "Dstack", "Equal", "ExpandDims", "Fabs", "Flip", "Fliplr", "FullLike", "GetItem", "Greater", "GreaterEqual",
        "Hsplit", "Hstack", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "Max", "Maximum",
        "Min", "Minimum", "Moveaxis", "Negative", "NotEqual", "OneHot", "OnesLike", "Pad", "Relu", "Repeat", "Reshape",
        "Roll", "Split", "Squeeze", "Stack", "StopGradient", "Swapaxes", "Take", "TakeAlongAxis", "Tile",
        "Transpose", "Tril", "Triu", "Unstack", "ZerosLike",
    }
)  # fmt: skip
_EXACT_OF_INTEGERS = ("Add", "CountNonzero", "Multiply", "Subtract", "Sum")
_EXACT_LAYERS = (
    layers.InputLayer, layers.Embedding, layers.Masking, layers.Reshape, layers.Flatten, layers.Permute,
    layers.RepeatVector, layers.ZeroPadding1D, layers.ZeroPadding2D, layers.UpSampling1D, layers.Cropping1D,
    layers.Cropping2D, layers.Concatenate, layers.MaxPooling1D, layers.MaxPooling2D, layers.CategoryEncoding,
    layers.Discretization, layers.IntegerLookup, Fold, Unfold,
)  # fmt: skip
OF_HEADS = (layers.MultiHeadAttention, layers.GroupQueryAttention)
ATTENTIONS = (layers.Attention, layers.AdditiveAttention, *OF_HEADS)


def chain(layers: Sequence[reference.Layer]) -> LayerOrChain:
    """Returns layers that are computed one after the other; one that does nothing if there are none."""
    if len(layers) == 1:
        return layers[0]
    return Chain(tuple(layers)) if layers else reference.ApplyFunction("linear")


def is_operation(layer: Any) -> bool:
    """Says whether a part of a functional model is an operation and no layer."""
    return not isinstance(layer, keras.Layer)


def inputs_of(operation: Any) -> list[Any]:
    """Returns the computed inputs of an operation."""
    tensors: list[Any] = keras.tree.flatten(operation.input)
    return tensors


def outputs_of(operation: Any) -> list[Any]:
    """Returns the outputs of an operation."""
    tensors: list[Any] = keras.tree.flatten(operation.output)
    return tensors


def arguments_of(operation: Any) -> list[Any]:
    """Returns the arguments of the only call of an operation, those by name at the end."""
    arguments = operation._inbound_nodes[0].arguments
    return [*arguments.args, *arguments.kwargs.values()]


def axes_of(operation: Any, axis: Any, rank: int, what: str) -> tuple[int, ...]:
    """Returns axes counted from the batch, in order.

    Raises:
        ModelError: If the batch is one of them.
    """
    given = range(rank) if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    axes = tuple(sorted({int(each) % rank for each in given}))
    if 0 in axes:
        raise refusal(operation, f"{what} the batch; only the other axes are supported")
    return axes


def constant_of(value: Any) -> Array:
    """Returns a constant of an operation as float64 numbers that float32 has."""
    return np.asarray(keras.ops.convert_to_numpy(value)).astype(np.float32).astype(np.float64)


def is_exact(tensor: Any) -> bool:
    """Says whether a tensor follows from the inputs of the model without any rounding."""
    operation = tensor._keras_history.operation
    if not is_operation(operation):
        is_known = isinstance(operation, _EXACT_LAYERS) or is_passed_over(operation)
        return is_known and (isinstance(operation, layers.InputLayer) or all(map(is_exact, _values_read(operation))))
    counts = type(operation).__name__ in _EXACT_OF_INTEGERS and "int" in str(tensor.dtype)
    return (counts or type(operation).__name__ in _EXACT) and all(map(is_exact, inputs_of(operation)))


def is_decided(tensor: Any) -> bool:
    """Says whether a tensor of whole numbers or truth values follows without any arithmetic from what layers decide.

    Files show no such numbers. They follow from the numbers that the layers decide by, which are shown.
    """
    operation = tensor._keras_history.operation
    if tensor.dtype == "float32" or (is_operation(operation) and type(operation).__name__ in ("Argmax", "Argmin")):
        return True
    if not is_operation(operation):
        return is_exact(tensor)
    return is_exact(tensor) or (type(operation).__name__ in _EXACT and all(map(is_decided, inputs_of(operation))))


def require_one_rank(operation: Any, *tensors: Any) -> None:
    """Makes sure that the axes of several tensors are the same ones, that of the batch first."""
    if len({len(tensor.shape) for tensor in tensors}) > 1:
        shapes = " and ".join(str(tensor.shape) for tensor in tensors)
        raise refusal(
            operation,
            f"has inputs of the shapes {shapes}, of which the batch would be taken for another axis; add an axis, "
            "as x[:, None] does",
        )


def _values_read(layer: Any) -> list[Any]:
    return [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]


def masks_read(layer: Any, parts: Sequence[Any]) -> list[Any]:
    """Returns the masks of a layer that operations compute for it.

    A Softmax computes with its mask. The masks of most layers are those that Keras propagates, which nothing computes.

    Args:
        layer: A layer.
        parts: All layers and operations of its model.
    """
    if is_operation(layer):
        return []
    if type(layer) is layers.Softmax:
        masks: list[Any] = keras.tree.flatten(layer.input)[1:]
        return masks
    if type(layer) in ATTENTIONS:
        pairs = call_arguments(layer).get("attention_mask")
        given = [mask for _, tensor, mask in attention_inputs(layer) if is_explicit(tensor, mask)]
        return [mask for mask in (*given, pairs) if isinstance(mask, keras.KerasTensor) and not _is_input(mask)]
    mask = computed_mask(layer, parts)
    return [] if mask is None else [mask]


def attention_inputs(layer: Any) -> list[tuple[str, Any, Any]]:
    """Returns the role of each input of an attention, its tensor, and its mask, as the only call has or implies them.

    Args:
        layer: An instance of one of `ATTENTIONS`. The keys of one may be None, which are its values then.
    """
    arguments, roles = call_arguments(layer), ("query", "value", "key")
    if type(layer) in OF_HEADS:
        return [(role, arguments.get(role), arguments.get(f"{role}_mask")) for role in roles]
    given, masks = list(arguments["inputs"]), arguments.get("mask")
    # Keras propagates the masks if none is given, and otherwise takes the given ones, missing ones included.
    masks = [getattr(tensor, "_keras_mask", None) for tensor in given] if masks is None else list(masks)
    return list(zip(roles, given, [*masks, None], strict=False))


def is_explicit(tensor: Any, mask: Any) -> bool:
    """Says whether a mask is another one than Keras propagates with a tensor."""
    own = getattr(tensor, "_keras_mask", None)
    return mask is not None and (own is None or not is_same_mask(own, mask))


def _is_input(mask: Any) -> bool:
    return isinstance(mask._keras_history.operation, layers.InputLayer) and len(mask.shape) == 2


def call_arguments(layer: Any) -> dict[str, Any]:
    """Returns the arguments of the only call of a layer by name."""
    arguments = layer._inbound_nodes[0].arguments
    return dict(inspect.signature(layer.call).bind(*arguments.args, **arguments.kwargs).arguments)


def operations_of_masks(operations: list[Any]) -> set[int]:
    """Returns the operations that compute nothing but masks of positions, by id; Keras saves these as well.

    Args:
        operations: The layers and operations of a model.
    """
    makers = {id(tensor): part for part in operations if is_operation(part) for tensor in outputs_of(part)}
    masks = {id(part): part for part in makers.values() if all(t.dtype == "bool" for t in outputs_of(part))}
    # Those that a computation of numbers reads compute numbers, too.
    read = [tensor for part in makers.values() if id(part) not in masks for tensor in inputs_of(part)]
    read += [tensor for part in operations for tensor in masks_read(part, operations)]
    while read:
        maker = makers.get(id(read.pop()))
        if maker is not None and masks.pop(id(maker), None) is not None:
            read += inputs_of(maker)
    return set(masks)
