"""Models with the operations of functional models, for tests that export them; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.keras_models.parts import Body, last, rnn, square


def items(x: Any) -> Any:
    """Takes parts of the time and of the features, as functional models do."""
    states = rnn()(x)
    one = keras.ops.concatenate([states[:, -1, :], states[:, 0], states[:, -3:][..., 1:3][:, -1]], axis=-1)
    return keras.ops.concatenate([one, last(states[:, ::-1, ::2]), last(states[:, None, -1])], axis=1)


def items_from_the_second_on(x: Any) -> Any:
    """Drops the first position twice; the start of the slice and its axis are the same number."""
    states = rnn()(x)
    return last(keras.ops.concatenate([states[:, 1:], keras.ops.exp(-states[:, 1:])], axis=-1))


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


def more_functions(x: Any) -> Any:
    """Applies functions that few models use to each element."""
    a = rnn()(x)
    ops = keras.ops
    positive = ops.exp(a)
    parts = [
        ops.gelu(a), ops.gelu(a, approximate=False), ops.silu(a), ops.elu(a, 0.7), ops.selu(a),
        ops.leaky_relu(a, 0.3), ops.softplus(a), ops.softsign(a), ops.hard_sigmoid(a), ops.log_sigmoid(a),
        ops.relu6(5 * a), ops.clip(a, -0.3, 0.4), ops.log(positive + 0.5), ops.log1p(positive), ops.rsqrt(positive),
        ops.reciprocal(positive), positive**1.7, a**2, a**3, positive**-0.5, ops.cast(a, "float32"),
        ops.ones_like(a) - a, ops.zeros_like(a) + a, ops.log_softmax(a, axis=-1), ops.normalize(a, axis=-1),
        ops.celu(a), ops.hard_silu(3 * a), ops.hard_tanh(2 * a), ops.soft_shrink(a), ops.sparse_plus(2 * a),
        ops.sparse_sigmoid(2 * a), ops.squareplus(a), ops.tanh_shrink(a),
    ]  # fmt: skip
    return last(ops.concatenate(parts, axis=-1))


def elementary_functions(x: Any) -> Any:
    """Applies the elementary functions that are no activations, and those that leave numbers as they are."""
    a = rnn()(x)
    ops = keras.ops
    positive = ops.exp(a)
    parts = [
        ops.erf(a), ops.erfc(a), ops.sin(3 * a), ops.cos(3 * a), ops.tan(a), ops.arctan(5 * a), ops.arcsinh(5 * a),
        ops.sinh(a), ops.cosh(a), ops.expm1(a), ops.log2(positive + 0.5), ops.log10(positive), ops.deg2rad(30 * a),
        ops.rad2deg(0.01 * a), ops.copy(a), ops.stop_gradient(a), ops.real(a), ops.conj(a),
    ]  # fmt: skip
    return last(ops.concatenate(parts, axis=-1))


def activations_of_tensors(x: Any) -> Any:
    """Calls activations as functions of a tensor, with their settings."""
    a = rnn()(x)
    functions = keras.activations
    parts = [
        functions.relu(a), functions.relu(a, negative_slope=0.2), functions.relu(a, max_value=0.3),
        functions.relu(a, negative_slope=0.1, max_value=0.5), functions.relu(8 * a, max_value=6.0),
        functions.elu(a, alpha=0.4), functions.gelu(a, approximate=True), functions.celu(a, alpha=0.4),
        functions.squareplus(a, b=2), functions.soft_shrink(a, threshold=0.2), functions.leaky_relu(a, 0.1),
        functions.tanh_shrink(a), functions.softmax(a), functions.log_softmax(a), functions.exponential(a),
    ]  # fmt: skip
    return last(keras.ops.concatenate(parts, axis=-1))


def more_reductions(x: Any) -> Any:
    """Reduces axes in further ways, to a single number of each row, too."""
    a = rnn()(x)
    ops = keras.ops
    parts = [
        ops.var(a, axis=1), ops.std(a + 0.1, axis=-2), ops.norm(a, axis=1), ops.max(a, axis=-2),
        ops.mean(a, axis=[1, 2], keepdims=True)[:, 0], ops.sum(a, axis=(1, 2))[:, None],
        ops.logsumexp(a, axis=1), ops.cumsum(a, axis=1)[:, -1], ops.cumsum(a, axis=-1)[:, -1],
        ops.log_softmax(a, axis=1)[:, 0], ops.std(a, axis=1),
    ]  # fmt: skip
    return ops.concatenate(parts, axis=-1)


def more_moves(x: Any) -> Any:
    """Moves numbers in further ways."""
    a = rnn()(x)
    ops = keras.ops
    first, second = ops.split(a, 2, axis=-1)
    one, two, three = ops.split(a, [1, 3], axis=2)
    parts = [
        ops.flip(a, axis=1), ops.flip(a, axis=-1), ops.roll(a, 1, axis=2), second * first, two, one + three,
        ops.repeat(first, 2, axis=-1), ops.tile(second, [1, 1, 2]), ops.pad(first, [[0, 0], [0, 0], [1, 0]]),
        ops.pad(second, [(0, 0), (0, 0), (0, 2)], constant_values=0.5), ops.unstack(a, axis=-1)[2][:, :, None],
        ops.swapaxes(ops.swapaxes(a, 1, 2), 1, 2), ops.moveaxis(ops.moveaxis(a, 1, 2), 1, -1),
    ]  # fmt: skip
    return last(ops.concatenate(parts, axis=-1))


def moves_in_time(x: Any) -> Any:
    """Moves positions of an open time."""
    a = rnn()(x)
    ops = keras.ops
    parts = [
        ops.repeat(a, 2, axis=1), ops.tile(a, (1, 3, 1)), ops.pad(a, ((0, 0), (2, 1), (0, 0))), ops.roll(a, 1, axis=1),
    ]  # fmt: skip
    return ops.concatenate([last(part) for part in parts], axis=-1)


def further_moves(x: Any) -> Any:
    """Moves numbers in the ways that few models use."""
    a = rnn()(x)
    ops = keras.ops
    first, second, third = ops.array_split(a, 3, axis=-1)
    parts = [
        ops.take(a, [0, 2], axis=-1), ops.take(a, np.array([3, 1, 1]), axis=2), ops.take(a, -1, axis=2)[:, :, None],
        first, second - third, ops.append(a, a, axis=-1), ops.dstack([a, -a]), ops.full_like(a, 0.3) * a,
        ops.pad(a, [[0, 0], [0, 0], [1, 2]], mode="reflect"),
    ]  # fmt: skip
    return last(ops.concatenate(parts, axis=-1))


def further_moves_in_time(x: Any) -> Any:
    """Moves positions of an open time, several axes at once, and parts of rows and of squares."""
    a, row, b = rnn()(x), layers.SimpleRNN(4)(x), square(x)
    ops = keras.ops
    parts = [
        ops.hstack([a, 2 * a]), ops.fliplr(a), ops.tile(a, [1, 2, 3]), ops.roll(a, (1, 2), axis=(1, 2)),
        ops.pad(a, [[0, 0], [1, 2], [0, 1]], constant_values=0.5), ops.tril(b), ops.triu(b, 1), ops.tril(b, 1),
        ops.take(a, [0, -1], axis=1), ops.take_along_axis(a, np.array([[[0, -1, 3]]]), axis=2),
        ops.take_along_axis(b, np.array([[[0, 1, 3, -1]], [[2, 2, 0, 1]]]).reshape(1, 2, 4), axis=1),
    ]  # fmt: skip
    return ops.concatenate([*(last(part) for part in parts), *ops.hsplit(row, [1, 3])], axis=-1)


def constants_of_any_shape(x: Any) -> Any:
    """Combines tensors with constants of several shapes."""
    rng = np.random.default_rng(3)
    a = square(x) + rng.normal(size=(4, 4)).astype(np.float32)
    a = a * rng.normal(size=(1, 4, 1)).astype(np.float32) - rng.normal(size=(4, 1)).astype(np.float32)
    left = keras.ops.matmul(rng.normal(size=(3, 4)).astype(np.float32), rnn()(a))
    return last(keras.ops.maximum(left / rng.normal(size=(1, 1, 4)).astype(np.float32), np.zeros(4, np.float32)))


def products(x: Any) -> Any:
    """Multiplies computed matrices."""
    a, b = rnn()(x), rnn()(x)
    ops = keras.ops
    scores = ops.softmax(ops.matmul(a, ops.transpose(b, (0, 2, 1))) / np.sqrt(4.0), axis=-1)
    return last(ops.concatenate([scores @ b, ops.einsum("bts,bsd->btd", scores, a)], axis=-1))


def einsums(x: Any) -> Any:
    """Multiplies in the ways of einsum."""
    a, b, row = rnn()(x), rnn()(x), layers.SimpleRNN(4)(x)
    ops = keras.ops
    weights = ops.softmax(ops.einsum("btd,bd->bt", a, row), axis=-1)
    queries, keys = layers.Reshape((-1, 2, 2))(a), layers.Reshape((-1, 2, 2))(b)
    products = ops.einsum("bthd,bshd->bhts", queries, keys)
    both = ops.einsum("bhts,bshd->bthd", ops.softmax(products, axis=-1), keys)
    parts = [
        ops.einsum("bt,btd->bd", weights, b),
        ops.einsum("bd,be->bde", row, row)[:, 1],
        ops.einsum("btd,btd->bd", a, b),
        ops.einsum("btd,bde->bte", b, ops.einsum("btd,bte->bde", a, b))[:, -1],
        last(layers.Reshape((-1, 4))(both)),
    ]
    return ops.concatenate(parts, axis=-1)


def constants_in_a_row(x: Any) -> Any:
    """Combines with constants several times in a row, which TensorFlow would join."""
    first, second = np.array([0.7, -1.9, 2.3, 0.4], np.float32), np.array([1.3, 0.6, -0.8, 2.1], np.float32)
    quotients = layers.BatchNormalization()(rnn()(x) / first / second / 3.0)
    normalized = layers.Normalization(mean=first, variance=second * second)(rnn()(x))
    scaled = (
        layers.Rescaling(0.5, 1.0)(layers.BatchNormalization()(rnn()(x))) - layers.BatchNormalization()(x[..., :4]) / 3
    )
    return last(quotients * second * first + (normalized / second - first - second) + scaled)


def products_with_constants(x: Any) -> Any:
    """Multiplies by constants, in the ways of einsum, tensordot and dot."""
    a = rnn()(x)
    ops = keras.ops
    rng = np.random.default_rng(4)
    row, matrix, wide = (rng.normal(size=size).astype(np.float32) for size in ((4,), (4, 3), (4, 2, 3)))
    heads = ops.einsum("btd,dhk->bthk", a, wide)
    parts = [
        ops.einsum("btd,de->bte", a, matrix), ops.einsum("de,btd->bte", matrix, a), ops.einsum("btd,d->btd", a, row),
        ops.einsum("...d,de->...e", a, matrix), ops.einsum("btd,d->bt", a, row)[:, :, None],
        ops.einsum("bthk,dhk->btd", heads, wide), ops.tensordot(a, matrix, axes=1),
        ops.tensordot(a, matrix, axes=[[2], [0]]), ops.dot(a, row)[:, :, None], ops.matmul(a, row)[:, :, None],
        ops.einsum("btd,ed->bte", a, np.ascontiguousarray(matrix.T)),
    ]  # fmt: skip
    turned = last(ops.einsum("btd,te->bed", square(x), matrix))
    return ops.concatenate([last(ops.concatenate(parts, axis=-1)), turned], axis=-1)


def further_reductions(x: Any) -> Any:
    """Reduces axes in the ways that few models use."""
    a = rnn()(x)
    ops = keras.ops
    mean, variance = ops.moments(a, axes=[1])
    parts = [
        ops.prod(a, axis=-1, keepdims=True)[:, -1], ops.ptp(a, axis=1),
        ops.average(a, axis=1), ops.norm(a, ord=1, axis=1), ops.max(a, axis=1, initial=0.3), mean, variance,
        last(ops.diff(ops.pad(a, [[0, 0], [2, 0], [0, 0]]), n=2, axis=1)), last(ops.diff(a)),
        last(ops.logaddexp(a, -2 * a)),
    ]  # fmt: skip
    return ops.concatenate(parts, axis=-1)


def gated_halves(x: Any) -> Any:
    """Multiplies one half of the features, or of the positions, by a sigmoid of the other one."""
    gated = keras.activations.glu(layers.Dense(6)(rnn()(x)))
    return layers.Concatenate()([last(gated), last(keras.ops.glu(square(x), axis=1))])


def sorted_numbers(x: Any) -> Any:
    """Sorts the features, and takes the two largest numbers of each feature of an open time."""
    a = rnn()(x)
    ops = keras.ops
    over_time = ops.sort(ops.transpose(ops.pad(a, [[0, 0], [1, 0], [0, 0]]), (0, 2, 1)), axis=-1)
    along_time = ops.sort(a, axis=1)[:, -1]
    return layers.Concatenate()([last(ops.sort(a)), along_time, over_time[..., -1], over_time[..., -2]])


def jumps(x: Any) -> Any:
    """Decides by computed numbers."""
    a = rnn()(x)
    b = layers.Dense(4)(a)
    ops = keras.ops
    is_large = ops.logical_and(b > 0.3, ops.logical_not(a < -0.2))
    best = ops.one_hot(ops.argmax(b, axis=-1), 4)
    places = ops.cast(ops.argmin(b, axis=-1, keepdims=True), "float32")
    parts = [
        ops.sign(b), ops.floor(3 * b), ops.ceil(3 * a), ops.round(2 * b), ops.round(b, 1), ops.trunc(4 * b), best,
        places, ops.cast(ops.equal(ops.argmax(a, axis=-1), 2), "float32")[:, :, None], ops.hard_shrink(b, 0.3),
        ops.threshold(a, 0.1, -2.0), b * ops.cast(b > 0.6, "float32"), ops.where(is_large, a, 0.5),
        ops.where(a >= b, a, b),
        keras.activations.relu(b, threshold=0.2), layers.ReLU(0.8, 0.1, 0.3)(a),
        ops.cast(ops.any(b <= -0.4, axis=-1, keepdims=True), "float32"), ops.cast(ops.not_equal(a, 0.0), "float32"),
    ]  # fmt: skip
    return last(ops.concatenate(parts, axis=-1))


def ids_of(x: Any) -> Any:
    """Returns the ids that an embedding has looked up."""
    return x._keras_history.operation.input


def vectors_of_ids(x: Any) -> Any:
    """Makes vectors of ids, of which some are out of range, beside an Embedding of them."""
    ops = keras.ops
    vectors = ops.one_hot(ids_of(x), 9)
    whole = ops.cast(ops.one_hot(ids_of(x), 3, dtype="int32"), "float32")
    return last(ops.concatenate([rnn()(x), vectors, whole], axis=-1))


def mean_by_hand(x: Any) -> Any:
    """Averages over the positions that are not padding, as people write it."""
    ops = keras.ops
    counts = ops.cast(ops.not_equal(ids_of(x), 0), "float32")[:, :, None]
    return ops.sum(rnn()(x) * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1.0)


def attention_with_a_mask_by_hand(x: Any) -> Any:
    """Hides padding from a softmax by a comparison."""
    ops = keras.ops
    is_there = ops.expand_dims(ids_of(x) > 0, axis=-1)
    states = rnn()(x)
    scores = ops.where(is_there, layers.Dense(1)(ops.tanh(states)), -1e9)
    more = ops.where(ops.logical_and(is_there, ops.logical_not(ids_of(x)[:, :, None] >= 9)), states, 0.0)
    counts = ops.sum(ops.cast(ids_of(x) != 0, "int32"), axis=1, keepdims=True)
    first = ops.cast(ops.less(np.arange(4)[None], counts), "float32")[..., None] * square(states)
    more = ops.concatenate(
        [more, ops.where(ops.count_nonzero(ids_of(x), axis=1)[:, None, None] >= 4, first, 1.0)], axis=1
    )
    lengths = ops.cast(counts, "float32")
    weighted = ops.sum(ops.softmax(scores, axis=1) * states, axis=1)
    return ops.concatenate([weighted, ops.max(more, axis=1), lengths * 0.1], axis=-1)


def all_readers(operation: Callable[[Any], Any]) -> Body:
    """Puts layers that read a mask after an operation, which has none: a mean, a maximum, an LSTM, an attention."""

    def build(x: Any) -> Any:
        a = operation(rnn()(x))
        mean, most = layers.GlobalAveragePooling1D()(a), layers.GlobalMaxPooling1D()(a)
        attention = layers.Attention()([a, a])[:, 0]
        return keras.ops.concatenate([mean, most, layers.LSTM(3)(a), attention], axis=-1)

    return build


BODIES_OF_OPERATIONS: dict[str, Callable[[], Body]] = {
    "items": lambda: items,
    "items from the second on": lambda: items_from_the_second_on,
    "item, last step": lambda: lambda x: rnn()(x)[:, -1],
    "arithmetic": lambda: arithmetic,
    "arithmetic with constants": lambda: arithmetic_with_constants,
    "reductions": lambda: reductions,
    "functions": lambda: functions,
    "moves": lambda: moves,
    "functions, more": lambda: more_functions,
    "functions, elementary": lambda: elementary_functions,
    "activations of tensors": lambda: activations_of_tensors,
    "reductions, more": lambda: more_reductions,
    "moves, more": lambda: more_moves,
    "moves in time": lambda: moves_in_time,
    "moves, further": lambda: further_moves,
    "moves in time, further": lambda: further_moves_in_time,
    "constants of any shape": lambda: constants_of_any_shape,
    "constants in a row": lambda: constants_in_a_row,
    "products": lambda: products,
    "products with constants": lambda: products_with_constants,
    "reductions, further": lambda: further_reductions,
    "einsums": lambda: einsums,
    "sorted numbers": lambda: sorted_numbers,
    "gated halves": lambda: gated_halves,
    "jumps": lambda: jumps,
    "vectors of ids": lambda: vectors_of_ids,
    "mean by hand": lambda: mean_by_hand,
    "attention with a mask by hand": lambda: attention_with_a_mask_by_hand,
    "tanh, then layers that read a mask": lambda: all_readers(keras.ops.tanh),
    "softmax, then layers that read a mask": lambda: all_readers(lambda a: keras.ops.softmax(a, axis=-1)),
    "stop_gradient, then layers that read a mask": lambda: all_readers(keras.ops.stop_gradient),
    "real, then a layer that reads a mask": lambda: lambda x: layers.LSTM(3)(keras.ops.real(rnn()(x))),
    "relu of activations, then layers that read a mask": lambda: all_readers(keras.activations.relu),
    "threshold, then layers that read a mask": lambda: all_readers(lambda a: keras.ops.threshold(a, 0.1, 0.0)),
    "relu with a threshold, then a layer that reads a mask": lambda: (
        lambda x: layers.LSTM(3)(layers.ReLU(0.9, 0.1, 0.2)(rnn()(x)))
    ),
    "hard_shrink, then a layer that reads a mask": lambda: (
        lambda x: layers.LSTM(3)(layers.Activation("hard_shrink")(rnn()(x)))
    ),
    "relu, then layers that read a mask": lambda: all_readers(keras.ops.relu),
    "product, then layers that read a mask": lambda: all_readers(lambda a: a @ np.full((4, 3), 0.3, np.float32)),
    "sum, then layers that read a mask": lambda: all_readers(lambda a: a + 0.5),
    "cast, then a layer that reads a mask": lambda: lambda x: layers.LSTM(3)(keras.ops.cast(rnn()(x), "float32")),
}
