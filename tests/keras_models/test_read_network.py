from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.keras_models.read_network import read_network
from tests.networks import MODELS, build

pytestmark = pytest.mark.train


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("name", list(MODELS))
def test_the_reference_computes_what_keras_computes(name: str, mask_zero: bool) -> None:
    """Six steps in float32 with moderate weights stay within 1e-4; padding is in front, at the end and between."""
    model = MODELS[name](mask_zero)
    ids = np.array([[0, 0, 3, 4, 5, 6], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [2, 0, 0, 0, 0, 0]], np.int32)
    expected = read_network(model).predict(ids)
    actual = np.asarray(model(ids, training=False))
    assert expected.shape == actual.shape
    np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-4)


def test_branches_of_a_functional_model_are_joined() -> None:
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(12, 5)(ids)
    states = layers.SimpleRNN(4, return_sequences=True)(x)
    pooled = layers.Concatenate()([layers.GlobalMaxPooling1D()(states), layers.GlobalAveragePooling1D()(states)])
    model = keras.Model(ids, layers.Dense(1, "sigmoid")(pooled))
    batch = np.array([[1, 2, 3], [4, 5, 6]], np.int32)
    np.testing.assert_allclose(read_network(model).predict(batch), np.asarray(model(batch)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([layers.RNN(layers.LSTMCell(4), name="memory")], r"layer memory \(RNN\) is of an unsupported class"),
        (
            [layers.SimpleRNN(4, activation="glu", name="rnn")],
            r"layer rnn .* activation 'glu', which halves",
        ),
        ([layers.SimpleRNN(4, activation="sparsemax", name="rnn")], r"layer rnn .* activation 'sparsemax', which"),
        ([layers.SimpleRNN(4, unroll=True, name="rnn")], r"layer rnn .* unroll=True"),
        ([layers.SimpleRNN(4, dtype="mixed_bfloat16", name="rnn")], r"layer rnn .*mixed_bfloat16"),
        ([layers.Bidirectional(layers.RNN(layers.GRUCell(4)), name="two")], r"layer two .* wraps a RNN"),
        ([layers.Lambda(lambda x: x, name="code")], r"layer code \(Lambda\)"),
    ],
)
def test_an_unsupported_layer_is_refused_by_name_and_reason(body: list[keras.Layer], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read_network(build(*body))


def test_a_layer_used_twice_is_refused() -> None:
    ids = keras.Input((None,), dtype="int32")
    shared = layers.SimpleRNN(5, return_sequences=True, name="shared")
    model = keras.Model(ids, shared(shared(layers.Embedding(12, 5)(ids))))
    with pytest.raises(
        ModelError, match="an output should come from one of its layers, and this layer should be used once"
    ):
        read_network(model)


def test_a_subclass_of_a_supported_layer_is_refused() -> None:
    class Twisted(layers.SimpleRNN):  # type: ignore[misc]  # keras ships no types
        pass

    with pytest.raises(ModelError, match=r"\(Twisted\) is of an unsupported class"):
        read_network(build(Twisted(4)))
