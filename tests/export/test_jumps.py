"""Tests models that decide by computed numbers: proved, equal to Keras, and wrong files refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers
from onnx import numpy_helper

from rnnx.errors import ModelError, ParityError
from rnnx.export import pipeline
from rnnx.export.source import open_source
from rnnx.keras_models.read_network import read_network
from rnnx.proof.cuts import wanted_cuts
from rnnx.proof.verify import verify_file
from rnnx.runtime.session import Session
from tests.conversions import export, shared
from tests.keras_files import through_file

pytestmark = pytest.mark.train


def make_model() -> keras.Model:
    """Gates positions by a score, keeps large numbers, and finds the best ones of a row and at each position."""
    ops = keras.ops
    x = keras.Input((None, 3), name="x")
    states = layers.GRU(4, return_sequences=True)(x)
    scores = layers.Dense(1, "sigmoid", name="score")(states)
    gated = ops.where(scores * 0.5 >= 0.25, states, -0.5)
    kept = layers.ReLU(threshold=0.1, name="kept")(layers.Dense(4, name="wide")(gated))
    last = layers.LSTM(4)(ops.concatenate([kept, ops.round(states, 1)], axis=-1))
    row = layers.Dense(3, "softmax", name="row")(last)
    best = ops.one_hot(ops.argmax(row, axis=-1), 3)
    tags = ops.argmin(layers.Dense(3, name="tags")(states), axis=-1)
    return keras.Model(x, [layers.Dense(2, name="out")(best * row), tags])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(2)
    model = make_model()
    rng = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32) * 0.8)
    path = tmp_path_factory.mktemp("jumps") / "model.keras"
    model.save(path)
    return path


def test_every_form_decides_as_keras(file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    exported = export(str(file), tmp_path / "out", on_stage=said.append)
    assert exported.report.passed
    assert "rounding may decide a comparison, an argmax or another jump" in exported.report.verdict
    assert any("whole numbers at 1 of its outputs; the files give them as float32" in stage for stage in said)
    model = keras.models.load_model(file)
    rng = np.random.default_rng(4)
    for path in sorted((tmp_path / "out").glob("*.onnx")):
        data = path.read_bytes()
        assert verify_file(path.name, data, ["cpu"]).report.passed
        session = Session(data, device="cpu")
        for batch, time in ((1, 4), (5, 11)):
            x = rng.normal(size=(batch, time, 3)).astype(np.float32)
            for expected, actual in zip(model(x), session.run(x), strict=True):
                assert actual.dtype == np.float32
                np.testing.assert_allclose(actual, np.asarray(expected), atol=1e-5)


def test_what_decides_is_shown(file: Path) -> None:
    network = read_network(through_file(keras.models.load_model(file)))
    shown = {node.name for node in wanted_cuts(network)}
    # The product before a comparison, that before a round, and what an argmax reads.
    assert {"score", "multiply", "wide", "row", "tags"} <= shown
    assert any(name.startswith("round.part") for name in shown)


def moved_threshold(graph: onnx.GraphProto) -> None:
    name = next(node.input[1] for node in graph.node if node.op_type == "GreaterOrEqual")
    constant = next(tensor for tensor in graph.initializer if tensor.name == name)
    constant.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(constant) + np.float32(1e-6), name))


def changed(before: str, after: str) -> Callable[[onnx.GraphProto], None]:
    def change(graph: onnx.GraphProto) -> None:
        next(node for node in graph.node if node.op_type == before).op_type = after

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (moved_threshold, "no comparison in the file has the number 0.25"),
        (changed("GreaterOrEqual", "Greater"), "no comparison in the file has the number 0.25"),
        (changed("GreaterOrEqual", "Less"), "times the float32 rounding bound"),
        (changed("ArgMax", "ArgMin"), "times the float32 rounding bound"),
    ],
)
def test_a_file_that_decides_otherwise_is_refused(
    change: Callable[[onnx.GraphProto], None], reason: str, file: Path, tmp_path: Path
) -> None:
    with shared(lambda forms: change(forms["model.onnx"].model.graph)), pytest.raises(ParityError, match=reason):
        pipeline.export(str(file), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_computed_whole_numbers_do_not_decide() -> None:
    x = keras.Input((None, 3))
    place = keras.ops.argmax(layers.Dense(4)(layers.GRU(4)(x)), axis=-1, keepdims=True)
    model = keras.Model(x, layers.Dense(1)(keras.ops.cast(place + 1 > 2, "float32")))
    with pytest.raises(ModelError, match="decides by whole numbers that were computed; turn them into float32 before"):
        read_network(through_file(model))


def test_a_file_says_what_it_gives_instead_of_whole_numbers(file: Path) -> None:
    assert open_source(str(file)).notes[-1].startswith("Keras gives whole numbers at 1 of its outputs")
