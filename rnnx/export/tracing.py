"""How a Keras model is traced where tf2onnx gets it wrong as Keras writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers


@contextmanager
def whole_sequences(model: keras.Model) -> Iterator[None]:
    """Calls what a TimeDistributed wraps once for all positions, instead of once for each.

    Keras maps over an open time by a loop that tf2onnx converts wrongly: it answers for one row of the batch per
    position. What is accepted inside (`rnnx.keras_models.read_layers`) works on each position by itself, so that it is
    the same. The proof runs Keras itself as it is.
    """
    wrapped = [layer for layer in model.layers if type(layer) is layers.TimeDistributed]
    for layer in wrapped:
        layer.call = _call_inner(layer.layer)
    try:
        yield
    finally:
        for layer in wrapped:
            del layer.call


def _call_inner(inner: Any) -> Callable[..., Any]:
    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return inner.call(inputs, training=False) if inner._call_has_training_arg else inner.call(inputs)

    return call
