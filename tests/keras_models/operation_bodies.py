"""Models with the operations of functional models, for tests that export them; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.keras_models.parts import Body, last, rnn


def items(x: Any) -> Any:
    """Takes parts of the time and of the features, as functional models do."""
    states = rnn()(x)
    one = keras.ops.concatenate([states[:, -1, :], states[:, 0], states[:, -3:][..., 1:3][:, -1]], axis=-1)
    return keras.ops.concatenate([one, last(states[:, ::-1, ::2]), last(states[:, None, -1])], axis=1)


def arithmetic(x: Any) -> Any:
    """Combines tensors, of which some have an axis of size 1."""
    a, b = rnn()(x), rnn()(x)
    mean = keras.ops.mean(a, axis=1, keepdims=True)
    mixed = keras.ops.maximum(a + b, a * mean) - keras.ops.minimum(a, b)
    return last(mixed / (keras.ops.square(b) + 1.5))


def arithmetic_with_constants(x: Any) -> Any:
    """Combines tensors with numbers, and with a number for each feature."""
    row = np.array([0.3, -1.7, 2.1, 0.9], np.float32)
    a = rnn()(x)
    a = (2 * a + 0.1) / 3.0 - 0.7
    a = rnn()(1 - a) * row - row
    return last(keras.ops.matmul(rnn()(a / row + row), np.outer(row, row[:3])) / 0.3)


def reductions(x: Any) -> Any:
    """Reduces the time and the features."""
    a = rnn()(x)
    ops = keras.ops
    parts = [ops.mean(a, axis=1), ops.max(a, axis=1), ops.min(a, axis=-2), ops.sum(a, axis=2, keepdims=True)[:, -1]]
    return layers.Concatenate()([*parts, ops.max(a, axis=(1, 2), keepdims=True)[:, 0]])


def functions(x: Any) -> Any:
    """Applies functions to each element, and a softmax over the time."""
    a = rnn()(x)
    ops = keras.ops
    weights = ops.softmax(ops.sum(a, axis=-1, keepdims=True), axis=1)
    total = ops.sum(weights * ops.tanh(ops.exp(-a)), axis=1)
    return ops.concatenate(
        [total, ops.sqrt(ops.square(total) + 0.5), ops.sigmoid(ops.abs(total)), ops.softmax(ops.relu(total))], axis=-1
    )


def moves(x: Any) -> Any:
    """Moves numbers to other places."""
    a, b = layers.SimpleRNN(4)(x), layers.SimpleRNN(4)(x)
    ops = keras.ops
    both = ops.transpose(ops.stack([a, b], axis=1), (0, 2, 1))
    more = ops.squeeze(ops.expand_dims(ops.reshape(both, (-1, 8)), axis=1), axis=1)
    return last(ops.concatenate([ops.reshape(more, (-1, 2, 4)), ops.stack([b, a], axis=-2)], axis=1))


BODIES_OF_OPERATIONS: dict[str, Callable[[], Body]] = {
    "items": lambda: items,
    "item, last step": lambda: lambda x: rnn()(x)[:, -1],
    "arithmetic": lambda: arithmetic,
    "arithmetic with constants": lambda: arithmetic_with_constants,
    "reductions": lambda: reductions,
    "functions": lambda: functions,
    "moves": lambda: moves,
}
