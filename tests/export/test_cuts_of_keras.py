"""Tests that every layer with weights of a Keras model is compared alone in every form of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import onnx
from keras import layers
from onnx import numpy_helper

from rnnx.export.find_cuts import with_cuts
from rnnx.keras_models.plain_model import make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.report import RuntimeReport
from rnnx.reference import Conv1D, Conv2D, Network
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.decisions import decide
from tests.conversions import build_forms
from tests.networks import IDS, build, detectors

BATCH = ProbeBatch(IDS, tuple("abcde"))
# The table is looked up, and both recurrences show their states.
ALONE = ["before", "scaled", "between", "detectors", "after"]


def compare(form: Rewritten, network: Network) -> RuntimeReport:
    candidate = Candidate("model.onnx", form.model.SerializeToString(), form.recipe())
    return compare_file(candidate, "cpu", network, [BATCH], [decide(network, IDS)]).report


def test_every_layer_is_compared_alone_and_a_wrong_bias_is_found_in_it() -> None:
    model = build(
        layers.Dense(4, "relu", name="before"),
        layers.LayerNormalization(name="scaled"),
        layers.SimpleRNN(4, return_sequences=True, name="first"),
        layers.TimeDistributed(layers.Dense(4, "tanh"), name="between"),
        layers.SimpleRNN(5, return_sequences=True, name="second"),
        detectors(),
        layers.GlobalMaxPooling1D(name="maximum"),
        layers.Dense(4, "gelu", name="after"),
        layers.Dense(3, "softmax", name="head"),
    )
    network = read_network(model)
    forms = build_forms(model, network)
    assert set(forms) == {"model.onnx", "model.batch.onnx"}
    for name, form in forms.items():
        report = compare(form, network)
        assert report.passed
        assert {layer.layer for layer in report.layers} == {"first", "second", *ALONE, "probs", "end to end"}
        assert all((layer.ratio or 0) < 0.5 for layer in report.layers), name
        # The forms take the maximum of the detectors before they add the bias.
        assert form.cuts is not None
        assert "maximum" in form.cuts
        for layer in ("before", "detectors", "after"):
            wrong = with_wrong_bias(form, model.get_layer(layer).get_weights()[1])
            report = compare(wrong, network)
            assert not report.passed
            assert report.worst.layer == layer
            again = compare(with_cuts(dataclasses.replace(wrong, cuts=None), network), network)
            assert (again.passed, again.worst.layer) == (False, layer)


def test_a_wrong_weight_of_a_convolution_is_found_in_it() -> None:
    """One number of each kernel is off by a thousandth of itself."""
    model = build(
        layers.Dense(6, "relu"),
        layers.Conv1D(6, 3, groups=2, padding="same", name="grouped"),
        layers.SeparableConv1D(8, 2, name="separable"),
        layers.LayerNormalization(name="normalized"),
        layers.SimpleRNN(8, return_sequences=True),
        layers.Reshape((-1, 2, 2, 2)),
        layers.TimeDistributed(layers.Conv2D(3, 2, padding="same", activation="tanh", name="images")),
        layers.TimeDistributed(layers.Flatten()),
        layers.SimpleRNN(5),
        layers.Dense(3, "softmax", name="head"),
    )
    plain = make_plain(model).model
    network = read_network(plain)
    kernels = {node.name: node.layer.kernel for node in network.nodes if isinstance(node.layer, Conv1D | Conv2D)}
    assert [name.split(".")[-1] for name in kernels] == ["grouped", "depthwise", "separable", "images"]
    for form in build_forms(plain, network).values():
        assert compare(form, network).passed
        for layer, kernel in kernels.items():
            wrong = with_wrong_weight(form, kernel)
            report = compare(wrong, network)
            assert not report.passed
            assert report.worst.layer == layer
            again = compare(with_cuts(dataclasses.replace(wrong, cuts=None), network), network)
            assert (again.passed, again.worst.layer) == (False, layer)


def with_wrong_weight(form: Rewritten, kernel: np.ndarray) -> Rewritten:
    """Changes the largest number of a kernel by a thousandth of itself; the file has its axes in another order."""
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    numbers = np.sort(kernel.astype(np.float32).ravel())
    (tensor,) = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and np.array_equal(np.sort(numpy_helper.to_array(tensor).ravel()), numbers)
    ]
    wrong = numpy_helper.to_array(tensor).copy()
    wrong.flat[np.abs(wrong).argmax()] *= np.float32(1.001)
    tensor.CopyFrom(numpy_helper.from_array(wrong, tensor.name))
    return dataclasses.replace(form, model=model)


def with_wrong_bias(form: Rewritten, bias: np.ndarray) -> Rewritten:
    """Changes one number of a bias in the file by 1e-4."""
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    (name,) = [name for name, values in arrays.items() if np.array_equal(values.ravel(), bias)]
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    wrong = arrays[name].copy()
    wrong.flat[1] += np.float32(1e-4)
    tensor.CopyFrom(numpy_helper.from_array(wrong, name))
    return dataclasses.replace(form, model=model)
