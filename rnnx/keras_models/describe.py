"""Describes the layers of a Keras model, for the config and the model card. Imports Keras."""

from __future__ import annotations

from typing import Any

import keras


def describe(model: keras.Model) -> tuple[str, ...]:
    """Returns one line per layer: its class, name, output shapes, and number of parameters."""
    return tuple(
        f"{type(layer).__name__} {layer.name}: {_shapes(layer)}, {layer.count_params():,} parameters"
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    )


def _shapes(layer: Any) -> str:
    return " and ".join(_shape(tensor.shape) for tensor in keras.tree.flatten(layer.output))


def _shape(shape: tuple[int | None, ...]) -> str:
    names = ["batch", "time", *("?" for _ in shape)]
    return "(" + ", ".join(names[i] if size is None else str(size) for i, size in enumerate(shape)) + ")"
