"""The masks that a Keras model hands to a layer as an argument, beside those that travel with the values."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from rnnx.keras_models.read_layers import refusal


def find_explicit_mask(model: keras.Model, layer: Any) -> str | None:
    """Finds whose mask a layer was given by hand, as `rnn(x, mask=embedding.compute_mask(ids))` does.

    Args:
        model: The whole model.
        layer: One of its layers.

    Returns:
        The name of the Embedding; None if the layer has no mask, or the one that travels with what it reads.

    Raises:
        ModelError: If the mask is another one.
    """
    if isinstance(model, keras.Sequential):
        return None
    tensors = keras.tree.flatten(layer.input)
    values = [tensor for tensor in tensors if tensor.dtype != "bool"]
    masks = [tensor for tensor in tensors if tensor.dtype == "bool"]
    if not masks or all(_travels(mask, values) for mask in masks):
        return None
    looked_up = _input_of(masks[0])
    if len(masks) > 1 or len(values) > 1 or looked_up is None:
        raise refusal(
            layer,
            "is given a mask that was made by hand; modelled is that of an Embedding, embedding.compute_mask(ids), "
            "for a layer with one input",
        )
    for embedding in model.layers:
        if isinstance(embedding, layers.Embedding) and embedding.mask_zero and embedding.input is looked_up:
            if len(looked_up.shape) != len(masks[0].shape) or len(looked_up.shape) != 2:
                break
            return str(embedding.name)
    raise refusal(layer, f"is given a mask of {looked_up.name}, which no Embedding with mask_zero looks up")


def _travels(mask: Any, values: list[Any]) -> bool:
    """Whether a mask is that of the values: the very same, or, in a model that was loaded, one made the same way."""
    own = [one for one in (getattr(tensor, "_keras_mask", None) for tensor in values) if one is not None]
    return any(one is mask or (_input_of(one) is not None and _input_of(one) is _input_of(mask)) for one in own)


def _input_of(mask: Any) -> Any:
    """The input of the model that a mask tells from zero, by NotEqual(input, 0); None if it is made otherwise."""
    history = mask._keras_history
    if type(history.operation).__name__ != "NotEqual":
        return None
    compared, *others = history.operation._inbound_nodes[history.node_index].arguments.args
    is_input = isinstance(
        getattr(compared, "_keras_history", None) and compared._keras_history.operation, layers.InputLayer
    )
    return compared if is_input and len(others) == 1 and isinstance(others[0], int) and others[0] == 0 else None
