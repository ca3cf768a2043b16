"""Keras layers that make each position of a sequence a row of its own, and the rows positions again. Imports Keras.

In plain form (`rnnx.keras_models.plain_model`), a TimeDistributed is the first of them, then the layers that it wraps,
then the second.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

# ruff: noqa: D102  # the methods are those of keras.Layer

# These layers compute each position of a sequence alone, so that they need no TimeDistributed.
PER_POSITION = (
    layers.Dense, layers.Activation, layers.ReLU, layers.LeakyReLU, layers.ELU, layers.BatchNormalization,
    layers.LayerNormalization, layers.Rescaling, layers.Dropout, layers.GaussianNoise, layers.GaussianDropout,
    layers.AlphaDropout, layers.ActivityRegularization, layers.Identity,
)  # fmt: skip


def is_per_position(layer: Any) -> bool:
    """Says whether a layer gives the same with a TimeDistributed as without."""
    # Another axis than the last one would be another one without the wrapper.
    return type(layer) in PER_POSITION and getattr(layer, "axis", -1) in (-1, [-1])


class Fold(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Makes each position a row: `(batch, time, ...)` to `(batch * time, ...)`, without a mask."""

    def __init__(self, **settings: Any) -> None:
        """Makes the layer; the settings are those of every layer of Keras."""
        super().__init__(**settings)
        self.supports_masking = True

    def call(self, x: Any) -> Any:
        return keras.ops.reshape(x, (-1, *x.shape[2:]))

    def compute_mask(self, x: Any, previous_mask: Any = None) -> Any:
        return None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (None, *input_shape[2:])


class Unfold(layers.Layer):  # type: ignore[misc]
    """Makes the rows positions again, `(batch, time, ...)`; the second input is the sequence that was folded."""

    def __init__(self, **settings: Any) -> None:
        """Makes the layer; the settings are those of every layer of Keras."""
        super().__init__(**settings)
        self.supports_masking = True

    def call(self, given: Any) -> Any:
        rows, sequence = given
        return keras.ops.reshape(rows, (-1, keras.ops.shape(sequence)[1], *rows.shape[1:]))

    def compute_mask(self, given: Any, previous_mask: Any = None) -> Any:
        return previous_mask[1] if isinstance(previous_mask, list | tuple) else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows, sequence = input_shape
        return (sequence[0], sequence[1], *rows[1:])
