"""Tests that a recurrence starts from given states: operators, chunks against the whole, checker, and a refusal."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx

from rnnx.errors import ModelError
from rnnx.rewrites.replace import replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.stream_form import replace_for_stream
from tests.rewrites.graphs import add_marker, draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

MODEL = "g (float[time, batch, 3] x, bool[time, batch, 1] mask) => (float[time, batch, 4] rnn_y) { }"
X = np.random.default_rng(4).normal(size=(6, 3, 3)).astype(np.float32)
# In the first row, all of the first chunk of three steps is masked; in the second row, all of the last chunk.
MASK = np.array([[0, 0, 0, 1, 0, 1], [1, 1, 0, 0, 0, 0], [1] * 6], np.bool_).T[..., None]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def marked(operator: str, mask: str, text: str = MODEL) -> onnx.ModelProto:
    model = parse(text)
    settings = {} if operator == "RNN" else {"recurrent_activation": "Sigmoid", "reset_after": 0}
    add_marker(model, "rnn", draw_weights(3, 4, GATES[operator]), operator=operator, mask=mask, **settings)
    return model


@pytest.mark.parametrize("mask", ["", "mask"])
@pytest.mark.parametrize("operator", GATES)
def test_chunks_give_the_states_of_the_whole_sequence(operator: str, mask: str) -> None:
    model = marked(operator, mask)
    form = replace_for_stream(model)
    assert op_types(form.model).count(operator) == 1
    kinds = ("h", "c") if operator == "LSTM" else ("h",)
    assert [(state.input, state.output) for state in form.carried] == [(f"{kind}_in", f"{kind}_out") for kind in kinds]
    (expected,) = run(replace_recurrences(model, write_rnn).model, x=X, mask=MASK)
    states = {state.input: np.zeros((3, 4), np.float32) for state in form.carried}
    chunks = []
    for start in (0, 3):
        part = slice(start, start + 3)
        chunk, *after = run(form.model, x=X[part], mask=MASK[part], **states)
        chunks.append(chunk)
        states = dict(zip(states, after, strict=True))
    np.testing.assert_allclose(expected, np.concatenate(chunks), rtol=0, atol=1e-6)
    np.testing.assert_allclose(expected[-1], states["h_in"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("operator", GATES)
def test_a_fully_masked_chunk_does_not_change_the_states(operator: str) -> None:
    form = replace_for_stream(marked(operator, "mask"))
    states = {state.input: np.random.default_rng(5).normal(size=(3, 4)).astype(np.float32) for state in form.carried}
    chunk, *after = run(form.model, x=X, mask=np.zeros_like(MASK), **states)
    np.testing.assert_array_equal(np.broadcast_to(states["h_in"], chunk.shape), chunk)
    for before, value in zip(states.values(), after, strict=True):
        np.testing.assert_array_equal(before, value)


def test_each_of_several_layers_names_its_own_states() -> None:
    model = marked("RNN", "", MODEL.replace("rnn_y)", "upper_y)"))
    add_marker(model, "upper", draw_weights(4, 4), x="rnn_y")
    names = [(state.input, state.output) for state in replace_for_stream(model).carried]
    assert names == [("rnn.h_in", "rnn.h_out"), ("upper.h_in", "upper.h_out")]


@pytest.mark.parametrize(("name", "text"), [("h_in", MODEL.replace(" x,", " h_in,")), ("h_out", MODEL)])
def test_a_state_with_the_name_of_an_input_or_output_is_refused(name: str, text: str) -> None:
    model = parse(
        text if name == "h_in" else text.replace("rnn_y)", "h_out)").replace("{ }", "{ h_out = Neg (rnn_y) }")
    )
    add_marker(model, "rnn", draw_weights(3, 4), x="h_in" if name == "h_in" else "x")
    with pytest.raises(ModelError, match=rf"needs the name {name} for a state, and an input or output .* rename"):
        replace_for_stream(model)
