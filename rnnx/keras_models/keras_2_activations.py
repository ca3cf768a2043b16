"""The `hard_sigmoid` of Keras 2 as a function for Keras 3, which has another one. Imports Keras.

Importing this module registers the function, so that a `.keras` file may name it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


def hard_sigmoid_keras_2(x: Any) -> Any:
    """Computes max(0, min(1, 0.2 x + 0.5))."""
    return keras.ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


keras.saving.register_keras_serializable(package="rnnx")(hard_sigmoid_keras_2)


def find_activation(name: str) -> Any:
    """Returns the function of an activation that the reference names."""
    return hard_sigmoid_keras_2 if name == "hard_sigmoid_keras_2" else keras.activations.get(name)


def activation_name(function: Callable[..., Any]) -> Any:
    """Returns the name of an activation in the reference; Keras's own description if it has none."""
    return "hard_sigmoid_keras_2" if function is hard_sigmoid_keras_2 else keras.activations.serialize(function)
