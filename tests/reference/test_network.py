"""Tests the article's recurrence, computed by hand, and whole networks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnx.reference import (
    Activation,
    Concatenate,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    Network,
    Node,
    Reverse,
    SimpleRNN,
    Tensor,
    activate,
)


def test_a_recurrence_computed_by_hand() -> None:
    """Computes three steps of two units with relu, so that every number can be checked on paper.

    W x + U h + b with W = (1, 2), U = ((0, 1), (1, 0)), which is its own transpose, b = (0, -1), and x = 1, 0, 2:
    h1 = relu(1 + 0 + 0, 2 + 0 - 1) = (1, 1)
    h2 = relu(0 + 1 + 0, 0 + 1 - 1) = (1, 0)
    h3 = relu(2 + 0 + 0, 4 + 1 - 1) = (2, 4)
    """
    layer = SimpleRNN(
        kernel=np.array([[1.0, 2.0]]),
        recurrent_kernel=np.array([[0.0, 1.0], [1.0, 0.0]]),
        bias=np.array([0.0, -1.0]),
        activation="relu",
        return_sequences=True,
    )
    states = layer(Tensor(np.array([[[1.0], [0.0], [2.0]]]))).values
    assert states.tolist() == [[[1.0, 1.0], [1.0, 0.0], [2.0, 4.0]]]


def test_one_tanh_step_computed_by_hand() -> None:
    """Computes two steps of one unit: h1 = tanh(0.5), h2 = tanh(0.5 + 2 tanh(0.5)); W = 0.5, U = 2, b = 0, x = 1."""
    layer = SimpleRNN(np.full((1, 1), 0.5), np.full((1, 1), 2.0), np.zeros(1), "tanh", return_sequences=False)
    last = layer(Tensor(np.ones((1, 2, 1)))).values
    assert last[0, 0] == pytest.approx(math.tanh(0.5 + 2 * math.tanh(0.5)), abs=1e-15)


def test_the_numpy_example_of_the_article() -> None:
    """Runs 100 steps of 32 features and 64 units as the article writes them: column vectors, W x + U h + b."""
    rng = np.random.default_rng(0)
    inputs = rng.random((100, 32))
    w, u, b = rng.random((64, 32)), rng.random((64, 64)), rng.random(64)
    state = np.zeros(64)
    outputs = []
    for x in inputs:
        state = np.tanh(np.dot(w, x) + np.dot(u, state) + b)
        outputs.append(state)
    layer = SimpleRNN(w.T, u.T, b, "tanh", return_sequences=True)
    np.testing.assert_allclose(np.stack(outputs), layer(Tensor(inputs[None])).values[0], rtol=0, atol=1e-13)


def random_layer(**settings: bool) -> SimpleRNN:
    rng = np.random.default_rng(5)
    values = {"return_sequences": True} | settings
    return SimpleRNN(rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4), "tanh", **values)


def test_a_masked_position_keeps_the_state() -> None:
    x = np.random.default_rng(1).normal(size=(1, 5, 3))
    mask = np.array([[True, False, True, False, False]])
    with_mask = random_layer()(Tensor(x, mask)).values[0]
    without = random_layer()(Tensor(x[:, mask[0]])).values[0]
    np.testing.assert_array_equal(without[[0, 0, 1, 1, 1]], with_mask)


def test_masked_outputs_are_zero_if_requested() -> None:
    x = Tensor(np.ones((1, 3, 3)), np.array([[True, False, True]]))
    values = random_layer(zero_output_for_mask=True)(x).values[0]
    assert not values[1].any()
    assert values[2].all()


def test_a_backward_layer_reads_from_the_end() -> None:
    x = np.random.default_rng(2).normal(size=(2, 4, 3))
    backwards = random_layer(go_backwards=True)(Tensor(x)).values
    np.testing.assert_array_equal(random_layer()(Tensor(x[:, ::-1])).values, backwards)
    np.testing.assert_array_equal(backwards[:, ::-1], Reverse()(Tensor(backwards)).values)


def test_average_pooling_skips_masked_positions() -> None:
    x = Tensor(np.array([[[1.0], [5.0], [3.0]]]), np.array([[True, False, True]]))
    assert GlobalAveragePooling1D()(x).values.tolist() == [[2.0]]
    assert GlobalAveragePooling1D()(Tensor(x.values)).values.tolist() == [[3.0]]
    assert GlobalMaxPooling1D()(x).values.tolist() == [[5.0]]  # Keras's maximum ignores the mask
    assert np.isnan(GlobalAveragePooling1D()(Tensor(x.values, np.zeros((1, 3), np.bool_))).values).all()


def test_concatenate_joins_features() -> None:
    a, b = Tensor(np.zeros((1, 2, 1))), Tensor(np.ones((1, 2, 2)))
    assert Concatenate()(a, b).values.tolist() == [[[0, 1, 1], [0, 1, 1]]]


def test_activations_at_known_points() -> None:
    x = np.array([[0.0, math.log(3.0)]])
    np.testing.assert_allclose([[0.5, 0.75]], activate("sigmoid", x), rtol=1e-15)
    np.testing.assert_allclose([[0.25, 0.75]], activate("softmax", x), rtol=1e-15)
    assert activate("relu", np.array([-1.0, 2.0])).tolist() == [0.0, 2.0]
    assert activate("sigmoid", np.array([-800.0, 800.0])).tolist() == [0.0, 1.0]


def test_probabilities_come_from_a_dense_with_a_sigmoid_or_a_softmax() -> None:
    def kind(layer: Layer) -> str:
        return Node("end", layer, ("before",)).head_kind

    weights, bias = np.zeros((3, 2)), np.zeros(2)
    assert [kind(Dense(weights, bias, name)) for name in ("sigmoid", "softmax", "linear")] == [
        "sigmoid",
        "softmax",
        "values",
    ]
    assert kind(Activation("softmax")) == "values"  # its logits come from more than one layer
    assert kind(Reverse()) == "values"


def test_unsupported_activations_and_inputs_raise() -> None:
    with pytest.raises(ValueError, match="glu"):
        activate("glu", np.zeros(1))  # type: ignore[arg-type]  # wrong on purpose
    network = Network([Node("embedding", Embedding(np.zeros((4, 2)), mask_zero=False), ("ids",))])
    with pytest.raises(ValueError, match=r"0\.\.3"):
        network.predict(np.array([[4]], np.int32))
    with pytest.raises(ValueError, match=r"0\.\.3"):
        network.predict(np.array([[-1]], np.int32))
    with pytest.raises(ValueError, match="at least 1"):
        network.predict(np.zeros((2, 0), np.int32))


def test_a_network_continues_from_given_states() -> None:
    rng = np.random.default_rng(3)
    rnn = random_layer(return_sequences=False)
    network = Network(
        [
            Node("embedding", Embedding(rng.normal(size=(6, 3)), mask_zero=False), ("ids",)),
            Node("rnn", rnn, ("embedding",)),
            Node("probs", Dense(rng.normal(size=(4, 2)), np.zeros(2), "softmax"), ("rnn",)),
        ]
    )
    ids = np.array([[1, 2, 3]], np.int32)
    own = rnn.states(network.forward(ids)["embedding"])
    np.testing.assert_array_equal(network.predict(ids), network.forward(ids, {"rnn": own})["probs"].values)
    assert network.forward(ids, {"rnn": own * 0})["probs"].values.tolist() == [[0.5, 0.5]]
