"""Tests the forms of every supported shape: their operators, what they compute, and what is refused."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
import onnxruntime as ort
from keras import layers
from onnx import numpy_helper

from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import stored_tensors
from rnnx.onnx_file.visible_states import with_states
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.replace import replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.runtime.session import Session
from tests.conversions import build_forms, convert
from tests.networks import IDS, MODELS, build

pytestmark = pytest.mark.train

# Keras's maximum includes masked positions. The states there are carried on, so the maximum is right.
CASES = [(name, mask) for name in MODELS for mask in (False, True)]
# Small layers share a Scan (tests/export/test_join.py). Networks that are not listed have one.
SCANS = {"both directions, stacked": 2, "backwards, stacked, mean": 2}


@pytest.mark.parametrize(("name", "mask_zero"), CASES)
def test_every_form_computes_what_the_reference_computes(name: str, mask_zero: bool) -> None:
    """Six steps in float32 with moderate weights stay within 1e-4; the proof tests how close they really are."""
    model = MODELS[name](mask_zero)
    network = read_network(model)
    for form, rewritten in build_forms(model, network).items():
        operators = Counter(node.op_type for node in rewritten.model.graph.node)
        recurrent = {"model.onnx": "RNN", "model.batch.onnx": "Scan"}[form]
        assert operators["Loop"] == 0
        assert operators[recurrent] == (SCANS.get(name, 1) if recurrent == "Scan" else len(network.recurrent_nodes))
        session = Session(rewritten.model.SerializeToString(), device="cpu")
        # The whole batch, several rows alone, and a batch of nine equal rows.
        for ids in (IDS, IDS[:1], IDS[1:2], IDS[4:], IDS[[2] * 9]):
            expected = network.predict(ids)
            (actual,) = session.run(ids)
            assert expected.shape == actual.shape
            np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["last state", "both directions, last", "relu, no bias"])
def test_a_row_without_words_ends_in_a_zero_state(name: str) -> None:
    """Such a row has the length 0, for which old kernels read out of bounds."""
    model = MODELS[name](True)
    network = read_network(model)
    ids = np.array([[0, 0, 0], [0, 4, 5], [0, 0, 0]], np.int32)
    for rewritten in build_forms(model, network).values():
        (actual,) = Session(rewritten.model.SerializeToString(), device="cpu").run(ids)
        np.testing.assert_allclose(network.predict(ids), actual, rtol=0, atol=1e-5)


def test_the_mean_of_a_fully_masked_row_is_nan_as_in_keras() -> None:
    model = MODELS["both directions, all"](True)
    ids = np.array([[0, 0, 0], [0, 4, 5]], np.int32)
    assert np.isnan(np.asarray(model(ids))[0]).all()
    for rewritten in build_forms(model, read_network(model)).values():
        (actual,) = Session(rewritten.model.SerializeToString(), device="cpu").run(ids)
        assert np.isnan(actual[0]).all()
        assert np.isfinite(actual[1]).all()


def test_states_are_computed_by_the_shipped_weights() -> None:
    """The copy with states is made from the shipped model, so a changed weight must change the states."""
    model = MODELS["both directions, all"](True)
    for rewritten in build_forms(model, read_network(model)).values():
        before = Session(with_states(rewritten.model.SerializeToString(), rewritten.recipe()), device="cpu").run(IDS)
        tensor = next(t for t in stored_tensors(rewritten.model) if t.name.endswith((".R", ".recurrent_kernel")))
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 2, tensor.name))
        after = Session(with_states(rewritten.model.SerializeToString(), rewritten.recipe()), device="cpu").run(IDS)
        assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_only_the_code_for_negative_ids_is_removed() -> None:
    model = MODELS["last state"](False)
    converted = convert(model, read_network(model))
    cleaned = remove_negative_ids(converted)
    onnx.checker.check_model(cleaned, full_check=True)
    gather = next(node for node in cleaned.graph.node if node.op_type == "Gather")
    assert gather.input[1] == "ids"
    assert "Not" not in {node.op_type for node in cleaned.graph.node}
    finished = [replace_recurrences(m, write_rnn).model.SerializeToString() for m in (converted, cleaned)]
    (expected,), (actual,) = (ort.InferenceSession(data).run(None, {"ids": IDS}) for data in finished)
    np.testing.assert_array_equal(expected, actual)
    again = remove_negative_ids(cleaned)
    assert [n.op_type for n in again.graph.node] == [n.op_type for n in cleaned.graph.node]


def test_two_layers_with_equal_weights_are_kept_apart() -> None:
    model = build(
        layers.SimpleRNN(5, return_sequences=True, name="first"), layers.SimpleRNN(5, name="second"), mask_zero=True
    )
    weights = model.get_weights()
    model.set_weights([weights[0], *weights[1:4], *weights[1:4]])
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        assert set(rewritten.states) == {"first", "second"}
        (actual,) = Session(rewritten.model.SerializeToString(), device="cpu").run(IDS)
        np.testing.assert_allclose(network.predict(IDS), actual, rtol=0, atol=1e-4)


def test_the_four_stacked_layers_of_the_article() -> None:
    stack = [layers.SimpleRNN(32, return_sequences=True) for _ in range(3)]
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Sequential([ids, layers.Embedding(10_000, 32), *stack, layers.SimpleRNN(32)])
    network = read_network(model)
    batch = np.random.default_rng(0).integers(0, 10_000, (3, 50)).astype(np.int32)
    for rewritten in build_forms(model, network).values():
        (actual,) = Session(rewritten.model.SerializeToString(), device="cpu").run(batch)
        np.testing.assert_allclose(network.predict(batch), actual, rtol=0, atol=1e-5)
