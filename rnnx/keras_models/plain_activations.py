"""Splits a layer that has another layer as its activation, as `Dense(4, activation=LeakyReLU(0.1))`, into the two.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import layers

# Each of them applies a function without weights to each number, and hands the mask on.
_ACTIVATIONS = (layers.ELU, layers.LeakyReLU, layers.ReLU)


def has_activation_layer(operation: Any) -> bool:
    """Says whether a part of a model has a layer as its activation that it may be split from."""
    activation = getattr(operation, "activation", None)
    return type(activation) in _ACTIVATIONS and not isinstance(operation, layers.RNN)


def call_with_activation(
    layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any], copied: Any, name: Callable[[str], str]
) -> Any:
    """Calls a copy of a layer without its activation, and then a copy of the activation.

    Args:
        layer: The layer; `has_activation_layer` says that it has one.
        args: What the layer is called with.
        kwargs: The same, by name.
        copied: A copy of it whose activation is linear.
        name: Gives a layer its name.

    Returns:
        The tensor.
    """
    activation = type(layer.activation).from_config(
        {**layer.activation.get_config(), "dtype": "float32", "name": name(f"{layer.name}_activation")}
    )
    result = activation(copied(*args, **kwargs))
    copied.set_weights(layer.get_weights())
    return result
