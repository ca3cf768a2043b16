"""What the readers of layers ask of a layer of Keras: its weights, activations and settings; and how they refuse it.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias, get_args

import keras
import numpy as np

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.keras_models.keras_2_activations import activation_name
from rnnx.reference import ActivationName, Array

_ACTIVATIONS = get_args(ActivationName)
# Why an activation of Keras stays unsupported, and what to do.
_NO_ACTIVATIONS: Mapping[str, str] = {
    "hard_shrink": "jumps; only a layer of its own may, Activation('hard_shrink'); or train with soft_shrink",
    "glu": "halves the features, which Keras does not tell the layers after it; call keras.activations.glu(x) between "
    "two layers of a functional model instead",
    # The example of its documentation is right, and others are not: of [2.0, 1.001] Keras 3.15 makes [0, 0].
    "sparsemax": "jumps in Keras 3, which sums wrongly, so that rounding could decide; train with softmax",
}

# The shape of the input of a layer, `(batch, ...)`, with None for a variable size.
OpenShape: TypeAlias = tuple[int | None, ...]
# Turns a layer whose input has such a shape into its layer of the reference.
LayerReader: TypeAlias = Callable[[Any, OpenShape], reference.Layer]


def refusal(layer: Any, reason: str) -> ModelError:
    """Returns the error that says which layer is refused, and for what reason."""
    return ModelError(f"layer {layer.name} ({type(layer).__name__}) {reason}; nothing was exported")


def require(layer: Any, config: dict[str, Any], **settings: object) -> None:
    """Makes sure that some settings of a layer have their only supported values.

    Args:
        layer: The layer, for the message.
        config: The config of the layer. A setting that it lacks is not checked: older versions of Keras lack some.
        settings: The supported value of each setting.

    Raises:
        ModelError: If a setting has another value. The message names the setting.
    """
    for name, value in settings.items():
        if config.get(name, value) != value:
            raise refusal(layer, f"has {name}={config[name]!r}; only {value!r} is supported")


def require_channels_last(layer: Any) -> None:
    """Makes sure that the last axis of the input of a layer has the features.

    Raises:
        ModelError: If it has not.
    """
    if layer.data_format != "channels_last":
        raise refusal(
            layer,
            f"has data_format={layer.data_format!r}; only 'channels_last' is supported: build the model with it, and "
            "put a Permute in front if the data have the channels first",
        )


def float64(variable: Any) -> Array:
    """Returns a weight as a float64 array."""
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def read_activation(layer: Any, role: Literal["activation", "recurrent_activation"] = "activation") -> ActivationName:
    """Returns the name of an activation of a layer.

    Args:
        layer: The layer.
        role: Which of its activations.

    Raises:
        ModelError: If the activation is not supported.
    """
    function = getattr(layer, role)
    if isinstance(function, keras.Layer):
        raise refusal(
            layer,
            f"has a {type(function).__name__} layer as its {role.replace('_', ' ')}; set it to one of "
            "keras.activations, and save the model again",
        )
    name = activation_name(function)
    if name not in _ACTIVATIONS:
        reason = _NO_ACTIVATIONS.get(name) if isinstance(name, str) else None
        why = f", which {reason}" if reason else f"; supported are {', '.join(_ACTIVATIONS)}"
        raise refusal(layer, f"has the {role.replace('_', ' ')} {name!r}{why}")
    activation: ActivationName = name
    return activation
