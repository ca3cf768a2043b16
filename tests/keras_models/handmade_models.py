"""Models with operations between their layers, as people write them; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

_WORDS, _WIDTH, _FEATURES, _TIME = 20, 6, 3, 8


def _ids(time: int | None = None) -> Any:
    return keras.Input((time,), dtype="int32", name="ids")


def _embedded(ids: Any, *, mask_zero: bool = False) -> Any:
    return layers.Embedding(_WORDS, _WIDTH, mask_zero=mask_zero)(ids)


def additive_attention() -> keras.Model:
    """Attention over the states of a bidirectional LSTM, by Dense layers and a softmax over the time."""
    ids = _ids()
    states = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(_embedded(ids))
    weights = ops.softmax(layers.Dense(1)(ops.tanh(layers.Dense(5)(states))), axis=1)
    context = ops.sum(weights * states, axis=1)
    return keras.Model(ids, layers.Dense(3, "softmax")(context))


def scaled_dot_product() -> keras.Model:
    """Self-attention by matmul, with a residual and a LayerNormalization."""
    x = keras.Input((None, _FEATURES), name="x")
    states = layers.GRU(4, return_sequences=True)(x)
    query, key, value = (layers.Dense(4)(states) for _ in range(3))
    scores = ops.matmul(query, ops.transpose(key, axes=[0, 2, 1])) / ops.sqrt(4.0)
    attended = ops.matmul(ops.softmax(scores, axis=-1), value)
    states = layers.LayerNormalization()(states + layers.Dropout(0.1)(attended))
    return keras.Model(x, layers.Dense(1, "sigmoid")(ops.mean(states, axis=1)))


def padding_aware_attention() -> keras.Model:
    """Attention whose scores of padding get a large negative number, from a mask of the ids."""
    ids = _ids()
    mask = ops.cast(ops.not_equal(ids, 0), "float32")
    states = layers.LSTM(4, return_sequences=True)(_embedded(ids, mask_zero=True))
    scores = ops.squeeze(layers.Dense(1)(states), axis=-1) + (1.0 - mask) * -1e9
    weights = ops.expand_dims(ops.softmax(scores, axis=-1), axis=-1)
    return keras.Model(ids, layers.Dense(2, "softmax")(ops.sum(states * weights, axis=1)))


def masked_mean() -> keras.Model:
    """The mean of the states that are not padding, and their maximum."""
    ids = _ids()
    mask = ops.expand_dims(ops.cast(ids != 0, "float32"), -1)
    states = layers.GRU(4, return_sequences=True)(_embedded(ids))
    mean = ops.sum(states * mask, axis=1) / (ops.sum(mask, axis=1) + 1e-7)
    most = ops.max(ops.where(mask > 0.5, states, -1e4), axis=1)
    return keras.Model(ids, layers.Dense(1, "sigmoid")(layers.concatenate([mean, most])))


def gated() -> keras.Model:
    """A gated linear unit, and a highway connection around it."""
    x = keras.Input((None, _FEATURES), name="x")
    states = layers.LSTM(4, return_sequences=True)(x)
    value, gate = ops.split(layers.Dense(8)(states), 2, axis=-1)
    carried = ops.sigmoid(layers.Dense(4)(states))
    states = carried * states + (1 - carried) * value * ops.sigmoid(gate)
    return keras.Model(x, layers.Dense(2, "softmax")(states[:, -1, :]))


def squeeze_and_excite() -> keras.Model:
    """Weights of the features that follow from their means over the time."""
    x = keras.Input((_TIME, _FEATURES), name="x")
    states = layers.GRU(6, return_sequences=True)(x)
    means = ops.mean(states, axis=1, keepdims=True)
    states = states * layers.Dense(6, "sigmoid")(layers.Dense(2, "relu")(means))
    return keras.Model(x, layers.Dense(1)(ops.reshape(states, (-1, _TIME * 6))))


def positions_added() -> keras.Model:
    """A table of sines and cosines is added to the embedding, and a transformer block comes before the LSTM."""
    angles = np.arange(_TIME)[:, None] / 10000.0 ** (np.arange(_WIDTH)[None] // 2 * 2 / _WIDTH)
    table = np.where(np.arange(_WIDTH) % 2, np.cos(angles), np.sin(angles)).astype("float32")
    ids = _ids(_TIME)
    x = _embedded(ids) * ops.sqrt(float(_WIDTH)) + table
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.MultiHeadAttention(2, 3)(x, x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dense(_WIDTH)(ops.gelu(layers.Dense(12)(x))))
    return keras.Model(ids, layers.Dense(2, "softmax")(layers.LSTM(4)(x)))


def standardized() -> keras.Model:
    """Each series is standardized by its own mean and deviation, and the forecast is scaled back."""
    x = keras.Input((12, 1), name="x")
    mean, deviation = ops.mean(x, axis=1, keepdims=True), ops.std(x, axis=1, keepdims=True) + 1e-5
    states = layers.LSTM(5)((x - mean) / deviation)
    forecast = layers.Reshape((4, 1))(layers.Dense(4)(states))
    return keras.Model(x, forecast * deviation + mean)


def siamese() -> keras.Model:
    """Two texts read by the same LSTM, compared by the cosine of their last states and by exp(-distance)."""
    left, right = (keras.Input((None,), dtype="int32", name=name) for name in ("left", "right"))
    embedding, lstm = layers.Embedding(_WORDS, _WIDTH, mask_zero=True), layers.LSTM(4)
    a, b = (lstm(embedding(ids)) for ids in (left, right))
    cosine = ops.sum(ops.normalize(a) * ops.normalize(b), axis=-1, keepdims=True)
    near = ops.exp(-ops.sum(ops.abs(a - b), axis=-1, keepdims=True))
    return keras.Model([left, right], layers.Dense(1, "sigmoid")(layers.concatenate([cosine, near, ops.square(a - b)])))


def heads_by_hand() -> keras.Model:
    """Attention of several heads with einsum, and a causal mask of constants."""
    x = keras.Input((_TIME, _FEATURES), name="x")
    states = layers.GRU(6, return_sequences=True)(x)
    query, key, value = (layers.Reshape((_TIME, 2, 3))(layers.Dense(6, use_bias=False)(states)) for _ in range(3))
    scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * (3**-0.5)
    scores = scores + np.triu(np.full((_TIME, _TIME), -1e9, "float32"), 1)
    attended = ops.einsum("bhqk,bkhd->bqhd", ops.softmax(scores), value)
    states = states + layers.Dense(6)(layers.Reshape((_TIME, 6))(attended))
    return keras.Model(x, layers.Dense(2)(states))


def log_probabilities() -> keras.Model:
    """A language model that puts out logarithms, with tied features and a temperature."""
    ids = _ids()
    states = layers.GRU(5, return_sequences=True)(_embedded(ids, mask_zero=True))
    scores = layers.Dense(_WORDS)(ops.silu(states)) / 0.8
    return keras.Model(ids, ops.log_softmax(scores, axis=-1))


def attention_of_the_last_state() -> keras.Model:
    """The last state asks all states, as in models of Luong, and both are read."""
    ids = _ids()
    states, last = layers.GRU(4, return_sequences=True, return_state=True)(_embedded(ids))
    scores = ops.einsum("btd,bd->bt", states, layers.Dense(4, use_bias=False)(last))
    context = ops.einsum("bt,btd->bd", ops.softmax(scores), states)
    hidden = ops.tanh(layers.Dense(6)(ops.concatenate([context, last], axis=-1)))
    return keras.Model(ids, layers.Dense(3, "softmax")(hidden))


def causal() -> keras.Model:
    """Attention that reads no later position, by a choice with a constant triangle."""
    ids = _ids(_TIME)
    states = layers.LSTM(4, return_sequences=True)(_embedded(ids))
    scores = ops.matmul(layers.Dense(4)(states), ops.swapaxes(layers.Dense(4)(states), 1, 2)) / np.sqrt(4)
    scores = ops.where(np.tril(np.ones((1, _TIME, _TIME), bool)), scores, -1e9)
    return keras.Model(ids, layers.Dense(_WORDS)(ops.softmax(scores) @ states))


def differences() -> keras.Model:
    """Reads how much a series changes from step to step, of which a single step has none."""
    x = keras.Input((None, _FEATURES), name="x")
    states = layers.LSTM(4)(x[:, 1:] - x[:, :-1])
    return keras.Model(x, layers.Dense(1)(states))


def next_words() -> keras.Model:
    """A language model that reads all words but the last, and gives the next of each."""
    ids = _ids()
    states = layers.GRU(5, return_sequences=True)(_embedded(ids)[:, :-1, :])
    return keras.Model(ids, layers.Dense(_WORDS, "softmax")(states))


def states_at_some_positions() -> keras.Model:
    """Reads every other state backwards, and the fourth one."""
    ids = _ids()
    states = layers.SimpleRNN(4, return_sequences=True)(_embedded(ids, mask_zero=True))
    last = layers.SimpleRNN(3)(states[:, 2::2])
    return keras.Model(ids, layers.Dense(1, "sigmoid")(layers.concatenate([last, states[:, 3]])))


HANDMADE: dict[str, Callable[[], keras.Model]] = {
    make.__name__: make
    for make in (
        additive_attention, scaled_dot_product, padding_aware_attention, masked_mean, gated, squeeze_and_excite,
        positions_added, standardized, siamese, heads_by_hand, log_probabilities, attention_of_the_last_state,
        causal, differences, next_words, states_at_some_positions,
    )
}  # fmt: skip
