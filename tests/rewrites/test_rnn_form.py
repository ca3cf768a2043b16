"""Tests that markers become native operators: operators, numbers against the reference, checker."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx

from rnnx.primitives.activations import ActivationName
from rnnx.reference import GRU, LSTM, Recurrent, SimpleRNN, Tensor
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import NOT_NATIVE, ONNX_ACTIVATIONS
from rnnx.rewrites.replace import Write, replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from tests.rewrites.graphs import add_marker, draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

MODEL = "g (float[time, batch, 3] x, bool[time, batch, 1] mask) => (float[time, batch, 4] rnn_y) { }"
X = np.random.default_rng(3).normal(size=(6, 4, 3)).astype(np.float32)
MASK = np.array([[0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0] * 6, [1] * 6], np.bool_).T[..., None]
FORMS: dict[str, Write] = {"native": write_rnn, "scan": write_scan}


def layer_of(kind: str) -> tuple[Recurrent, dict[str, object]]:
    """Returns a layer of the reference, and the attributes of its marker."""
    gates = {"LSTM": 4, "GRU": 3, "GRU, reset after": 3}.get(kind, 1)
    weights = draw_weights(3, 4, gates, bias_rows=2 if kind == "GRU, reset after" else 0)
    w, u, b = (array.astype(np.float64) for array in weights)
    of_gates = ONNX_ACTIVATIONS["sigmoid"]
    if kind == "LSTM":
        return LSTM(w, u, b, "tanh", True), {"recurrent_activation": of_gates}
    if kind.startswith("GRU"):
        reset_after = kind == "GRU, reset after"
        attributes = {"recurrent_activation": of_gates, "reset_after": int(reset_after)}
        return GRU(w, u, b, "tanh", True, reset_after=reset_after), attributes
    return SimpleRNN(w, u, b, cast("ActivationName", kind), True), {}


def marked(kind: str, **settings: object) -> tuple[onnx.ModelProto, Recurrent]:
    """Returns a model with one marker, and the layer of the reference that the marker means."""
    layer, attributes = layer_of(kind)
    model = parse(MODEL)
    kernel, recurrent_kernel, bias = (w.astype(np.float32) for w in (layer.kernel, layer.recurrent_kernel, layer.bias))
    attributes |= {"operator": "RNN" if isinstance(layer, SimpleRNN) else type(layer).__name__}
    attributes |= {"activation": ONNX_ACTIVATIONS[layer.activation]}
    add_marker(model, "rnn", (kernel, recurrent_kernel, bias), **attributes, **settings)
    return model, layer


KINDS = ["LSTM", "GRU", "GRU, reset after", *(a for a, name in ONNX_ACTIVATIONS.items() if name not in NOT_NATIVE)]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_marker_becomes_what_the_reference_computes(kind: str, form: str, is_masked: bool) -> None:
    model, layer = marked(kind, mask="mask" if is_masked else "")
    rewritten = replace_recurrences(model, FORMS[form]).model
    operator = {"L": "LSTM", "G": "GRU"}.get(kind[0], "RNN" if form == "native" else "Scan")
    assert op_types(rewritten).count(operator) == 1
    assert [opset.domain for opset in rewritten.opset_import] == [""]
    tensor = Tensor(X.swapaxes(0, 1).astype(np.float64), MASK[..., 0].T if is_masked else None)
    (actual,) = run(rewritten, x=X, mask=MASK)
    np.testing.assert_allclose(layer.states(tensor), actual.swapaxes(0, 1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "tanh", "sigmoid"])
def test_masked_positions_are_zeros_if_the_marker_says_so(kind: str, form: str) -> None:
    model, layer = marked(kind, mask="mask", is_carried=0)
    (actual,) = run(replace_recurrences(model, FORMS[form]).model, x=X, mask=MASK)
    states = layer.states(Tensor(X.swapaxes(0, 1).astype(np.float64), MASK[..., 0].T)).swapaxes(0, 1)
    np.testing.assert_allclose(np.where(MASK, states, 0), actual, rtol=1e-5, atol=1e-5)


def test_a_length_is_never_zero() -> None:
    """Old onnxruntimes read out of bounds for a length of 0 (onnxruntime #28052)."""
    rewritten = replace_recurrences(marked("tanh", mask="mask")[0], write_rnn).model
    node = next(node for node in rewritten.graph.node if node.op_type == "RNN")
    lengths = Graph(rewritten.graph).producer(node.input[4])
    assert lengths is not None
    assert lengths.op_type == "Max"
    assert "int32_1_scalar" in lengths.input
