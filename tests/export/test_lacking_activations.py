"""Tests recurrences with activations that ONNX's operators lack, from a Keras file to the proof of every state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.bundle.directory import CARD_NAME, GOLDEN_NAME, MODEL_NAME, STREAM_NAME, TEXT_NAME, read_directory
from rnnx.cli import run
from rnnx.errors import ParityError
from rnnx.export.golden_texts import golden_texts
from rnnx.proof.verify import verify_file
from rnnx.runtime.session import Session
from tests.conversions import export
from tests.export.test_structure import ids, numbers, require_equal, save
from tests.mutations import change, exports_after

pytestmark = pytest.mark.train


def masked() -> keras.Model:
    both = layers.Bidirectional(layers.LSTM(4, activation="silu", return_sequences=True))
    gru = layers.GRU(4, activation="gelu", reset_after=False, return_sequences=True, go_backwards=True)
    last = layers.GRU(3, activation="selu", recurrent_activation="softmax")
    return keras.Sequential([ids("x"), layers.Embedding(9, 4, mask_zero=True), both, gru, last, layers.Dense(2)])


def states() -> keras.Model:
    x, h, c = numbers("x"), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    outputs = layers.LSTM(4, activation="gelu", return_sequences=True, return_state=True)(x, initial_state=[h, c])
    simple = layers.SimpleRNN(3, activation="softmax")(outputs[0])
    return keras.Model([x, h, c], [simple, *outputs[1:]])


def stateful() -> keras.Model:
    rnn = layers.LSTM(4, activation="silu", return_sequences=True, stateful=True)
    return keras.Sequential([keras.Input(batch_shape=(2, 3, 3)), rnn, layers.Dense(2)])


@pytest.mark.parametrize("build", [masked, states])
def test_a_recurrence_without_an_operator_is_a_scan_whose_states_are_proved(
    build: Callable[[], keras.Model], tmp_path: Path
) -> None:
    model, path = save(build, tmp_path)
    exported = export(path, tmp_path / "out")
    require_equal(model, exported)
    bundle = read_directory(exported.path)
    operators = [node.op_type for node in onnx.load_from_string(bundle[MODEL_NAME]).graph.node]
    assert operators.count("Scan") == (4 if build is masked else 2)
    assert not {"RNN", "LSTM", "GRU", "Loop"} & set(operators)
    assert "model.batch.onnx" not in bundle.files
    assert bundle.config.recurrent_units == 0
    names = {layer.layer for runtime in exported.report.runtimes for layer in runtime.layers}
    assert names >= {layer.name for layer in model.layers if isinstance(layer, layers.RNN)}


def test_a_stream_of_it_carries_its_states(tmp_path: Path) -> None:
    model, path = save(stateful, tmp_path)
    bundle = read_directory(export(path, tmp_path / "out").path)
    session = Session(bundle[STREAM_NAME], device="cpu")
    given = {name: np.zeros((2, 4), np.float32) for name in ("h_in", "c_in")}
    for seed in (3, 4):
        x = np.random.default_rng(seed).normal(size=(2, 3, 3)).astype(np.float32)
        answers = session.run_by_name({"x": x, **given})
        np.testing.assert_allclose(np.asarray(model(x)), answers["values"], rtol=0, atol=2e-6)
        given = {f"{kind}_in": np.asarray(answers[f"{kind}_out"], np.float32) for kind in "hc"}
    assert verify_file(STREAM_NAME, bundle[STREAM_NAME], ["cpu"]).report.passed


def corrupt(layer: str, suffix: str) -> Callable[[onnx.ModelProto], None]:
    def mutate(model: onnx.ModelProto) -> None:
        bodies = [a.g for node in model.graph.node for a in node.attribute if a.type == onnx.AttributeProto.GRAPH]
        tensors = [tensor for graph in (model.graph, *bodies) for tensor in graph.initializer]
        tensor = next(t for t in tensors if layer in t.name and t.name.endswith(suffix))

        def add(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            values.flat[values.size // 3] += 1e-3
            return values

        change(tensor, add)

    return mutate


@pytest.mark.parametrize(
    ("layer", "suffix"),
    [("bidirectional.forward", ".W"), ("bidirectional.backward", ".R"), ("gru", ".R"), ("gru_1", ".B")],
)
def test_one_weight_off_is_found_in_its_layer(layer: str, suffix: str, tmp_path: Path) -> None:
    model, path = save(masked, tmp_path)
    rng = np.random.default_rng(4)  # with small weights, one that is off may count for nothing
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) * 0.5 for w in model.get_weights()])
    model.save(path)
    with pytest.raises(ParityError, match=rf"model\.onnx.* layer {layer}\b.*nothing was published"):
        exports_after(corrupt(layer, suffix), path, tmp_path / "out")


def growing(recurrence: type[keras.Layer]) -> keras.Model:
    """Returns a model whose states overflow float32 on long sequences."""
    keras.utils.set_random_seed(3)
    given = {} if recurrence is layers.SimpleRNN else {"recurrent_activation": "relu"}
    rnn = layers.Bidirectional(recurrence(4, activation="relu", return_sequences=True, **given))
    model = keras.Sequential([numbers("x"), rnn, layers.SimpleRNN(3, activation="elu"), layers.Dense(2)])
    for weights in rnn.weights:
        weights.assign(2 * np.asarray(weights))
    return model


@pytest.mark.parametrize("recurrence", [layers.SimpleRNN, layers.LSTM])
def test_a_growing_recurrence_is_proved_where_it_is_finite(recurrence: type[keras.Layer], tmp_path: Path) -> None:
    path = tmp_path / "grows.keras"
    growing(recurrence).save(path)
    exported = export(path, tmp_path / "out")
    said = f"in Keras too, so they were left out: proved are sequences of up to {exported.report.longest} steps"
    assert exported.report.longest < 100
    assert exported.report.verdict.endswith(said)
    bundle = read_directory(exported.path)
    assert said in bundle[CARD_NAME].decode()
    verified = verify_file(MODEL_NAME, bundle[MODEL_NAME], ["cpu"]).report
    assert verified.passed
    assert verified.overflow_count == exported.report.overflow_count > 0


def test_texts_on_which_a_recurrence_grows_too_far_are_left_out(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    large = keras.initializers.RandomNormal(stddev=5.0)
    rnn = layers.LSTM(8, activation="relu", kernel_initializer=large, recurrent_initializer=large)
    body = [layers.Embedding(30, 8, mask_zero=True), rnn, layers.Dense(2, activation="softmax")]
    keras.Sequential([ids("ids"), *body]).save(tmp_path / "grows.keras")
    words = ["<pad>", "<start>", "<unknown>", "the", "a", "good", "bad", "film", "and", *map("w{}".format, range(21))]
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    command = ["export", str(tmp_path / "grows.keras"), "--vocabulary", str(tmp_path / "words.txt")]
    assert run([*command, "--labels", "neg,pos", "--out", str(tmp_path / "out")]) == 0
    bundle = read_directory(tmp_path / "out")
    verified = verify_file(TEXT_NAME, bundle[TEXT_NAME], ["cpu"]).report
    assert verified.passed
    assert verified.overflow_count > 0
    rows = json.loads(bundle[GOLDEN_NAME])
    assert 0 < len(rows) < len(golden_texts("bytes"))
    assert np.isfinite([row["text_probs"] for row in rows]).all()


def test_one_weight_off_is_found_in_a_growing_recurrence(tmp_path: Path) -> None:
    path = tmp_path / "grows.keras"
    growing(layers.LSTM).save(path)
    with pytest.raises(ParityError, match=r"model\.onnx.* layer bidirectional\w*\.backward\b.*nothing was published"):
        exports_after(corrupt(".backward", ".R"), path, tmp_path / "out")


def test_softplus_of_large_numbers_is_finite_in_a_recurrence(tmp_path: Path) -> None:
    path = tmp_path / "softplus.keras"
    model = keras.Sequential([numbers("x"), layers.SimpleRNN(3, activation="softplus"), layers.Dense(2)])
    model.save(path)
    exported = export(path, tmp_path / "out")
    x = np.full((1, 1, 3), 1000, np.float32) * [1, -1, 1]
    answers = Session(read_directory(exported.path)[MODEL_NAME], device="cpu").run_by_name({"x": x.astype(np.float32)})
    np.testing.assert_allclose(np.asarray(model(x)), answers["values"], rtol=1e-6)
