"""Finds the masks that a Keras model passes to a layer as an argument, in place of the mask that Keras propagates.

A functional model from a file passes every mask as an argument: Keras saves the computation of the mask as operations
between the layers, NotEqual and Any for example. A mask that is computed in the same way from the same input as the one
that Keras propagates is that mask. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx.keras_models.layer_settings import refusal
from rnnx.reference import Input


def mask_node_of(name: str) -> str:
    """Returns the name of the node that makes a mask of an input of the model, or of what is computed for a layer."""
    return f"{name}.positions"


def find_explicit_mask(model: keras.Model, layer: Any, inputs: Mapping[str, Input]) -> str | None:
    """Finds where a mask comes from that was passed to a layer: `rnn(x, mask=embedding.compute_mask(ids))`.

    Args:
        model: The whole model.
        layer: One of its layers.
        inputs: The inputs of the model, by their names in Keras.

    Returns:
        The name of the Embedding or Masking; `mask_node_of` an input of the model; `mask_node_of` the layer itself if
        its mask is a `computed_mask`; None if it has no mask, or the mask that Keras propagates with its inputs.

    Raises:
        ModelError: If the mask is of any other kind.
    """
    if isinstance(model, keras.Sequential):
        return None
    values, masks = _split(layer)
    if not masks or all(_is_propagated(mask, values) for mask in masks):
        return None
    if len(masks) == 1 and _has_one_sequence(layer, values):
        if (name := mask_input(masks[0], inputs)) is not None:
            return name
        if len(values) == 1 and (source := _source_of(masks[0], model.layers)) is not None:
            return source
        if len(masks[0].shape) == 2 and masks[0].shape[1] != 1:
            return mask_node_of(layer.name)
    raise refusal(
        layer,
        "has an explicit mask that is not supported; only one of (batch, time) is, and only for a layer with one input",
    )


def computed_mask(layer: Any, parts: Sequence[Any]) -> Any:
    """Returns the mask of a layer that operations of the model compute for it; None if it has none of this kind.

    Args:
        layer: The layer, which has one mask, as a recurrence has.
        parts: All layers of its model, and the operations between them.
    """
    values, masks = _split(layer)
    is_single = len(masks) == 1 and _has_one_sequence(layer, values) and len(masks[0].shape) == 2
    if not is_single or isinstance(masks[0]._keras_history.operation, layers.InputLayer):
        return None
    is_known = _is_propagated(masks[0], values) or (len(values) == 1 and _source_of(masks[0], parts) is not None)
    return None if is_known else masks[0]


def _split(layer: Any) -> tuple[list[Any], list[Any]]:
    """Returns the values and the masks that a layer reads."""
    tensors = keras.tree.flatten(layer.input)
    values = [tensor for tensor in tensors if tensor.dtype != "bool"]
    return values, [tensor for tensor in tensors if tensor.dtype == "bool"]


def _has_one_sequence(layer: Any, values: list[Any]) -> bool:
    # The first states of a recurrence have no mask.
    return len(values) == 1 or isinstance(layer, layers.RNN | layers.Bidirectional)


def _source_of(mask: Any, parts: Sequence[Any]) -> str | None:
    """Returns the name of the Embedding or Masking that makes a mask; None if none does."""
    sources = [part for part in parts if _masks(part) and is_same_mask(part.output._keras_mask, mask)]
    return str(sources[0].name) if sources else None


def mask_input(mask: Any, inputs: Mapping[str, Input]) -> str | None:
    """Returns `mask_node_of` the input of the model that a mask is; None if it is computed, or has other axes."""
    is_input = isinstance(mask._keras_history.operation, layers.InputLayer) and len(mask.shape) == 2
    return mask_node_of(inputs[mask.name].name) if is_input else None


def is_same_mask(mask: Any, other: Any) -> bool:
    """Says whether two tensors are computed in the same way from the same tensors."""
    if mask is other:
        return True
    first, second = (getattr(tensor, "_keras_history", None) for tensor in (mask, other))
    if first is None or second is None:
        return False
    is_layer = isinstance(first.operation, keras.Layer)
    if is_layer or type(first.operation) is not type(second.operation) or first.tensor_index != second.tensor_index:
        return bool(first.operation is second.operation and first[1:] == second[1:])
    if _settings(first.operation) != _settings(second.operation):
        return False
    given, others = _arguments(first), _arguments(second)
    return len(given) == len(others) and all(map(_is_same_argument, given, others))


def _arguments(history: Any) -> list[Any]:
    """Returns all arguments of the call that made a tensor."""
    arguments = history.operation._inbound_nodes[history.node_index].arguments
    flat: list[Any] = keras.tree.flatten((arguments.args, arguments.kwargs))
    return flat


def _is_same_argument(given: Any, other: Any) -> bool:
    if isinstance(given, keras.KerasTensor) or isinstance(other, keras.KerasTensor):
        return is_same_mask(given, other)
    return bool(np.array_equal(given, other))


def _settings(operation: Any) -> dict[str, Any]:
    """Returns the attributes of an operation that say what it computes, such as its axis."""
    return {
        name: value
        for name, value in vars(operation).items()
        if not name.startswith("_") and name != "name" and isinstance(value, int | float | str | list | tuple | None)
    }


def _masks(layer: Any) -> bool:
    """Says whether a layer makes a mask of ids or numbers, `(batch, time)`."""
    if isinstance(layer, layers.Embedding):
        return bool(layer.mask_zero) and len(layer.input.shape) == 2
    return isinstance(layer, layers.Masking)


def _is_propagated(mask: Any, values: list[Any]) -> bool:
    """Says whether a mask is the one that Keras propagates with the values.

    In a loaded model it is another tensor, which is computed in the same way from the same input.
    """
    propagated = [m for m in (getattr(tensor, "_keras_mask", None) for tensor in values) if m is not None]
    return any(is_same_mask(m, mask) for m in propagated)
