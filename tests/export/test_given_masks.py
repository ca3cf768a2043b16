"""Tests models whose masks are inputs: saved, exported, proved, and run on masks of any shape."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

import rnnx
from rnnx.bundle.directory import MODEL_NAME, read_directory
from rnnx.errors import DataError, ModelError, ParityError
from rnnx.export.source import open_source
from rnnx.infer.predictions import Values
from rnnx.infer.stream import open_stream
from tests.conversions import export
from tests.export.test_structure import Build, numbers, require_equal, save
from tests.mutations import exports_after

# Keras warns of a softmax over a single position.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore:[^$]*You are using a softmax over axis -1")]

MASKS = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)


def mask_input(name: str = "mask", time: int | None = None) -> keras.KerasTensor:
    return keras.Input((time,), dtype="bool", name=name)


def every_recurrence() -> keras.Model:
    """Each kind, forward and backward, with states given and with two masks."""
    x, mask, other, h = numbers("x"), mask_input(), mask_input("other"), keras.Input((4,), name="h")
    both = layers.Bidirectional(layers.GRU(3, return_sequences=True))(x, mask=mask)
    ends = [
        layers.SimpleRNN(4)(x, mask=mask),
        layers.LSTM(4, go_backwards=True)(both),  # with the mask that Keras hands on
        layers.GRU(4, return_sequences=True, zero_output_for_mask=True)(both, mask=other)[:, -1],
        layers.SimpleRNN(4)(x, initial_state=h, mask=other),
    ]
    return keras.Model([x, mask, other, h], layers.Dense(2)(layers.Concatenate()(ends)))


def cells_of_a_fixed_time() -> keras.Model:
    x, mask = keras.Input((6, 3), name="x"), mask_input(time=6)
    cells = [layers.LSTMCell(4), layers.SimpleRNNCell(3)]
    y = layers.RNN(cells, return_sequences=True)(x, mask=mask)
    return keras.Model([x, mask], layers.RNN(layers.GRUCell(4))(y))


def masked_attention() -> keras.Model:
    """Attentions of which the keys, and the queries, have masks that are inputs; a mean; and a mask as numbers."""
    x, mask = numbers("x"), mask_input()
    states = layers.LSTM(4, return_sequences=True)(x)
    one = layers.Attention()([states, states], mask=[mask, mask])
    heads = layers.MultiHeadAttention(2, 2)(states, states, value_mask=mask)
    weighted = states * keras.ops.cast(mask, "float32")[:, :, None]
    mean = layers.GlobalAveragePooling1D(keepdims=True)(states, mask=mask)
    return keras.Model([x, mask], layers.Dense(2)(layers.Concatenate()([one, heads, weighted]) * mean[:, :, :1]))


def computed() -> keras.Model:
    x, mask = numbers("x"), mask_input()
    return keras.Model([x, mask], layers.LSTM(4)(x, mask=keras.ops.logical_not(mask)))


@pytest.mark.parametrize("build", [every_recurrence, cells_of_a_fixed_time, masked_attention, computed])
def test_a_mask_that_is_an_input_is_proved(build: Build, tmp_path: Path) -> None:
    model, path = save(build, tmp_path)
    require_equal(model, export(path, tmp_path / "out"))
    names = {port.name: port.dtype for port in open_source(path).network.inputs}
    assert {name: dtype for name, dtype in names.items() if dtype == "bool"}.keys() <= {"mask", "other"}


def streamed() -> keras.Model:
    x, mask = numbers("x"), mask_input()
    y = layers.LSTM(4, return_sequences=True)(x, mask=mask)
    return keras.Model([x, mask], layers.Dense(2)(layers.SimpleRNN(3, return_sequences=True)(y)))


def forget_the_mask(model: onnx.ModelProto) -> None:
    """Reads the mask as if it counted every position."""
    for node in model.graph.node:
        if "mask" in node.input:
            (i,) = (i for i, name in enumerate(node.input) if name == "mask")
            model.graph.node.insert(0, onnx.helper.make_node("Not", ["mask"], ["no_mask"]))
            model.graph.node.insert(1, onnx.helper.make_node("Or", ["mask", "no_mask"], ["every"]))
            node.input[i] = "every"
            return


def test_such_a_model_answers_arrays_and_streams(tmp_path: Path) -> None:
    model, path = save(streamed, tmp_path)
    bundle = export(path, tmp_path / "out", streaming=True).path
    inputs = read_directory(bundle).config.inputs
    assert [(port.name, port.kind, port.dtype) for port in inputs] == [
        ("x", "numbers", "float32"),
        ("mask", "mask", "bool"),
    ]
    x = np.random.default_rng(0).normal(size=(5, 5, 3)).astype(np.float32)
    expected = np.asarray(model([x, MASKS]))
    predictor = rnnx.load(bundle)
    for mask in (MASKS, MASKS.astype(np.int64)):  # 1 and 0 are taken for true and false
        for values, answer in zip(expected, predictor.predict({"x": x, "mask": mask}), strict=True):
            assert isinstance(answer, Values)
            np.testing.assert_allclose(values, answer.outputs["values"], rtol=0, atol=2e-6)
    with pytest.raises(DataError, match="mask, sequence 0: should hold true and false, or 1 and 0, not float64"):
        predictor.predict({"x": x, "mask": MASKS.astype(np.float64)})
    with pytest.raises(DataError, match=r"mask, sequence 0: 2 at \[2\] should be 1 or 0"):
        predictor.predict({"x": x, "mask": 2 * MASKS.astype(np.int64)})
    stream = open_stream(read_directory(bundle))
    fed = [stream.feed({"x": x[2, i : i + 2], "mask": MASKS[2, i : i + 2]}).outputs["values"] for i in (0, 2, 4)]
    np.testing.assert_allclose(expected[2], np.concatenate(fed), rtol=0, atol=2e-6)
    with pytest.raises(ValueError, match="mask should hold true and false, or 1 and 0"):
        stream.feed({"x": x[0], "mask": np.full(5, 3)})
    with pytest.raises(ParityError, match="layer lstm, step"):
        exports_after(forget_the_mask, path, tmp_path / "wrong", MODEL_NAME)


def as_numbers() -> keras.Model:
    x, mask = numbers("x"), keras.Input((None, 2), dtype="bool", name="mask")
    return keras.Model([x, mask], layers.SimpleRNN(4)(layers.Concatenate(name="p")([x, layers.Dense(2)(mask)])))


def test_a_mask_that_a_layer_computes_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"\(Dense\) computes with truth values; make numbers of them"):
        open_source(save(as_numbers, tmp_path)[1])
