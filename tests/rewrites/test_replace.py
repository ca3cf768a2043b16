"""Tests that a Loop of tf2onnx becomes an operator or a Scan: operators, numbers, checker, refusals with reasons."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx

from rnnx.errors import ModelError
from rnnx.onnx_file.graph_builder import TO_THE_END
from rnnx.onnx_file.visible_states import with_states
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.replace import Rewritten, Write, replace_loops
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from rnnx.runtime.session import Session
from tests.rewrites.graphs import draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

# W is carried unchanged, as tf2onnx has it; U and b are read from the graph around the body.
LOOP = """rnn (float[time, batch, 3] x, bool[time, batch, 1] mask) => (float[time, batch, 4] y) {
    shape = Shape (x)
    steps = Gather (shape, zero_index)
    batch_size = Slice (shape, one_axis, two_axis)
    state_shape = Concat <axis = 0> (batch_size, units)
    start = Expand (zero, state_shape)
    h_end, old_end, w_end, y = Loop (steps, yes, start, start, w) <body = step
        (int64 i, bool go, float[batch, 4] h, float[batch, 4] old, float[3, 4] w_in)
        => (bool go_on, float[batch, 4] h_next, float[batch, 4] old_next, float[3, 4] w_in, float[batch, 4] y_t) {
        go_on = Identity (go)
        x_t = Gather (x, i)
        product = MatMul (x_t, w_in)
        shifted = Add (product, b)
        recurrent = MatMul (h, u)
        total = Add (shifted, recurrent)
        new = Tanh (total)
        STEP
    }>
}"""
MASK = """m_t = Gather (mask, i)
        counts = Cast <to = 1> (m_t)
        not_m_t = Not (m_t)
        skips = Cast <to = 1> (not_m_t)
        counted = Mul (counts, new)
        h_skipped = Mul (h, skips)
        h_next = Add (counted, h_skipped)
        old_skipped = Mul (old, skips)
        y_t = Add (counted, old_skipped)
        """
STEPS = {
    "no mask": "h_next = Identity (new) y_t = Identity (new) old_next = Identity (old)",
    "state": MASK.replace("Mul (old", "Mul (h") + "old_next = Identity (old)",
    "carried": MASK + "old_next = Identity (y_t)",
    "zeros": MASK,
}
W, U, B = draw_weights(3, 4)
X = np.random.default_rng(2).normal(size=(6, 5, 3)).astype(np.float32)
# The positions that are not masked, a row of the batch each; the fourth row has none.
COUNTS = np.array([[0, 0, 0, 1, 1, 1], [1, 0, 1, 0, 0, 1], [1, 1, 1, 1, 0, 0], [0] * 6, [1] * 6], np.bool_).T[..., None]
FORMS: dict[str, Write] = {"RNN": write_rnn, "Scan": write_scan}
CONSTANTS = {
    "one_axis": np.array([1]),
    "two_axis": np.array([2]),
    "units": np.array([4]),
    "zero_index": np.int64(0),
    "yes": np.bool_(True),
    "zero": np.float32(0),
    "one": np.float32(1),
    "w": W,
    "u": U,
    "b": B,
}


def converted(kind: str, text: str = LOOP) -> onnx.ModelProto:
    """Returns a model with one Loop, named after its layer."""
    text = text.replace("STEP", STEPS[kind])
    if kind == "zeros":  # the outputs at masked positions are those of a value that stays as it is
        text = text.replace("old_next", "old")
    model = parse(text, **CONSTANTS)
    next(node for node in model.graph.node if node.op_type == "Loop").name = "rnn"
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


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("form", FORMS)
def test_a_loop_becomes_an_operator_or_a_scan(kind: str, form: str) -> None:
    model = converted(kind)
    rewritten = replace_loops(model, FORMS[form])
    assert op_types(rewritten.model).count(form) == 1
    assert "Loop" not in op_types(rewritten.model)
    states, outputs = simple_rnn(kind)
    for candidate in (model, rewritten.model):
        np.testing.assert_allclose(outputs, run(candidate, x=X, mask=COUNTS)[0], rtol=0, atol=1e-6)
    assert rewritten.states.keys() == {"rnn"}
    np.testing.assert_allclose(states, run_states(rewritten), rtol=0, atol=1e-6)
    assert model.SerializeToString() == converted(kind).SerializeToString()  # the given model is not changed


LAST = LOOP.replace("=> (float[time, batch, 4] y)", "=> (float[batch, 4] last)").replace(
    "    }>\n", "    }>\n    end = Slice (y, minus_one, far, zero_axis)\n    last = Squeeze (end, zero_axis)\n"
)


def converted_last(kind: str) -> onnx.ModelProto:
    """Returns a model whose output is only the last state, as tf2onnx takes it."""
    model = converted(kind, LAST)
    for name, array in (("minus_one", [-1]), ("far", [TO_THE_END]), ("zero_axis", [0])):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(array), name))
    return model


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.parametrize("form", FORMS)
def test_the_last_state_is_taken_directly_unless_it_may_be_a_zero(kind: str, form: str) -> None:
    model = converted_last(kind)
    rewritten = replace_loops(model, FORMS[form]).model
    last_two = op_types(rewritten)[-2:]
    assert (last_two == ["Slice", "Squeeze"]) == (kind == "zeros")
    assert (last_two[-1] == "Identity") == (kind != "zeros")
    outputs = simple_rnn(kind)[1]
    for candidate in (model, rewritten):
        np.testing.assert_allclose(outputs[-1], run(candidate, x=X, mask=COUNTS)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_states_without_a_reader_are_not_collected_by_a_scan(form: str) -> None:
    """An operator's have a name: two that are called "" make a cycle for onnxruntime's tools."""
    rewritten = replace_loops(converted_last("no mask"), FORMS[form])
    node = next(node for node in rewritten.model.graph.node if node.op_type == form)
    assert list(node.output) == (["rnn.Y", "rnn.Y_h"] if form == "RNN" else ["rnn.final"])
    np.testing.assert_allclose(simple_rnn("no mask")[0], run_states(rewritten), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "old", "new", "reason"),
    [
        ("no mask", "Tanh (total)", "Softsign (total)", r"no value that it carries is act\(x W \+ b \+ h U\)"),
        ("carried", "Add (counted, h_skipped)", "Sub (counted, h_skipped)", "no value that it carries is act"),
        ("no mask", "Expand (zero, state_shape)", "Expand (one, state_shape)", "its state does not start at zero"),
        ("no mask", "(steps, yes, start, start, w)", "(steps, yes, x, start, w)", "its state does not start at zero"),
        ("no mask", "    }>\n", "    }>\n    more = Neg (h_end)\n", "Neg reads a final value of it"),
        ("zeros", "start, start, w)", "start, ones, w)", "neither the carried state nor zero"),
        ("carried", "Add (counted, old_skipped)", "Sub (counted, old_skipped)", "neither the carried state nor zero"),
    ],
)
def test_a_loop_that_is_not_supported_is_refused_with_the_reason(kind: str, old: str, new: str, reason: str) -> None:
    assert old in LOOP.replace("STEP", STEPS[kind])
    text = LOOP.replace("STEP", STEPS[kind]).replace(old, new, 1)
    model = converted(kind, text.replace("    h_end", "    ones = Expand (one, state_shape)\n    h_end"))
    for form in FORMS.values():
        with pytest.raises(ModelError, match=f"^layer rnn: the Loop .*: .*{reason}.*; please report this model$"):
            replace_loops(model, form)


def test_a_loop_whose_weights_are_not_constants_is_refused() -> None:
    model = converted("no mask")
    Graph(model.graph).remove_constant("w")
    with pytest.raises(ModelError, match=r"^layer rnn: .*its weights are not constants"):
        replace_loops(model, write_rnn)
