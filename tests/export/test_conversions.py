"""Tests that a shared conversion, trace or bound equals the one that a test would have computed alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.export import pipeline
from rnnx.export.convert import convert
from rnnx.export.keras_states import KerasRunner
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import Network
from rnnx.rounding.decisions import decide
from tests import conversions
from tests.networks import IDS, build

pytestmark = pytest.mark.train

BATCH = ProbeBatch(IDS, tuple("abcde"))


def make(units: int = 3, *, mask_zero: bool = True, activation: str = "tanh") -> keras.Model:
    keras.utils.clear_session(free_memory=False)  # so that layers have the same names as in another test
    head = layers.Dense(1, "sigmoid", name="head")
    return build(layers.SimpleRNN(units, activation=activation, name="rnn"), head, mask_zero=mask_zero)


def count_conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Empties the shared conversions and records each call of tf2onnx from here on."""
    counted: list[str] = []

    def counting(model: keras.Model, network: Network) -> onnx.ModelProto:
        counted.append(model.name)
        return convert(model, network)

    monkeypatch.setattr(conversions, "convert_anew", counting)
    monkeypatch.setattr(conversions, "_CONVERTED", {})
    return counted


def test_only_equal_networks_share_a_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = count_conversions(monkeypatch)
    first, again, moved = make(), make(), make()
    moved.get_layer("head").bias.assign([0.25])
    expected = conversions.convert(first, read_network(first))
    assert conversions.convert(again, read_network(again)) == expected
    assert len(counted) == 1
    for other in (make(4), make(mask_zero=False), make(activation="relu"), moved):
        assert conversions.convert(other, read_network(other)) != expected
    assert len(counted) == 5


def test_changing_a_copy_does_not_change_the_shared_conversion() -> None:
    model = make()
    network = read_network(model)
    changed = conversions.build_forms(model, network)["model.onnx"].model
    del changed.graph.node[:]
    assert conversions.build_forms(model, network)["model.onnx"].model.graph.node


def test_shared_traces_and_bounds_equal_new_ones() -> None:
    model = make()
    network = read_network(model)
    for _ in range(2):  # first computed, then shared
        expected, actual = KerasRunner(model, network)(BATCH), conversions.trace_keras(model, network)(BATCH)
        np.testing.assert_array_equal(expected.states["rnn"], actual.states["rnn"])
        np.testing.assert_array_equal(expected.answers["probs"], actual.answers["probs"])
        bounds = decide(network, IDS)["probs"].bounds
        np.testing.assert_array_equal(bounds, conversions.decide(network, IDS)["probs"].bounds)
    single = ProbeBatch(IDS[:1], ("a",))
    assert conversions.trace_keras(model, network)(single).states["rnn"].shape == (1, 6, 3)
    assert conversions.decide(network, IDS[:1])["probs"].bounds.shape == (1, 1)


def test_a_shared_export_equals_one_alone(tmp_path: Path) -> None:
    make().save(tmp_path / "mine.keras")
    for _ in range(2):
        shared = conversions.export(tmp_path / "mine.keras", tmp_path / "shared")
    alone = pipeline.export(tmp_path / "mine.keras", tmp_path / "alone")
    assert shared.report == alone.report
    # tf2onnx orders and names independent nodes by the order of its sets, so equal files may differ in their bytes.
    assert shared.sizes_bytes.keys() == alone.sizes_bytes.keys()
