"""Tests that operations of functional models which are not supported are refused by name and reason."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers
from keras.src.ops import numpy as operations

from rnnx.errors import ModelError
from rnnx.keras_models.read_network import read_network
from tests.keras_models.parts import Body, last, rnn, square

pytestmark = [
    pytest.mark.train,
    # Operations read no mask.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning"),
]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), 3)), "takes position 3, which a short"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), slice(1, None))), "leaves nothing of a"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(1, None),)), "takes some rows of the batch"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), 0, 0))[:, None], "leaves a single number"),
        (lambda x: operations.Mean(0, name="p")(rnn()(x)), "reduces the batch"),
        (lambda x: operations.Max(1, initial=0.0, name="p")(rnn()(x)), "has an initial value"),
        (lambda x: operations.Add(name="p")(rnn()(x), layers.GlobalMaxPooling1D()(x)), "has inputs of the shapes"),
        (lambda x: operations.Add(name="p")(square(x), np.ones((4, 4), np.float32)), "constants of the shape (4, 4)"),
        (lambda x: operations.Transpose((1, 0, 2), name="p")(rnn()(x)), "moves the batch to another axis"),
        (lambda x: operations.Reshape((4, -1), name="p")(last(x)), "does not keep the batch"),
        (lambda x: operations.Matmul(name="p")(square(x), square(x)), "multiplies two computed tensors"),
        (lambda x: operations.Cumsum(1, name="p")(rnn()(x)), "is of an unsupported class"),
    ],
)  # fmt: skip
def test_an_unsupported_operation_is_refused_by_name_and_reason(body: Body, reason: str) -> None:
    ids = keras.Input((None,), dtype="int32")
    x = body(layers.Embedding(12, 4, mask_zero=True)(ids))
    model = keras.Model(ids, x if len(x.shape) == 2 else last(x))
    with pytest.raises(ModelError, match=rf"layer p \(.*{re.escape(reason)}.*; nothing was exported"):
        read_network(model)
