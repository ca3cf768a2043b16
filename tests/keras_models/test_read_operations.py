"""Tests that operations of functional models which are not supported are refused by name and reason."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers
from keras.src.ops import core, linalg, nn
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
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), 300)), "takes position 300, which a short"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), slice(9, 5))), "leaves nothing of a"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(1, None),)), "takes some rows of the batch"),
(lambda x: operations.Sum((1, 2), name="p")(rnn()(x)), "gives a single number of each row"),
        (lambda x: operations.Mean(0, name="p")(rnn()(x)), "reduces the batch"),
        (lambda x: operations.Max(1, initial=0.0, name="p")(rnn()(x)), "has an initial value"),
        (lambda x: operations.Add(name="p")(rnn()(x), layers.GlobalMaxPooling1D()(x)), "add an axis, as x[:, None]"),
        (lambda x: operations.Add(name="p")(square(x), np.ones((2, 4, 4), np.float32)), "not those of one row of"),
        (lambda x: operations.Transpose((1, 0, 2), name="p")(rnn()(x)), "moves the batch to another axis"),
        (lambda x: operations.Reshape((4, -1), name="p")(last(x)), "does not keep the batch"),
        (lambda x: operations.Matmul(name="p")(square(x), last(x)), "only a matrix of each row"),
        (lambda x: operations.Matmul(name="p")(square(x), np.ones((1, 4, 4), np.float32)), "of the shape (1, 4, 4)"),
        (lambda x: operations.Dot(name="p")(square(x), square(x))[:, 0], "use ops.matmul or ops.einsum"),
        (lambda x: operations.Einsum("btd,bsd->ts", name="p")(square(x), square(x)), "of which the batch is the"),
        (lambda x: operations.Einsum("btd->bt", name="p")(square(x)), "only two computed tensors"),
        (lambda x: operations.Where(name="p")(x > 0, x, np.zeros((4,), np.float32)), "constants of the shape (4,)"),
        (lambda x: operations.Greater(name="p")(rnn()(x), 0.0) | (x > 0), "rounding could decide"),
        (lambda x: operations.Split(2, 1, name="p")(rnn()(x))[0], "splits a variable time"),
        (lambda x: operations.Pad(((0, 0), (1, 1), (1, 1)), name="p")(rnn()(x)), "only one axis of each row"),
        (lambda x: operations.Pad(((0, 0), (1, 1), (0, 0)), "reflect", name="p")(rnn()(x)), "mode='reflect'"),
        (lambda x: operations.Tile([2, 1, 1], name="p")(rnn()(x)), "only one axis of each row may be tiled"),
        (lambda x: operations.Repeat([1, 2, 3, 4], 2, name="p")(rnn()(x)), "should repeat each element"),
        (lambda x: operations.Roll(1, name="p")(rnn()(x)), "should move the elements of one axis"),
        (lambda x: operations.Power(name="p")(rnn()(x), rnn()(x)), "has a computed exponent"),
        (lambda x: core.Cast("float16", name="p")(rnn()(x)), "numbers of type float16"),
        (lambda x: core.Cast("int32", name="p")(rnn()(x)), "turns numbers of type float32 into int32"),
        (lambda x: linalg.Norm(1, 2, name="p")(rnn()(x)), "has ord=1"),
        (lambda x: nn.Softmax((1, 2), name="p")(rnn()(x)), "only one axis is supported"),
        (lambda x: operations.Prod(1, name="p")(rnn()(x)), "is of an unsupported class"),
    ],
)  # fmt: skip
def test_an_unsupported_operation_is_refused_by_name_and_reason(body: Body, reason: str) -> None:
    ids = keras.Input((None,), dtype="int32")
    x = body(layers.Embedding(12, 4, mask_zero=True)(ids))
    x = x if x.dtype == "float32" else keras.ops.cast(x, "float32")
    model = keras.Model(ids, x if len(x.shape) < 3 else last(x))
    with pytest.raises(ModelError, match=rf"layer p \(.*{re.escape(reason)}.*; nothing was exported"):
        read_network(model)
