"""Tests models with windows over an open time: the fewest positions that they need, and what fewer give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.bundle.metadata import read_metadata
from rnnx.errors import DataError, ModelError
from rnnx.export.pipeline import export
from rnnx.infer.predictions import Prediction
from rnnx.reference import Conv1D, Input, LastPosition, Network, Node, Pooling1D
from rnnx.reference.shapes import least_time
from rnnx.runtime.session import Session


def windows(size: int, pool: int) -> Network:
    kernel = np.ones((size, 2, 2))
    nodes = [
        Node("convolution", Conv1D(kernel, np.zeros(2)), ("x",)),
        Node("pooling", Pooling1D("maximum", pool, pool, is_padded=False), ("convolution",)),
        Node("last", LastPosition(), ("pooling",)),
    ]
    return Network(nodes, (Input("x", "numbers", (None, 2)),))


@pytest.mark.parametrize(("size", "pool"), [(1, 1), (3, 1), (3, 2), (5, 7), (90, 4)])
def test_the_least_time_is_that_of_the_first_window(size: int, pool: int) -> None:
    assert least_time(windows(size, pool)) == size + pool - 1


def test_a_network_that_needs_too_many_positions_is_refused() -> None:
    with pytest.raises(ModelError, match="no answer for up to 4,096 positions"):
        least_time(windows(5000, 1))


@pytest.mark.train
def test_a_bundle_says_how_many_positions_it_needs(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(12, 4),
            layers.Conv1D(5, 3, activation="relu"),
            layers.MaxPooling1D(2),
            layers.LSTM(4),
            layers.Dense(1, "sigmoid"),
        ]
    )
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    directory = read_directory(tmp_path / "bundle")
    assert directory.config.inputs[0].least_time == 4
    session = Session((tmp_path / "bundle" / "model.onnx").read_bytes(), device="cpu")
    assert read_metadata(session.metadata).least_time == 4
    predictor = rnnx.load(tmp_path / "bundle")
    ids = np.array([3, 1, 4, 1], np.int32)
    (answer,) = predictor.predict([ids])
    assert isinstance(answer, Prediction)
    assert isinstance(answer, Prediction)
    np.testing.assert_allclose(answer.probs["1"], float(np.asarray(model(ids[None])).squeeze()), rtol=1e-5)
    with pytest.raises(DataError, match=r"should be \(time,\) with a time of at least 4, not \(3,\)"):
        predictor.predict([ids[:3]])
    with pytest.raises(ModelError, match=r"conv1d.* looks at other positions than its own"):
        export(tmp_path / "model.keras", tmp_path / "stream", streaming=True)
