"""Writes the place of a largest number as ONNX finds it, while a model is traced for tf2onnx.

Keras 3.15 takes -0.0 for smaller than 0.0 in an argmax, by reading the bits of a number, which ONNX of this opset
cannot. The proof runs Keras unchanged, and `rnnx.primitives.comparisons` allows both. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src.ops.numpy import Argmax, Argmin


@contextmanager
def plain_jumps(model: keras.Model) -> Iterator[None]:
    """Makes each argmax and argmin of a model compare numbers only."""
    found = [part for part in getattr(model, "_operations", ()) if type(part) in (Argmax, Argmin)]
    for operation in found:
        operation.call = _call(operation)
    try:
        yield
    finally:
        for operation in found:
            del operation.call


def _call(operation: Any) -> Callable[..., Any]:
    find = tf.argmax if type(operation) is Argmax else tf.argmin

    def call(x: Any) -> Any:
        index = find(x, operation.axis, output_type=tf.int32)
        return tf.expand_dims(index, operation.axis) if operation.keepdims else index

    return call
