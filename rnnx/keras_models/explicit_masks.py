"""Finds the masks that a Keras model passes to a layer as an argument, in place of the mask that Keras propagates.

Imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from rnnx.keras_models.read_layers import refusal


def find_explicit_mask(model: keras.Model, layer: Any) -> str | None:
    """Finds the Embedding whose mask was passed to a layer, as in `rnn(x, mask=embedding.compute_mask(ids))`.

    Args:
        model: The whole model.
        layer: One of its layers.

    Returns:
        The name of the Embedding; None if the layer has no mask, or the mask that Keras propagates with its inputs.

    Raises:
        ModelError: If the mask is of any other kind.
    """
    if isinstance(model, keras.Sequential):
        return None
    tensors = keras.tree.flatten(layer.input)
    values = [tensor for tensor in tensors if tensor.dtype != "bool"]
    masks = [tensor for tensor in tensors if tensor.dtype == "bool"]
    if not masks or all(_is_propagated(mask, values) for mask in masks):
        return None
    looked_up = _input_of(masks[0])
    if len(masks) > 1 or len(values) > 1 or looked_up is None:
        raise refusal(
            layer,
            "has an explicit mask; only the mask of an Embedding, embedding.compute_mask(ids), is supported, and only "
            "for a layer with one input",
        )
    for embedding in model.layers:
        if isinstance(embedding, layers.Embedding) and embedding.mask_zero and embedding.input is looked_up:
            if len(looked_up.shape) != len(masks[0].shape) or len(looked_up.shape) != 2:
                break
            return str(embedding.name)
    raise refusal(layer, f"has a mask of {looked_up.name}, which is not the input of an Embedding with mask_zero")


def _is_propagated(mask: Any, values: list[Any]) -> bool:
    """Says whether a mask is the one that Keras propagates with the values.

    In a loaded model it is another tensor, which is computed in the same way from the same input.
    """
    propagated = [m for m in (getattr(tensor, "_keras_mask", None) for tensor in values) if m is not None]
    return any(m is mask or (_input_of(m) is not None and _input_of(m) is _input_of(mask)) for m in propagated)


def _input_of(mask: Any) -> Any:
    """Returns the input of the model of which a mask is NotEqual(input, 0); None if the mask has another origin."""
    history = mask._keras_history
    if type(history.operation).__name__ != "NotEqual":
        return None
    compared, *others = history.operation._inbound_nodes[history.node_index].arguments.args
    is_input = isinstance(
        getattr(compared, "_keras_history", None) and compared._keras_history.operation, layers.InputLayer
    )
    return compared if is_input and len(others) == 1 and isinstance(others[0], int) and others[0] == 0 else None
