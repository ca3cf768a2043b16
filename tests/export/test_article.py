"""Tests every shape that the article shows, as it is shown there: exported, proved, and run in onnxruntime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME
from rnnx.export.pipeline import Exported, export
from rnnx.keras_models.read_network import read_network
from rnnx.runtime.session import Session

pytestmark = pytest.mark.train


def export_model(model: keras.Model, folder: Path) -> Exported:
    path = folder / "article.keras"
    model.save(path)
    return export(path, folder / "bundle")


def run_forms(exported: Exported, given: np.ndarray) -> list[np.ndarray]:
    files = [exported.path / name for name in (MODEL_NAME, BATCH_NAME)]
    return [Session(file.read_bytes(), device="cpu").run(given)[0] for file in files]


@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_the_numpy_example_of_the_article(centre: float, tmp_path: Path) -> None:
    """The loop of the article agrees with the reference and with the exported files.

    It has 100 steps, 32 features and 64 units. The article draws its weights between 0 and 1, which drives every state
    to 1 in the first step, so centred weights are tested too.
    """
    rng = np.random.default_rng(0)
    timesteps, input_features, output_features = 100, 32, 64
    inputs = rng.random((timesteps, input_features)).astype(np.float32)
    w = (rng.random((output_features, input_features)) - centre).astype(np.float32)
    u = (rng.random((output_features, output_features)) - centre).astype(np.float32)
    b = (rng.random((output_features,)) - centre).astype(np.float32)

    state_t = np.zeros((output_features,))
    successive_outputs = []
    for input_t in inputs.astype(np.float64):
        output_t = np.tanh(np.dot(w, input_t) + np.dot(u, state_t) + b)
        successive_outputs.append(output_t)
        state_t = output_t
    final_output_sequence = np.stack(successive_outputs, axis=0)

    model = keras.Sequential(
        [keras.Input((None, input_features)), layers.SimpleRNN(output_features, return_sequences=True)]
    )
    model.set_weights([w.T, u.T, b])
    expected = read_network(model).predict(inputs[None])[0]
    np.testing.assert_allclose(final_output_sequence, expected, rtol=0, atol=1e-9)
    exported = export_model(model, tmp_path)
    assert exported.report.passed
    for actual in run_forms(exported, inputs[None]):
        assert actual.shape == (1, timesteps, output_features)
        # Each step is proved. Over 100 steps these weights amplify rounding errors, so only the first are compared.
        np.testing.assert_allclose(final_output_sequence[:3], actual[0, :3], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("recurrences", "parameters", "shape"),
    [
        ([{"return_sequences": True}], 322_080, (2, 7, 32)),
        ([{}], 322_080, (2, 32)),
        ([{"return_sequences": True}] * 3 + [{}], 328_320, (2, 32)),
    ],
    ids=["all states", "the last state", "four layers"],
)
def test_the_keras_models_of_the_article(
    recurrences: list[dict[str, bool]], parameters: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    keras.utils.set_random_seed(1)
    rnns = [layers.SimpleRNN(32, **settings) for settings in recurrences]
    model = keras.Sequential([keras.Input((None,), dtype="int32"), layers.Embedding(10_000, 32), *rnns])
    assert model.count_params() == parameters
    exported = export_model(model, tmp_path)
    assert exported.report.passed
    ids = np.random.default_rng(2).integers(0, 10_000, (*shape[:1], 7), dtype=np.int32)
    expected = read_network(model).predict(ids)
    for actual in run_forms(exported, ids):
        assert actual.shape == shape
        np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-5)
