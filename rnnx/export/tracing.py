"""Traces a Keras model for tf2onnx where a trace of it as it is would compute something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers


@contextmanager
def whole_sequences(model: keras.Model) -> Iterator[None]:
    """Calls what a TimeDistributed wraps once for all positions, instead of once for each.

    Keras 3.15 maps over an open time by a loop, and in a graph that loop runs over the rows of the batch instead: its
    `call` takes the length from the batch axis. The layers that are accepted inside (`rnnx.keras_models.read_layers`)
    work on each position by itself, so one call for all positions is the same. The proof runs Keras as it is, eagerly.
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
