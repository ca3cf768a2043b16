"""Tests that layers and settings that are not supported are refused, with the layer's name and the reason."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.keras_models.read_network import read_network
from tests.keras_models.layer_bodies import ids_of
from tests.keras_models.parts import MARKS, Body, last, rnn, square

pytestmark = MARKS


def images(x: Any) -> Any:
    """Returns an image of two rows."""
    return layers.Reshape((2, 2, 4))(square(x))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda x: layers.Flatten(name="p")(rnn()(x)), "mixes positions of a variable time with features"),
        (lambda x: layers.Reshape((-1, 2), name="p")(rnn()(x)), "mixes positions of a variable time with features"),
        (lambda x: layers.Conv1D(2, 1, data_format="channels_first", name="p")(square(x)), "has data_format='channels"),
        (lambda x: layers.MaxPooling1D(1, data_format="channels_first", name="p")(square(x)), "has data_format='chan"),
        (
            lambda x: layers.Softmax(name="p")(rnn()(x)),
            "use the mask of positions as a mask of features; use Activation('softmax') instead",
        ),
        (lambda x: layers.Softmax(axis=1, name="p")(rnn()(x)), "use keras.ops.softmax(x, axis=1) instead"),
        (lambda x: layers.Softmax(axis=(0, 2), name="p")(square(x)), "along axis (0, 2); only the other axes"),
        (
            lambda x: layers.Softmax(name="p")(square(x), mask=np.ones((1, 4, 4), bool)),
            "has a constant mask; only a mask that is computed",
        ),
        (
            lambda x: layers.Softmax(name="p")(square(x), mask=square(x)),
            "has a mask of computed numbers, where rounding could decide",
        ),
        (
            lambda x: layers.LSTM(2, activation=layers.LeakyReLU(), name="p")(rnn()(x)),
            "has a LeakyReLU layer as its activation; set it to one of keras.activations",
        ),
        (lambda x: layers.Masking(name="p")(rnn()(x)), "masks a computed value"),
        (lambda x: layers.TimeDistributed(layers.Softmax(), name="p")(rnn()(x)), "wraps a Softmax"),
        (lambda x: layers.Dense(2, activation="hard_shrink", name="p")(rnn()(x)), "which jumps; only a layer"),
        (lambda x: layers.UnitNormalization(axis=(0, 2), name="p")(square(x)), "normalizes over the batch"),
        (
            lambda x: layers.TimeDistributed(layers.LayerNormalization(axis=1), name="p")(
                layers.Reshape((2, 4, 2))(square(x))
            )[:, 0],
            "wraps a LayerNormalization",
        ),
        (lambda x: layers.Rescaling(np.ones((4, 4)), name="p")(square(x)), "for each position"),
        (lambda x: layers.Add(name="p")([x, layers.ZeroPadding1D()(square(x))]), "inputs with the shapes"),
        (
            lambda x: layers.Concatenate(axis=0, name="p")([rnn()(x), rnn()(x)]),
            "concatenates rows of the batch; only the other axes",
        ),
        (lambda x: layers.Flatten()(layers.CenterCrop(1, 1, name="p")(images(x))), "is of an unsupported class"),
        (
            lambda x: layers.Conv1DTranspose(3, 2, dilation_rate=2, name="p")(rnn()(x)),
            "has dilation_rate=(2,), which TensorFlow does not compute on a CPU; train with dilation_rate=1",
        ),
        (
            lambda x: layers.Conv1DTranspose(3, 2, data_format="channels_first", name="p")(square(x)),
            "has data_format='channels_first'; only 'channels_last' is supported: build the model with it",
        ),
        (
            lambda x: layers.AdaptiveMaxPooling1D(1, name="p")(square(x)),
            "has output_size=(1,) for an input of (4,), with which Keras itself fails in TensorFlow; for a size of 1",
        ),
        (
            lambda x: layers.AdaptiveAveragePooling1D(2, name="p")(rnn()(x)),
            "reads a variable time, which Keras itself cannot pool; use a fixed time",
        ),
        (
            lambda x: layers.Flatten()(layers.UpSampling2D(2, interpolation="bilinear", name="p")(images(x))),
            "has interpolation='bilinear'; only 'nearest' is supported",
        ),
        (
            lambda x: layers.EinsumDense("abc,cd->bad", (None, 4), name="p")(square(x)),
            "has the equation 'abc,cd->bad'; supported is a product of which the batch is the first axis",
        ),
        (
            lambda x: layers.EinsumDense("abc,d->abd", (4, 2), name="p")(square(x)),
            "every axis of the input in the kernel or in the result",
        ),
        (
            lambda x: layers.Reshape((-1, 16))(
                layers.Concatenate(axis=2, name="p")([layers.Masking()(layers.Reshape((-1, 2, 2))(x))] * 4)
            ),
            "concatenates inputs with a mask along axis 2 of 4",
        ),
        (
            lambda x: layers.MultiHeadAttention(2, 2, name="p")(x, x, attention_mask=np.ones((1, 3, 3), bool)),
            "has a constant attention_mask of the shape (1, 3, 3) for None queries and None keys; it should be "
            "(queries, keys) of a fixed time: for an open time, use use_causal_mask=True",
        ),
        (
            lambda x: layers.MultiHeadAttention(2, 2, name="p")(x, x, attention_mask=layers.Dot(2)([x, rnn()(x)])),
            "has an attention_mask of computed numbers, where rounding could decide; compute it from inputs",
        ),
        (
            lambda x: layers.MultiHeadAttention(2, 2, name="p")(x, x, attention_mask=(ids_of(x) > 0)[:, None, None]),
            "has an attention_mask of (None, 1, 1, None); it should be (batch, queries, keys)",
        ),
        (lambda x: layers.MultiHeadAttention(2, 2, sliding_window=2, name="p")(x, x), "sliding_window=2"),
        (
            lambda x: layers.Flatten()(
                layers.MultiHeadAttention(2, 2, output_shape=(2, 2), name="p")(square(x), square(x))
            ),
            "output_shape of several axes",
        ),
        (lambda x: layers.Attention(name="p")([x, x], training=True), "training=True"),
        (
            lambda x: layers.Flatten()(
                layers.ConvLSTM2D(1, 2, data_format="channels_first", name="p")(layers.Reshape((-1, 1, 2, 2))(x))
            ),
            "data_format='channels_first'",
        ),
    ],
)  # fmt: skip
def test_an_unsupported_layer_is_refused_by_name_and_reason(body: Body, reason: str) -> None:
    ids = keras.Input((None,), dtype="int32")
    x = body(layers.Embedding(12, 4, mask_zero=True)(ids))
    model = keras.Model(ids, x if len(x.shape) == 2 else last(x))
    with pytest.raises(ModelError, match=rf"layer p \(.*{re.escape(reason)}.*; nothing was exported"):
        read_network(model)
