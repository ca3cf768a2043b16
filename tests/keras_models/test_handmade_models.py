"""Tests that models with operations are exported from their files, and answer as Keras does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.errors import DataError
from rnnx.export.pipeline import export
from rnnx.infer.load import load
from rnnx.runtime.session import Session
from tests.keras_models.handmade_models import HANDMADE

pytestmark = [
    pytest.mark.train,
    # Operations read no mask.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning"),
]


@pytest.mark.parametrize("name", HANDMADE)
def test_a_handmade_model_is_exported_and_answers_as_keras(name: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = HANDMADE[name]()
    model.save(tmp_path / "model.keras")
    exported = export(tmp_path / "model.keras", tmp_path / "bundle")
    assert exported.report.passed
    rng = np.random.default_rng(4)
    given = [
        rng.integers(0, 20, (5, tensor.shape[1] or 7)).astype(np.int32)
        if tensor.dtype == "int32"
        else rng.normal(size=(5, tensor.shape[1] or 7, *tensor.shape[2:])).astype(np.float32)
        for tensor in model.inputs
    ]
    expected = np.asarray(model(given if len(given) > 1 else given[0], training=False))
    for file in ("model.onnx", "model.batch.onnx"):
        if not (tmp_path / "bundle" / file).exists():
            continue  # it is equal to the other one
        session = Session((tmp_path / "bundle" / file).read_bytes(), device="cpu")
        (actual, *_) = session.run(dict(zip(session.input_names, given, strict=True)))
        np.testing.assert_allclose(expected, actual, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "shortest"), [("differences", 2), ("states_at_some_positions", 4), ("gated", 1)])
def test_an_input_that_is_too_short_is_refused_in_a_line(name: str, shortest: int, tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    model = HANDMADE[name]()
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    predictor = load(tmp_path / "bundle")
    (port,) = predictor.config.inputs
    assert port.least_time == shortest
    rows = np.zeros((1, shortest, *(size or 1 for size in port.shape[1:])), port.dtype)
    predictor.predict(rows)
    with pytest.raises(DataError, match=f"with a time of at least {shortest}, not"):
        predictor.predict(rows[:, 1:])
