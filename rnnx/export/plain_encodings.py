"""Writes the layers that look numbers up as comparisons, while a model is traced for tf2onnx.

TensorFlow has tables and kernels of its own for them, which ONNX has not, or only in the domain ai.onnx.ml. A number is
found by a binary search among sorted constants: it takes a Gather and a comparison for each doubling of their number.
The proof runs Keras unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers
from keras.src.ops.nn import OneHot as OneHotOperation

from rnnx.keras_models.read_encodings import ENCODINGS, read_encoding
from rnnx.reference import CountIds, FindBin, LookUp, OneHot


@contextmanager
def plain_encodings(model: keras.Model) -> Iterator[None]:
    """Makes each encoding of a model compute with operators that ONNX has."""
    found = [layer for layer in model.layers if type(layer) in ENCODINGS]
    operations = [part for part in getattr(model, "_operations", ()) if type(part) is OneHotOperation]
    for layer in found:
        layer.call = _call_parts(layer)
    for operation in operations:
        operation.call = _call_one_hot(operation)
    try:
        yield
    finally:
        for part in (*found, *operations):
            del part.call


def _call_one_hot(operation: Any) -> Callable[..., Any]:
    return lambda x: tf.cast(_one_hot(tf.cast(x, tf.float32), operation.num_classes), operation.dtype)


def _call_parts(layer: Any) -> Callable[..., Any]:
    """Returns a `call` that computes what the layer is in the reference."""
    parts = [node.layer for node in read_encoding(layer, ("x",))]
    dtype = "int64" if type(layer) is layers.IntegerLookup else "int32" if layer.output_mode == "int" else "float32"

    def call(inputs: Any) -> Any:
        values = tf.cast(inputs, tf.float32)
        for part in parts:
            if isinstance(part, FindBin):
                values = _count_not_above(values, np.array(part.boundaries, np.float32))
            elif isinstance(part, LookUp):
                values = _look_up(values, part)
            elif isinstance(part, OneHot):
                values = _one_hot(tf.squeeze(values, -1) if part.is_squeezed else values, part.depth)
            elif isinstance(part, CountIds):
                vectors = _one_hot(values, part.depth)
                values = tf.reduce_max(vectors, -2) if part.is_binary else tf.reduce_sum(vectors, -2)
        return tf.cast(values, dtype)

    return call


def _whole(values: Any) -> Any:
    """Drops the fraction of each number; those from 2^24 on have none."""
    most = 2.0**24
    kept = tf.cast(tf.cast(tf.clip_by_value(values, -most, most), tf.int32), tf.float32)
    return tf.where(tf.abs(values) < most, kept, values)


def _count_not_above(values: Any, ascending: npt.NDArray[np.float32]) -> Any:
    """Counts, for each number, how many constants are not above it."""
    levels = len(ascending).bit_length()
    padded = np.concatenate([ascending, np.full(2**levels - 1 - len(ascending), np.inf, np.float32)])
    count = tf.zeros_like(values, tf.int32)
    for level in reversed(range(levels)):
        constant = tf.gather(padded, count + (2**level - 1))
        count += tf.where(values < constant, 0, 2**level)
    return tf.cast(tf.minimum(count, len(ascending)), tf.float32)


def _look_up(values: Any, part: LookUp) -> Any:
    values = _whole(values)
    tokens = np.array(part.tokens, np.float32)
    order = np.argsort(tokens)
    place = tf.maximum(tf.cast(_count_not_above(values, tokens[order]), tf.int32) - 1, 0)
    ids = tf.gather((part.first_id + order).astype(np.float32), place)
    unknown: Any = float(part.unknown_id)
    if part.unknown_count > 1:
        numbers = tf.cast(values, tf.int64)
        rest = tf.cast(numbers - tf.truncatediv(numbers, part.unknown_count) * part.unknown_count, tf.float32)
        unknown = tf.where(rest < 0, rest + part.unknown_count, rest) + part.unknown_id
    ids = tf.where(tf.equal(tf.gather(tokens[order], place), values), ids, unknown)
    return ids if part.masked is None else tf.where(tf.equal(values, part.masked), float(part.masked_id), ids)


def _one_hot(ids: Any, depth: int) -> Any:
    return tf.cast(tf.equal(tf.expand_dims(_whole(ids), -1), np.arange(depth, dtype=np.float32)), tf.float32)
