"""Models with attention, by Keras and by hand, for tests that export them; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from tests.keras_models.parts import Body, last, rnn, square


def attention_by_hand(x: Any) -> Any:
    """Weights the four positions of a square, as the articles on attention with Keras do."""
    states = rnn(5)(square(x))
    weights = layers.Activation("softmax")(layers.Flatten()(layers.Dense(1, "tanh")(states)))
    repeated = layers.Permute((2, 1))(layers.RepeatVector(5)(weights))
    return layers.GlobalAveragePooling1D()(layers.Multiply()([states, repeated]))


def attention_of_any_length(x: Any) -> Any:
    """Weights the states by their product with the weights of all positions."""
    states = layers.Reshape((-1, 4))(rnn()(x))  # without its mask
    weights = layers.Softmax(axis=1)(layers.Dense(1)(states))
    return layers.Flatten()(layers.Dot(axes=1)([weights, states]))


def attention_of_one_feature(x: Any) -> list[Any]:
    """Returns states and one weight for each of them."""
    states = layers.Reshape((-1, 4))(rnn()(x))  # without its mask
    return [states, layers.Softmax(axis=1)(layers.Dense(1)(states))]


def weighted(x: Any, *, normalize: bool) -> Any:
    """Weights the states by how well they fit other states."""
    queries, states = rnn()(x), rnn()(x)
    weights = layers.Activation("softmax")(layers.Dot(axes=(2, 2), normalize=normalize)([queries, states]))
    return layers.Dot(axes=(2, 1))([weights, states])


def attended(layer: keras.Layer, inputs: int = 2, *, is_half_masked: bool = False, **settings: Any) -> Body:
    """Applies an attention to the states of recurrences; the keys are masked alone, or with the queries."""

    def build(x: Any) -> Any:
        given = [rnn()(x) for _ in range(inputs)]
        if is_half_masked:
            given[0] = layers.Reshape((-1, 4))(given[0])
        is_listed = not isinstance(layer, layers.MultiHeadAttention | layers.GroupQueryAttention)
        result = layer(given, **settings) if is_listed else layer(*given, **settings)
        if not settings.get("return_attention_scores"):
            return last(result)
        states, weights = result
        axis = 1 if is_listed else 2
        read = layers.Dot((axis, 1))([weights, states])
        return layers.Concatenate()(
            [
                last(states),
                layers.GlobalMaxPooling1D()(
                    read if is_listed else layers.Reshape((-1, 8))(layers.Permute((2, 1, 3))(read))
                ),
            ]
        )

    return build


def residual(x: Any) -> Any:
    """Adds states to their attention."""
    states = rnn()(x)
    return last(layers.LayerNormalization()(layers.Add()([layers.MultiHeadAttention(2, 3)(states, states), states])))


def read_again(x: Any) -> Any:
    """Reads states that an attention has read before."""
    states = rnn()(x)
    attention = layers.GlobalMaxPooling1D()(layers.MultiHeadAttention(2, 3)(states, x))
    return layers.Concatenate()([attention, last(states)])


def pairs_of_ids(x: Any) -> Any:
    """Says that a query reads the keys with a smaller id, or its own."""
    ids = x._keras_history.operation.input
    return ids[:, :, None] >= ids[:, None, :]


def with_pairs(layer: Any, pairs: Callable[[Any], Any], of: Any = None, **settings: Any) -> Body:
    """Applies an attention of several heads, with an attention mask, to the states of recurrences."""

    def build(x: Any) -> Any:
        given = (of or rnn())(x)
        result = layer(given, rnn()(given), attention_mask=pairs(x), **settings)
        return last(result)

    return build


BODIES_OF_ATTENTION: dict[str, Callable[[], Body]] = {
    "attention by hand": lambda: attention_by_hand,
    "attention by hand, any length": lambda: attention_of_any_length,
    "attention by hand, multiplied": lambda: lambda x: last(layers.Multiply()(attention_of_one_feature(x))),
    "maximum of one feature": lambda: lambda x: last(layers.Maximum()(attention_of_one_feature(x))),
    "dot over the features": lambda: lambda x: layers.GlobalMaxPooling1D()(weighted(x, normalize=False)),
    "dot, cosines": lambda: lambda x: layers.GlobalMaxPooling1D()(weighted(x, normalize=True)),
    "dot of rows": lambda: lambda x: layers.Dot(axes=-1)([last(x), layers.SimpleRNN(3)(x)]),
    "attention": lambda: attended(layers.Attention()),
    "attention, scaled": lambda: attended(layers.Attention(use_scale=True, dropout=0.3)),
    "attention, concat": lambda: attended(layers.Attention(use_scale=True, score_mode="concat")),
    "attention, concat without scale": lambda: attended(layers.Attention(score_mode="concat")),
    "attention, causal": lambda: attended(layers.Attention(), use_causal_mask=True),
    "attention, three inputs": lambda: attended(layers.Attention(), inputs=3),
    "attention, half masked": lambda: attended(layers.Attention(), is_half_masked=True),
    "attention, weights": lambda: attended(layers.Attention(), return_attention_scores=True),
    "additive attention": lambda: attended(layers.AdditiveAttention()),
    "additive attention, plain": lambda: attended(layers.AdditiveAttention(use_scale=False), inputs=3),
    "additive attention, causal": lambda: attended(layers.AdditiveAttention(), use_causal_mask=True),
    "additive attention, weights": lambda: attended(layers.AdditiveAttention(), return_attention_scores=True),
    "heads": lambda: attended(layers.MultiHeadAttention(2, 3)),
    "heads, one": lambda: attended(layers.MultiHeadAttention(1, 3)),
    "heads, settings": lambda: attended(
        layers.MultiHeadAttention(3, 2, value_dim=5, use_bias=False, output_shape=7, dropout=0.2), inputs=3
    ),
    "heads, causal": lambda: attended(layers.MultiHeadAttention(2, 3), use_causal_mask=True),
    "heads, half masked": lambda: attended(layers.MultiHeadAttention(2, 3), is_half_masked=True),
    "heads, pairs of ids": lambda: with_pairs(layers.MultiHeadAttention(2, 3), pairs_of_ids),
    "heads, pairs of ids, causal": lambda: with_pairs(
        layers.MultiHeadAttention(2, 3, dropout=0.1), pairs_of_ids, use_causal_mask=True
    ),
    "heads, constant pairs": lambda: with_pairs(layers.MultiHeadAttention(2, 3), lambda x: np.tri(4), of=square),
    "grouped heads, pairs of ids": lambda: with_pairs(layers.GroupQueryAttention(3, 4, 2), pairs_of_ids),
    "heads, residual": lambda: residual,
    "heads, read again": lambda: read_again,
    "grouped heads": lambda: attended(layers.GroupQueryAttention(3, 4, 2)),
    "grouped heads, one of the keys": lambda: attended(
        layers.GroupQueryAttention(2, 3, 1, use_bias=False), inputs=3, use_causal_mask=True
    ),
    "grouped heads, all": lambda: attended(layers.GroupQueryAttention(2, 2, 2)),
    "grouped heads, weights": lambda: attended(layers.GroupQueryAttention(2, 2, 1), return_attention_scores=True),
    "heads, weights": lambda: attended(layers.MultiHeadAttention(2, 3), return_attention_scores=True),
}
