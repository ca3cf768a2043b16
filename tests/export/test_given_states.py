"""Tests stateful models that are no streams: their states are inputs and outputs of a file that computes one call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.bundle.directory import MODEL_NAME, read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export.pipeline import export as export_anew
from rnnx.export.source import open_source
from rnnx.keras_models.given_states import GivenStates
from rnnx.runtime.session import Session
from tests.conversions import export
from tests.export.test_structure import Build, save
from tests.mutations import exports_after

pytestmark = pytest.mark.train


def both_directions() -> keras.Model:
    """With a mask, of which Keras gives the layer nothing by itself once it has states."""
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True, stateful=True), name="both")
    upper = layers.GRU(3, return_sequences=True, go_backwards=True, stateful=True, name="upper")
    ids = keras.Input(batch_shape=(2, None), dtype="int32")
    return keras.Sequential([ids, layers.Embedding(9, 3, mask_zero=True), both, upper, layers.Dense(2, name="end")])


def a_fixed_time() -> keras.Model:
    x = keras.Input(batch_shape=(2, 3, 4), name="x")
    first, second = layers.Bidirectional(layers.SimpleRNN(2, stateful=True), merge_mode=None, name="a b")(x)
    return keras.Model(x, [first, layers.Dense(2)(second)])


def flattened() -> keras.Model:
    """Returns a model that reads forward, in calls of a fixed length."""
    lower = layers.LSTM(2, return_sequences=True, stateful=True, name="lower")
    return keras.Sequential([keras.Input(batch_shape=(2, 3, 3)), lower, layers.Flatten(), layers.Dense(2)])


def images_backwards() -> keras.Model:
    x = keras.Input(batch_shape=(2, 3, 4, 1), name="x")
    images = layers.ConvLSTM1D(2, 3, stateful=True, go_backwards=True, name="images")(x)
    return keras.Model(x, layers.Flatten()(images))


STATES = {
    flattened: ("lower_h", "lower_c"),
    images_backwards: ("images_h", "images_c"),
    both_directions: ("both_forward_h", "both_forward_c", "both_backward_h", "both_backward_c", "upper_h"),
    a_fixed_time: ("a_b_forward_h", "a_b_backward_h"),
}


@pytest.mark.parametrize("build", STATES)
def test_the_states_of_a_stateful_model_that_reads_backwards_go_in_and_out(build: Build, tmp_path: Path) -> None:
    model, path = save(build, tmp_path)
    exported = export(path, tmp_path / "out")
    assert any(runtime.runtime.endswith(", as saved") for runtime in exported.report.runtimes)
    session = Session(read_directory(exported.path)[MODEL_NAME], device="cpu")
    first, *others = session.input_names
    assert others == [f"{name}_in" for name in STATES[build]]
    states = {name: np.zeros((2, *session.input_shapes[name][1:]), np.float32) for name in others}
    rng = np.random.default_rng(0)
    for time in (3, 6, 1) if build is both_directions else (3, 3, 3):  # calls in a row
        shape = (2, time, *session.input_shapes[first][2:])
        x = rng.normal(size=shape).astype(np.float32)
        x = rng.integers(0, 9, shape).astype(np.int32) if build is both_directions else x
        answers = session.run_by_name({first: x, **states})
        expected = keras.tree.flatten(model(x))
        for values, answer in zip(expected, list(answers.values())[: len(expected)], strict=True):
            np.testing.assert_allclose(np.asarray(values), answer, rtol=0, atol=2e-6)
        states = {f"{name}_in": np.asarray(answers[f"{name}_out"], np.float32) for name in STATES[build]}


def exchange_states(model: onnx.ModelProto) -> None:
    """Gives each direction the state of the other one."""
    names = {"a_b_forward_h_in": "a_b_backward_h_in", "a_b_backward_h_in": "a_b_forward_h_in"}
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def test_a_wrong_state_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, path = save(a_fixed_time, tmp_path)
    with pytest.raises(ParityError, match=r"layer a_b\.forward, step 0"):
        exports_after(exchange_states, path, tmp_path / "out", MODEL_NAME)
    # A plain form that starts at zero is found too: its reference would have the same mistake.
    call = GivenStates.call

    def forget(self: GivenStates, layer: Any, copied: Any, args: Any, kwargs: Any) -> list[Any]:
        def without_states(x: Any, initial_state: Any) -> Any:
            return copied(x, initial_state=[keras.ops.zeros_like(state) for state in initial_state])

        return call(self, layer, without_states, args, kwargs)

    monkeypatch.setattr(GivenStates, "call", forget)
    with pytest.raises((ParityError, ModelError)):
        export_anew(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def called_twice() -> keras.Model:
    x = keras.Input(batch_shape=(2, None, 3))
    rnn = layers.LSTM(3, return_sequences=True, go_backwards=True, stateful=True, name="p")
    return keras.Model(x, layers.Dense(2)(rnn(rnn(x))))


def of_cells() -> keras.Model:
    rnn = layers.RNN([layers.GRUCell(3)], go_backwards=True, stateful=True, name="p")
    return keras.Sequential([keras.Input(batch_shape=(2, None, 3)), rnn, layers.Dense(2)])


@pytest.mark.parametrize(("build", "reason"), [(called_twice, "called more than once"), (of_cells, "has cells")])
def test_what_is_not_supported_of_such_models_is_refused_by_name(build: Build, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"layer p \(.*is stateful.*{reason}"):
        open_source(save(build, tmp_path)[1])
