"""Tests the head at each position: by hand, by what the definition implies, and the networks that are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnx.errors import ModelError
from rnnx.reference import (
    LSTM,
    ActivationName,
    Array,
    Concatenate,
    Dense,
    Embedding,
    GetItem,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    LastPosition,
    Layer,
    Merge,
    Network,
    Node,
    Pooling1D,
    Recurrent,
    RecurrentLayer,
    RepeatVector,
    Reshape,
    Reverse,
    Selection,
    SimpleRNN,
    ZeroPadding1D,
    cell_state_of,
    last_state_of,
)
from rnnx.reference.head import Head
from tests.layers import draw_cell

VOCABULARY, FEATURES, UNITS = 7, 3, 4
# NumPy may sum a matrix product of another shape in another order. Here a logit is a sum of at most 16 products and
# below 100 in absolute value: 2 * 16 * 2^-53 * 100 is below 4e-13.
ROUNDING = 4e-13
IDS = np.array([[1, 5, 2, 6, 3], [1, 4, 4, 2, 5]])


def embedding(seed: int, *, mask_zero: bool = True) -> Embedding:
    return Embedding(np.random.default_rng(seed).normal(size=(VOCABULARY, FEATURES)), mask_zero)


def rnn(seed: int, inputs: int = FEATURES, *, all_states: bool = True, go_backwards: bool = False) -> SimpleRNN:
    rng = np.random.default_rng(seed)
    kernel, recurrent = rng.normal(size=(inputs, UNITS)), rng.normal(size=(UNITS, UNITS))
    return SimpleRNN(kernel, recurrent, rng.normal(size=UNITS), "tanh", all_states, go_backwards)


def lstm(seed: int, inputs: int) -> LSTM:
    rng = np.random.default_rng(seed)
    kernel, recurrent = rng.normal(size=(inputs, 4 * UNITS)), rng.normal(size=(UNITS, 4 * UNITS))
    return LSTM(kernel, recurrent, rng.normal(size=4 * UNITS), "tanh", return_sequences=False)


def dense(seed: int, inputs: int, activation: ActivationName = "linear", outputs: int = 2) -> Dense:
    rng = np.random.default_rng(seed)
    return Dense(rng.normal(size=(inputs, outputs)), rng.normal(size=outputs), activation)


def network(*layers: tuple[str, Layer, tuple[str, ...]]) -> Network:
    return Network([Node(name, layer, inputs) for name, layer, inputs in layers])


def both_directions(seed: int, activation: ActivationName = "linear", *, pools: tuple[Layer, ...]) -> Network:
    """Makes a network of both directions, each of the pooling layers over all states, and a Dense over all pools."""
    pooled = [(f"pool{i}", pool, ("both",)) for i, pool in enumerate(pools)]
    return network(
        ("embedding", embedding(seed), ("ids",)),
        ("forward", rnn(seed + 1), ("embedding",)),
        ("backward", rnn(seed + 2, go_backwards=True), ("embedding",)),
        ("turned", Reverse(), ("backward",)),
        ("both", Concatenate(), ("forward", "turned")),
        *pooled,
        ("pools", Concatenate(), tuple(name for name, _, _ in pooled)),
        ("logits", dense(seed + 3, 2 * UNITS * len(pools), activation), ("pools",)),
    )


def states_of(net: Network, name: str, ids: Array) -> Array:
    """Returns all states of a recurrent layer over the ids, computed without the head."""
    (node,) = (node for node in net.nodes if node.name == name)
    assert isinstance(node.layer, Recurrent)
    layer = dataclasses.replace(node.layer, return_sequences=True)
    return layer(net.forward(ids)[node.inputs[0]]).values


def test_two_positions_computed_by_hand() -> None:
    """Computes one unit with relu: h = 1 and 1 + 2 = 3 from x = 1, 2 with W = U = 1; p = 2 h - 1 = 1 and 5."""
    weight = np.ones((1, 1))
    net = network(
        ("embedding", Embedding(np.array([[0.0], [1.0], [2.0]]), True), ("ids",)),
        ("rnn", SimpleRNN(weight, weight, np.zeros(1), "relu", return_sequences=False), ("embedding",)),
        ("logits", Dense(2 * weight, -np.ones(1), "linear"), ("rnn",)),
    )
    assert Head(net).answers(np.array([[1, 2]])).tolist() == [[[1.0], [5.0]]]


@pytest.mark.parametrize("last", [rnn(2, UNITS, all_states=False), lstm(3, UNITS)])
def test_after_a_last_state_the_answer_is_that_to_the_text_so_far(last: RecurrentLayer) -> None:
    net = network(
        ("embedding", embedding(1), ("ids",)),
        ("lower", rnn(5, all_states=True), ("embedding",)),
        ("last", last, ("lower",)),
        ("probs", dense(4, UNITS, "softmax"), ("last",)),
    )
    answers = Head(net).answers(IDS)
    for t in range(IDS.shape[1]):
        np.testing.assert_allclose(net.predict(IDS[:, : t + 1]), answers[:, t], rtol=0, atol=ROUNDING)


def test_an_output_at_every_position_is_unchanged() -> None:
    net = network(
        ("embedding", embedding(1), ("ids",)),
        ("rnn", rnn(2), ("embedding",)),
        ("probs", dense(3, UNITS, "softmax"), ("rnn",)),
    )
    np.testing.assert_allclose(net.predict(IDS), Head(net).answers(IDS), rtol=0, atol=ROUNDING)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 10), st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=12))
def test_after_a_mean_the_logits_average_to_the_logit_of_the_network(seed: int, ids: list[int]) -> None:
    net = both_directions(seed, pools=(GlobalAveragePooling1D(),))
    given_ids = np.array([ids])
    answers = Head(net).answers(given_ids)
    np.testing.assert_allclose(net.predict(given_ids), answers.mean(axis=1), rtol=0, atol=ROUNDING)


def test_the_maximum_and_the_mean_of_one_state_are_that_state() -> None:
    net = both_directions(3, pools=(GlobalMaxPooling1D(), GlobalAveragePooling1D()))
    forward, backward = states_of(net, "forward", IDS), states_of(net, "backward", IDS)[:, ::-1]
    states = np.concatenate([forward, backward], axis=-1)
    logits = net.nodes[-1].layer
    assert isinstance(logits, Dense)
    expected = logits.logits(np.concatenate([states, states], axis=-1))
    np.testing.assert_allclose(expected, Head(net).answers(IDS), rtol=0, atol=ROUNDING)


def test_a_sequence_of_one_position_gets_the_answer_of_the_network() -> None:
    for pools in ((GlobalAveragePooling1D(),), (GlobalMaxPooling1D(), GlobalAveragePooling1D()), (LastPosition(),)):
        net = both_directions(8, "sigmoid", pools=pools)
        np.testing.assert_allclose(net.predict(IDS[:, :1]), Head(net).answers(IDS[:, :1])[:, 0], rtol=0, atol=ROUNDING)


def test_last_states_of_both_directions_are_taken_at_one_position() -> None:
    net = network(
        ("embedding", embedding(1), ("ids",)),
        ("forward", rnn(2, all_states=False), ("embedding",)),
        ("backward", rnn(3, all_states=False, go_backwards=True), ("embedding",)),
        ("both", Concatenate(), ("forward", "backward")),
        ("logits", dense(4, 2 * UNITS), ("both",)),
    )
    states = [states_of(net, "forward", IDS), states_of(net, "backward", IDS)[:, ::-1]]
    logits = net.nodes[-1].layer
    assert isinstance(logits, Dense)
    expected = logits.logits(np.concatenate(states, axis=-1))
    np.testing.assert_allclose(expected, Head(net).answers(IDS), rtol=0, atol=ROUNDING)
    predicted = net.predict(IDS)
    # The network joins f_T and b_1, the states of two different positions.
    assert not np.allclose(predicted, Head(net).answers(IDS)[:, -1])


def test_padding_does_not_change_the_answers_at_words() -> None:
    net = both_directions(5, pools=(GlobalAveragePooling1D(),))
    padded = np.concatenate([np.zeros_like(IDS[:, :3]), IDS], axis=1)
    np.testing.assert_allclose(Head(net).answers(IDS), Head(net).answers(padded)[:, 3:], rtol=0, atol=ROUNDING)
    assert np.isfinite(Head(net).answers(padded)).all()


def test_an_input_that_bypasses_the_recurrence_is_taken_at_the_position_too() -> None:
    net = network(
        ("embedding", embedding(1), ("ids",)),
        ("rnn", rnn(2), ("embedding",)),
        ("joined", Concatenate(), ("rnn", "embedding")),
        ("mean", GlobalAveragePooling1D(), ("joined",)),
        ("logits", dense(3, UNITS + FEATURES), ("mean",)),
    )
    np.testing.assert_allclose(net.predict(IDS), Head(net).answers(IDS).mean(axis=1), rtol=0, atol=ROUNDING)


def test_what_no_recurrence_has_a_part_in_is_computed_of_the_whole_sequence() -> None:
    """The product of each embedding with the one before it, which a single position does not have."""
    net = network(
        ("embedding", embedding(1), ("ids",)),
        ("rnn", rnn(2), ("embedding",)),
        ("longer", ZeroPadding1D(1, 0), ("embedding",)),
        ("shifted", GetItem((Selection("slice", 0, -1),)), ("longer",)),
        ("pairs", Merge("multiply"), ("embedding", "shifted")),
        ("joined", Concatenate(), ("rnn", "pairs")),
        ("mean", GlobalAveragePooling1D(), ("joined",)),
        ("logits", dense(3, UNITS + FEATURES), ("mean",)),
    )
    answers = Head(net).answers(IDS)
    np.testing.assert_allclose(net.predict(IDS), answers.mean(axis=1), rtol=0, atol=ROUNDING)


def test_a_lower_layer_that_reads_backwards_reverses_the_positions() -> None:
    """The upper state at a position has read all positions after it, and the position itself last."""
    net = network(
        ("embedding", embedding(1), ("ids",)),
        ("lower", rnn(2, go_backwards=True), ("embedding",)),
        ("upper", rnn(3, UNITS, all_states=False), ("lower",)),
        ("logits", dense(4, UNITS), ("upper",)),
    )
    answers = Head(net).answers(IDS)
    for t in range(IDS.shape[1]):
        np.testing.assert_allclose(net.predict(IDS[:, t:]), answers[:, t], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ((("mean", GlobalAveragePooling1D(), ("e",)), ("d", dense(2, FEATURES), ("mean",))), "no recurrent layer"),
        (
            (("r", rnn(1), ("e",)), ("w", Pooling1D("maximum", 2, 2, is_padded=False), ("r",))),
            "layer w: a Pooling1D of several positions",
        ),
        ((("r", rnn(1), ("e",)), ("flat", Reshape((-1,)), ("r",))), "layer flat: a Reshape of several positions"),
        (
            (("r", rnn(1), ("e",)), ("b", rnn(2, go_backwards=True), ("e",)), ("m", Merge("add"), ("r", "b"))),
            "layer m: it combines different positions",
        ),
        (
            (
                ("r", rnn(1, all_states=False), ("e",)),
                ("again", RepeatVector(3), ("r",)),
                ("upper", rnn(2, UNITS), ("again",)),
            ),
            "layer upper: its output has no position",
        ),
    ],
)
def test_a_head_without_single_positions_is_refused_by_layer(
    layers: tuple[tuple[str, Layer, tuple[str, ...]], ...], reason: str
) -> None:
    with pytest.raises(ModelError, match=reason):
        Head(network(("e", embedding(0), ("ids",)), *layers))


def test_several_outputs_are_refused() -> None:
    net = network(("e", embedding(0), ("ids",)), ("r", rnn(1), ("e",)))
    with pytest.raises(ModelError, match="the network has 2 outputs"):
        Head(dataclasses.replace(net, outputs={"a": "e", "b": "r"}))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_layer_may_start_from_the_last_states_of_another(cell: str) -> None:
    rng = np.random.default_rng(0)
    first, second = draw_cell(cell, 3, 4), draw_cell(cell, 4, 4, return_sequences=False)
    states = [last_state_of("first"), cell_state_of("first")][: first.carried_count]
    head = Dense(rng.normal(size=(4, 2)), np.zeros(2), "softmax")
    nodes = [Node("first", first, ("x",)), Node("second", second, ("first", *states)), Node("head", head, ("second",))]
    network = Network(nodes, (Input("x", "numbers", (None, 3)),))
    x = rng.normal(size=(2, 5, 3))
    np.testing.assert_allclose(Head(network).answers(x)[:, -1], network.answers(x)["probs"], rtol=0, atol=ROUNDING)
