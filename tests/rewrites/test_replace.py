"""Tests that the marker of a SimpleRNN becomes an operator or a Scan: operators, numbers, checker."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx

from rnnx.onnx_file.graph_builder import TO_THE_END
from rnnx.onnx_file.visible_states import with_states
from rnnx.rewrites.recurrence import MARKER_TYPE
from rnnx.rewrites.replace import Rewritten, Write, replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from rnnx.runtime.session import Session
from tests.rewrites.graphs import add_marker, draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

MODEL = """g (float[time, batch, 3] x, bool[time, batch, 1] mask) => (float[time, batch, 4] y) {
    y = Identity (rnn_y)
}"""
LAST = """g (float[time, batch, 3] x, bool[time, batch, 1] mask) => (float[batch, 4] last) {
    end = Slice (rnn_y, minus_one, far, zero_axis)
    last = Squeeze (end, zero_axis)
}"""
# How tf2onnx takes the last state.
BOUNDS = {"minus_one": np.array([-1]), "far": np.array([TO_THE_END]), "zero_axis": np.array([0])}
# The settings of each marker.
KINDS: dict[str, dict[str, str | int]] = {
    "no mask": {},
    "carried": {"mask": "mask"},
    "zeros": {"mask": "mask", "is_carried": 0},
}
W, U, B = draw_weights(3, 4)
X = np.random.default_rng(2).normal(size=(6, 5, 3)).astype(np.float32)
# The positions that are not masked, a row of the batch each; the fourth row has none.
COUNTS = np.array([[0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1], [1, 1, 1, 1, 0, 0], [0] * 6, [1] * 6], np.bool_).T[..., None]
FORMS: dict[str, Write] = {"RNN": write_rnn, "Scan": write_scan}


def converted(kind: str, text: str = MODEL, **constants: npt.NDArray[np.int64]) -> onnx.ModelProto:
    """Returns a model with one marker, named after its layer."""
    model = parse(text, **constants)
    add_marker(model, "rnn", (W, U, B), **KINDS[kind])
    return model


def simple_rnn(kind: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Returns the states and the outputs, computed by the definition in float64."""
    h, states = np.zeros((5, 4)), []
    for x_t, m_t in zip(X, COUNTS, strict=True):
        new = np.tanh(x_t @ W.astype(np.float64) + B + h @ U.astype(np.float64))
        h = new if kind == "no mask" else np.where(m_t, new, h)
        states.append(h)
    return np.array(states), np.where(COUNTS, states, 0) if kind == "zeros" else np.array(states)


def run_states(rewritten: Rewritten) -> npt.NDArray[np.float32]:
    """Returns the states of the only recurrence, made visible by the recipe."""
    session = Session(with_states(rewritten.model.SerializeToString(), rewritten.recipe()), device="cpu")
    return session.run({"x": X, "mask": COUNTS})[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_a_marker_becomes_an_operator_or_a_scan(kind: str, form: str) -> None:
    model = converted(kind)
    rewritten = replace_recurrences(model, FORMS[form])
    assert op_types(rewritten.model).count(form) == 1
    assert MARKER_TYPE not in op_types(rewritten.model)
    states, outputs = simple_rnn(kind)
    np.testing.assert_allclose(outputs, run(rewritten.model, x=X, mask=COUNTS)[0], rtol=0, atol=1e-6)
    assert rewritten.states.keys() == {"rnn"}
    np.testing.assert_allclose(states, run_states(rewritten), rtol=0, atol=1e-6)
    assert model.SerializeToString() == converted(kind).SerializeToString()  # the given model is not changed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMS)
def test_the_last_state_is_taken_directly_unless_it_may_be_a_zero(kind: str, form: str) -> None:
    rewritten = replace_recurrences(converted(kind, LAST, **BOUNDS), FORMS[form]).model
    last_two = op_types(rewritten)[-2:]
    assert (last_two == ["Slice", "Squeeze"]) == (kind == "zeros")
    assert (last_two[-1] == "Identity") == (kind != "zeros")
    outputs = simple_rnn(kind)[1]
    np.testing.assert_allclose(outputs[-1], run(rewritten, x=X, mask=COUNTS)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_states_without_a_reader_are_not_collected_by_a_scan(form: str) -> None:
    """An operator's have a name: two that are called "" make a cycle for onnxruntime's tools."""
    rewritten = replace_recurrences(converted("no mask", LAST, **BOUNDS), FORMS[form])
    node = next(node for node in rewritten.model.graph.node if node.op_type == form)
    assert list(node.output) == (["rnn.Y", "rnn.Y_h"] if form == "RNN" else ["rnn.final"])
    np.testing.assert_allclose(simple_rnn("no mask")[0], run_states(rewritten), rtol=0, atol=1e-6)
