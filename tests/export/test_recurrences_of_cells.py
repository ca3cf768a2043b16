"""Tests `RNN(cell)` and `RNN([cells])`, which are exported as the layers that compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.bundle.directory import STREAM_NAME, read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export.pipeline import export as export_anew
from rnnx.export.source import open_source
from rnnx.keras_models import plain_cells
from rnnx.keras_models.plain_model import make_plain
from rnnx.runtime.session import Session
from tests.conversions import export
from tests.export.test_structure import Build, ids, numbers, require_equal, save

pytestmark = pytest.mark.train


def pair() -> list[Any]:
    return [layers.LSTMCell(5, dropout=0.3), layers.GRUCell(4, reset_after=False)]


def masked(*body: Any) -> keras.Model:
    return keras.Sequential([ids("x"), layers.Embedding(9, 4, mask_zero=True), *body, layers.Dense(2)])


def one_cell() -> keras.Model:
    return keras.Sequential([numbers(), layers.RNN(layers.GRUCell(4, activation="relu")), layers.Dense(2)])


def stack() -> keras.Model:
    cells = [layers.StackedRNNCells(pair()), layers.SimpleRNNCell(3, use_bias=False)]
    return masked(layers.RNN(layers.StackedRNNCells(cells), return_sequences=True), layers.LSTM(3))


def backwards() -> keras.Model:
    return masked(layers.RNN(pair(), go_backwards=True, return_sequences=True), layers.GRU(3))


def both_directions() -> keras.Model:
    rnn = layers.Bidirectional(layers.RNN(layers.LSTMCell(3), return_sequences=True))
    return masked(rnn, layers.GlobalAveragePooling1D())


def both_directions_of_a_stack() -> keras.Model:
    sequence = layers.Bidirectional(layers.RNN(pair(), return_sequences=True), merge_mode="sum")
    unequal = layers.Bidirectional(layers.RNN(pair()), backward_layer=layers.LSTM(4, go_backwards=True))
    return masked(sequence, unequal)


def states() -> keras.Model:
    x, h, c = numbers("x"), keras.Input((5,), name="h"), keras.Input((5,), name="c")
    last = layers.Dense(4)(h)
    outputs = layers.RNN(pair(), return_sequences=True, return_state=True)(x, initial_state=[[h, c], last])
    return keras.Model([x, h, c], keras.tree.flatten(outputs))


def states_of_both_directions() -> keras.Model:
    x, h, c = numbers("x"), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    cells = [layers.LSTMCell(4), layers.GRUCell(4)]
    rnn = layers.Bidirectional(layers.RNN(cells, return_state=True), merge_mode=None)
    return keras.Model([x, h, c], keras.tree.flatten(rnn(x, initial_state=[[h, c], c, [c, h], h])))


BUILDS: tuple[Build, ...] = (
    one_cell, stack, backwards, both_directions, both_directions_of_a_stack, states, states_of_both_directions,
)  # fmt: skip


@pytest.mark.parametrize("build", BUILDS)
def test_a_recurrence_of_cells_computes_what_keras_computes(build: Build, tmp_path: Path) -> None:
    model, path = save(build, tmp_path)
    exported = export(path, tmp_path / "out")
    require_equal(model, exported)
    assert any(runtime.runtime.endswith(", as saved") for runtime in exported.report.runtimes)


def unrolled() -> keras.Model:
    return keras.Sequential([keras.Input((7, 3)), layers.RNN(pair(), unroll=True), layers.Dense(2)])


def test_layers_have_the_names_of_the_cells(tmp_path: Path) -> None:
    assert list(open_source(save(one_cell, tmp_path)[1]).network.recurrent_nodes) == ["rnn"]
    names = list(open_source(save(unrolled, tmp_path)[1]).network.recurrent_nodes)
    assert [name.rstrip("_0123456789") for name in names] == ["rnn_1.lstm_cell", "rnn_1.gru_cell"]


def stateful() -> keras.Model:
    rnn = layers.RNN(pair(), return_sequences=True, stateful=True, name="rnn")
    return keras.Sequential([keras.Input(batch_shape=(2, 3, 3)), rnn, layers.Dense(2)])


def test_the_states_of_a_stateful_stack_are_inputs_and_outputs(tmp_path: Path) -> None:
    model, path = save(stateful, tmp_path)
    session = Session(read_directory(export(path, tmp_path / "out").path)[STREAM_NAME], device="cpu")
    given = {name: np.zeros((2, 4 if "gru" in name else 5), np.float32) for name in session.input_names if name != "x"}
    assert len(given) == 3
    for seed in (3, 4):
        x = np.random.default_rng(seed).normal(size=(2, 3, 3)).astype(np.float32)
        answers = session.run_by_name({"x": x, **given})
        np.testing.assert_allclose(np.asarray(model(x)), answers["values"], rtol=0, atol=2e-6)
        given = {name: np.asarray(answers[name.replace("_in", "_out")], np.float32) for name in given}


class OwnCell(layers.LSTMCell):  # type: ignore[misc]  # keras ships no types
    """A cell whose call may be any code."""


def of_own_cell() -> keras.Model:
    return keras.Sequential([numbers(), layers.RNN([layers.GRUCell(3), OwnCell(3)], name="mine")])


def test_a_cell_of_the_user_is_refused_by_name(tmp_path: Path) -> None:
    remedy = "use SimpleRNNCell, LSTMCell, GRUCell, or StackedRNNCells of them"
    with pytest.raises(
        ModelError, match=f"layer mine .* has the cell OwnCell, whose code rnnx does not read; {remedy}"
    ):
        make_plain(of_own_cell())
    with pytest.raises(
        ModelError, match=r"layer 'own_cell.*OwnCell: code from outside the layers of Keras is not loaded"
    ):
        open_source(save(of_own_cell, tmp_path)[1])


def test_a_stack_in_another_order_fails_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain form and its reference agree with each other then; only the saved model shows the mistake."""

    def equal_cells() -> keras.Model:
        return keras.Sequential([numbers(features=4), layers.RNN([layers.GRUCell(4), layers.GRUCell(4)])])

    cells = plain_cells._cells
    monkeypatch.setattr(plain_cells, "_cells", lambda layer, cell: reversed(list(cells(layer, cell))))
    with pytest.raises(ParityError, match=", as saved: layer end to end"):
        export_anew(save(equal_cells, tmp_path)[1], tmp_path / "out")
