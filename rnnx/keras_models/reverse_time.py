"""A layer of a plain model that Keras does not have (`rnnx.keras_models.plain_cells`). Imports Keras."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers


class ReverseTime(layers.Layer):  # type: ignore[misc]  # keras ships no types
    """Reverses a sequence in time; its mask stays as it is, as in `rnnx.reference.Reverse`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.supports_masking = True

    def call(self, x: Any) -> Any:
        """Reverses `(batch, time, features)`."""
        return keras.ops.flip(x, axis=1)

    def compute_output_shape(self, shape: Any) -> Any:
        """Returns the shape of the input."""
        return shape
