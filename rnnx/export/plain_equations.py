"""Writes the dots in the equation of an EinsumDense as letters, while a model is traced for tf2onnx.

The rewrite of an einsum as a matrix product (`rnnx.rewrites.einsum`) needs a letter for each axis. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import layers

from rnnx.keras_models.read_layers import letters_of


@contextmanager
def plain_equations(model: keras.Model) -> Iterator[None]:
    """Makes each EinsumDense of a model compute with an equation without dots."""
    kept = {layer: layer.equation for layer in model.layers if type(layer) is layers.EinsumDense}
    try:
        for layer, equation in kept.items():
            given, weights, result = letters_of(equation, len(layer.input.shape))
            layer.equation = f"{given},{weights}->{result}"
        yield
    finally:
        for layer, equation in kept.items():
            layer.equation = equation
