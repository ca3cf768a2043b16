"""Tests that pooled states are not moved back to their positions, and that the result is what Keras pools."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.keras_models.read_network import read_network
from rnnx.runtime.session import Session
from tests.conversions import build_forms, decide
from tests.networks import IDS, build, detectors, states

# Keras's maximum includes masked positions and warns about it; these tests are about that case.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore:Layer .*does not support masking:UserWarning")]

Max, Mean = layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D
# The rows of IDS, and one that is only padding.
ROWS = np.concatenate([IDS, np.zeros((1, IDS.shape[1]), np.int32)])


def both(units: int = 4) -> keras.Layer:
    return layers.Bidirectional(states(units), name="x")


POOLED: dict[str, Callable[[], list[keras.Layer]]] = {
    "both, maximum": lambda: [both(), Max()],
    "both, maximum, relu": lambda: [both(), Max(), layers.ReLU()],
    "both, detectors": lambda: [both(), detectors(use_bias=False), Max()],
    "both, detectors with a bias": lambda: [both(), detectors(), Max()],
    "both, tanh of detectors": lambda: [both(), detectors(activation="tanh"), Max()],
    "both, one detector": lambda: [both(), detectors(1), Max()],
    "both, too wide to share a Scan": lambda: [both(40), detectors(), Max()],
    "zeros where masked, maximum": lambda: [states(4, name="x", zero_output_for_mask=True), Max()],
    "zeros where masked, detectors": lambda: [states(4, name="x", zero_output_for_mask=True), detectors(), Max()],
    "backwards, maximum": lambda: [states(4, name="x", go_backwards=True, zero_output_for_mask=True), Max()],
    "LSTM in both directions, detectors": lambda: [
        layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="x"),
        detectors(),
        Max(),
    ],
    "GRU in both directions, maximum": lambda: [
        layers.Bidirectional(layers.GRU(4, return_sequences=True), name="x"),
        Max(),
    ],
}

# Layers that depend on the order, or on values at masked positions that the form does not keep.
IN_PLACE: dict[str, Callable[[], list[keras.Layer]]] = {
    "carried, maximum": lambda: [states(4, name="x"), Max()],
    "both, linear detectors": lambda: [both(), detectors(activation="linear"), Max()],
    "both, maxima of two": lambda: [both(), layers.MaxPooling1D(2, padding="same"), Max()],
}


def brings_back(model: onnx.ModelProto) -> bool:
    """Tells whether a node between the recurrences and the output moves states to their positions or reverses them."""
    makers = {name: node for node in model.graph.node for name in node.output}
    waiting, after = [output.name for output in model.graph.output], []
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.op_type not in ("RNN", "LSTM", "GRU", "Scan") and node not in after:
            after.append(node)
            waiting += node.input
    return any(node.op_type == "ReverseSequence" or node.output[0].endswith(".carried") for node in after)


def require_right(model: keras.Model, form: onnx.ModelProto) -> None:
    """Compares the batch, its rows alone, and a batch of equal rows within the rounding bound of the result."""
    network = read_network(model)
    session = Session(form.SerializeToString(), device="cpu")
    for ids in (ROWS, *(ROWS[i : i + 1] for i in range(len(ROWS))), ROWS[[2] * 9]):
        (expected,) = decide(network, ids).values()
        assert np.isfinite(expected.bounds).all()
        for actual in (np.asarray(model(ids)), session.run(ids)[0]):
            assert (np.abs(expected.values - actual) <= expected.bounds).all()


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("name", list(POOLED))
def test_pooled_states_are_not_moved_back(name: str, mask_zero: bool) -> None:
    model = build(*POOLED[name](), layers.Dense(1, activation="sigmoid"), mask_zero=mask_zero)
    for form in build_forms(model, read_network(model)).values():
        assert not brings_back(form.model)
        require_right(model, form.model)


@pytest.mark.parametrize("name", list(IN_PLACE))
def test_states_are_moved_back_for_layers_that_need_the_order(name: str) -> None:
    model = build(*IN_PLACE[name](), layers.Dense(1, activation="sigmoid"), mask_zero=True)
    for form in build_forms(model, read_network(model)).values():
        assert brings_back(form.model)
        require_right(model, form.model)


def test_a_mean_and_a_maximum_can_pool_the_same_states() -> None:
    ids = keras.Input((None,), dtype="int32")
    x = both()(layers.Embedding(12, 3, mask_zero=True)(ids))
    pooled = layers.Concatenate()([Mean()(x), Max()(detectors(use_bias=False)(x))])
    model = keras.Model(ids, layers.Dense(1, activation="sigmoid")(pooled))
    for form in build_forms(model, read_network(model)).values():
        assert not brings_back(form.model)
        session = Session(form.model.SerializeToString(), device="cpu")
        (expected,) = decide(read_network(model), IDS).values()
        assert (np.abs(expected.values - session.run(IDS)[0]) <= expected.bounds).all()
        # Other padding changes no bit of the answer.
        np.testing.assert_array_equal(session.run(IDS[1:2, :3])[0], session.run(IDS[1:2])[0])


def test_a_mask_is_counted_without_an_axis_of_features() -> None:
    model = build(both(), Mean(), layers.Dense(1, activation="sigmoid"), mask_zero=True)
    for form in build_forms(model, read_network(model)).values():
        makers = {name: node for node in form.model.graph.node for name in node.output}
        (mean,) = [node for node in form.model.graph.node if node.op_type == "Div"]
        counted = makers[mean.input[1]]
        assert [counted.op_type, makers[counted.input[0]].op_type] == ["Unsqueeze", "ReduceSum"]
        (expected,) = decide(read_network(model), IDS).values()
        actual = Session(form.model.SerializeToString(), device="cpu").run(IDS)[0]
        assert (np.abs(expected.values - actual) <= expected.bounds).all()
