"""Tests files of Keras 2 against outputs that Keras 2 itself computed, in every file format."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.errors import ModelError
from rnnx.export.pipeline import export
from rnnx.keras_models.file_formats import find_format
from rnnx.keras_models.load_model import _require_order, load_file, load_keras
from rnnx.keras_models.read_network import read_network
from rnnx.runtime.session import Session

# Keras warns where a mask ends, in models of Keras 2 too.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore:.*does not support masking")]

if importlib.util.find_spec("tf_keras") is None:
    pytest.skip("needs tf_keras, which is Keras 2", allow_module_level=True)

FORMATS = ("h5", "keras", "json")
MODELS = (
    "sequential", "functional", "branches", "states", "translator", "joined", "nested", "operations", "learned",
    "convolved", "attended", "rescaled", "one_mask_in_a_model",
)  # fmt: skip
FILES = [*(f"{name}.{ending}" for name in MODELS for ending in FORMATS), "old.h5", "cudnn.h5"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keras2")
    command = [sys.executable, "-m", "tests.keras_2_files", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own module
    assert done.returncode == 0, done.stderr
    return folder


def load(path: Path) -> keras.Model:
    found = find_format(path)
    assert found is not None
    model, data = load_file(found, path)
    assert load_keras(data, "model.keras").count_params() == model.count_params()
    return model


def expected_of(path: Path) -> list[tuple[list[np.ndarray], np.ndarray]]:
    with np.load(path.with_suffix(".npz")) as arrays:
        count = sum(name.startswith("out_") for name in arrays)
        given = [[arrays[name] for name in sorted(arrays) if name.startswith(f"in_{i}_")] for i in range(count)]
        return [(given[i], arrays[f"out_{i}"]) for i in range(count)]


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_keras_2_computes_what_keras_2_computed(name: str, written: Path) -> None:
    model = load(written / name)
    for given, expected in expected_of(written / name):
        actual = np.asarray(model(given if len(given) > 1 else given[0], training=False))
        np.testing.assert_allclose(expected, actual, atol=2e-6, err_msg=name)


@pytest.mark.parametrize(
    "name",
    [
        "sequential.h5",
        "functional.keras",
        "branches.json",
        "operations.h5",
        "translator.h5",
        "attended.h5",
        "learned.h5",
    ],
)
def test_an_exported_file_computes_what_keras_2_computed(name: str, written: Path, tmp_path: Path) -> None:
    bundle = export(written / name, tmp_path / "out").path
    session = Session((bundle / "model.onnx").read_bytes(), device="cpu")
    # The bundle has a file of Keras 3 with the same network, so it can be exported again.
    network = read_network(load_keras((bundle / "model.keras").read_bytes(), "model.keras"))
    for given, expected in expected_of(written / name):
        named = dict(zip((port.name for port in network.inputs), given, strict=True))
        np.testing.assert_allclose(expected, session.run(named)[0], atol=2e-6)
        np.testing.assert_allclose(expected, network.predict(named), atol=2e-6)


@pytest.mark.parametrize("name", ["masks.h5", "masks.keras"])
def test_masks_that_keras_3_would_join_otherwise_are_refused(name: str, written: Path) -> None:
    with pytest.raises(ModelError, match=r"masks\.\w+: layer join \(Add\) joins inputs of different masks, for which"):
        load(written / name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("masks_of_a_model", r"layer join \(Add\) joins inputs of different masks, for which"),
        ("states_in_a_model", r"layer \w+ \(LSTM\), in a model within the model, is given first states"),
        ("masks_of_a_model_within", r"layer words \(TimeDistributed\) masks positions within a position, which"),
        ("unmasked", r"layer scaled \(Rescaling\) is given a masked input, whose mask Keras 3 hands on"),
        ("scores", r"layer weighing \(MultiHeadAttention\) weighs positions by a mask, for which"),
        ("weights", r"layer weighing \(Softmax\) weighs positions by a mask, for which"),
    ],
)
def test_masks_that_keras_3_reads_otherwise_are_refused(name: str, message: str, written: Path) -> None:
    with pytest.raises(ModelError, match=message):
        load(written / f"{name}.h5")


@pytest.mark.parametrize("name", ["masks_within.h5", "masks_within.keras"])
def test_a_mask_within_a_position_is_refused(name: str, written: Path) -> None:
    with pytest.raises(ModelError, match=r"layer words \(TimeDistributed\) masks positions within a position, which"):
        load(written / name)


def test_a_mask_that_keras_3_would_drop_in_an_inner_model_is_refused(written: Path) -> None:
    with pytest.raises(ModelError, match=r"layer \w+ \(\w+\), in a model within the model, is given first states"):
        load(written / "translator_in_a_model.h5")


def test_weights_by_position_need_the_order_of_keras_2(written: Path) -> None:
    """Keras 3 would give each of the layers the weights of another one."""
    found = find_format(written / "branches.keras")
    assert found is not None
    parts, model = found.read(written / "branches.keras"), load(written / "branches.keras")
    _require_order(parts, model)
    parts.config["config"]["layers"].reverse()
    with pytest.raises(ModelError, match=r"Keras 3 has its \w+ layers in another order than Keras 2 had; save .*\.h5"):
        _require_order(parts, model)
