"""Tests layers with more than one output: the last state together with the sequence, and both directions apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.keras_models.read_network import read_network
from rnnx.runtime.session import Session
from tests.conversions import build_forms, export

pytestmark = pytest.mark.train

IDS = np.array([[0, 0, 3, 4, 5, 1], [1, 2, 3, 8, 7, 0], [0, 2, 0, 6, 0, 2]], np.int32)
KINDS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}
Build = Callable[[Any, Any], Any]


def state_and_sequence(kind: Any, x: Any) -> Any:
    sequence, state, *_ = kind(5, return_sequences=True, return_state=True, name="cell")(x)
    return [layers.Dense(2, name="tags")(sequence), layers.Dense(1, activation="sigmoid", name="label")(state)]


def state_alone(kind: Any, x: Any) -> Any:
    _, state, *_ = kind(5, return_sequences=True, return_state=True, go_backwards=True, name="cell")(x)
    return layers.Dense(1, activation="sigmoid", name="label")(state)


def state_twice(kind: Any, x: Any) -> Any:
    last, state, *_ = kind(5, return_state=True, name="cell")(x)
    return layers.Dense(3, activation="softmax", name="label")(layers.Add()([last, state]))


def both_directions_apart(kind: Any, x: Any) -> Any:
    forward, backward = layers.Bidirectional(kind(5, return_sequences=True), merge_mode=None, name="both")(x)
    return [layers.Dense(2, name="first")(forward), layers.Dense(2, name="second")(backward)]


def both_directions_with_states(kind: Any, x: Any) -> Any:
    inner = kind(5, return_sequences=True, return_state=True)
    sequence, *states = layers.Bidirectional(inner, name="both")(x)
    forward, backward = states[0], states[len(states) // 2]
    joined = layers.Concatenate()([forward, backward])
    return [layers.Dense(2, name="tags")(sequence), layers.Dense(1, activation="sigmoid", name="label")(joined)]


BUILDS: dict[str, Build] = {
    build.__name__: build
    for build in (
        state_and_sequence,
        state_alone,
        state_twice,
        both_directions_apart,
        both_directions_with_states,
    )
}


def make(build: Build, kind: str, *, mask_zero: bool) -> keras.Model:
    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32", name="ids")
    return keras.Model(ids, build(KINDS[kind], layers.Embedding(9, 4, mask_zero=mask_zero)(ids)))


@pytest.mark.parametrize("mask_zero", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BUILDS)
def test_reference_keras_and_the_forms_agree(name: str, kind: str, mask_zero: bool) -> None:
    model = make(BUILDS[name], kind, mask_zero=mask_zero)
    network = read_network(model)
    expected = network.answers(IDS)
    for values, actual in zip(expected.values(), keras.tree.flatten(model(IDS, training=False)), strict=True):
        np.testing.assert_allclose(values, np.asarray(actual), rtol=0, atol=1e-6)
    for form in build_forms(model, network).values():
        assert not {node.op_type for node in form.model.graph.node} & {"Loop"}
        session = Session(form.model.SerializeToString(), device="cpu")
        for values, actual in zip(expected.values(), session.run(IDS), strict=True):
            np.testing.assert_allclose(values, actual, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_a_layer_with_two_outputs_is_exported_and_proved(kind: str, tmp_path: Path) -> None:
    make(state_and_sequence, kind, mask_zero=True).save(tmp_path / "mine.keras")
    assert export(tmp_path / "mine.keras", tmp_path / "out").report.passed
