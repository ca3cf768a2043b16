"""Tests which recurrences are joined into one Scan, what they compute, and which ones stay alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.errors import RnnxError
from rnnx.export.convert import check
from rnnx.export.forms import read_steps
from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import stored_tensors
from rnnx.onnx_file.visible_states import with_states
from rnnx.rewrites import join
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.replace import Rewritten, replace_recurrences
from rnnx.rewrites.scan_form import write_scan
from rnnx.runtime.session import Session
from tests.conversions import convert, require_proved
from tests.networks import IDS, build, states

pytestmark = pytest.mark.train

RNN, Both, Mean = layers.SimpleRNN, layers.Bidirectional, layers.GlobalAveragePooling1D


def scans(rewritten: Rewritten) -> list[str]:
    return [node.name for node in rewritten.model.graph.node if node.op_type == "Scan"]


def to_scans(model: keras.Model) -> Rewritten:
    rewritten = replace_recurrences(remove_negative_ids(convert(model, read_network(model))), write_scan)
    check(rewritten.model)
    return rewritten


@pytest.mark.parametrize("build_layers", [lambda: [Both(RNN(4))], lambda: [states(4), RNN(4)]])
def test_a_joined_table_refuses_ids_out_of_range(build_layers: Callable[[], list[keras.Layer]]) -> None:
    """Negative ids count from the end, as in Keras; none may read the other layer's rows."""
    model = build(*build_layers(), layers.Dense(1, activation="sigmoid"))
    session = Session(to_scans(model).model.SerializeToString(), device="cpu")
    size = read_network(model).inputs[0].size
    (expected,) = session.run(np.array([[1, size - 1, 2]], np.int32))
    np.testing.assert_array_equal(expected, session.run(np.array([[1, -1, 2]], np.int32))[0])
    for outside in (size, 2 * size - 1, -size - 1):
        with pytest.raises(RnnxError, match="out of data bounds"):
            session.run(np.array([[1, outside, 2]], np.int32))


JOINED: dict[str, tuple[list[str], Callable[[], list[keras.Layer]]]] = {
    "two layers": (["a+b"], lambda: [states(4, name="a"), RNN(3, name="b")]),
    "two of one width": (["a+b"], lambda: [states(4, name="a"), RNN(4, name="b")]),
    "four layers": (
        ["a+b+c+d"],
        lambda: [states(4, name="a"), states(4, name="b"), states(4, name="c"), RNN(4, name="d")],
    ),
    "relu": (
        ["a+b+c"],
        lambda: [
            states(4, name="a", activation="relu"),
            states(3, name="b", activation="relu"),
            RNN(2, name="c", activation="relu", use_bias=False),
        ],
    ),
    "the states of the last": (["a+b"], lambda: [states(4, name="a"), states(3, name="b"), Mean()]),
    "zeros where masked": (
        ["a+b"],
        lambda: [
            states(4, name="a", zero_output_for_mask=True),
            states(3, name="b", zero_output_for_mask=True),
            Mean(),
        ],
    ),
    "greedily up to the limit": (
        ["a+b", "c+d"],
        lambda: [states(32, name="a"), states(32, name="b"), states(32, name="c"), RNN(32, name="d")],
    ),
    "both directions": (["x.forward+x.backward"], lambda: [Both(RNN(4), name="x")]),
    "both directions, their mean": (["x.forward+x.backward"], lambda: [Both(states(4), name="x"), Mean()]),
    "both directions, twice": (
        ["x.forward+x.backward", "y.forward+y.backward"],
        lambda: [Both(states(4), name="x"), Both(states(3), name="y"), Mean()],
    ),
}


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("name", list(JOINED))
def test_joined_recurrences_compute_what_each_computes_alone(name: str, mask_zero: bool) -> None:
    expected, body = JOINED[name]
    model = build(*body(), layers.Dense(1, activation="sigmoid"), mask_zero=mask_zero)
    rewritten = to_scans(model)
    assert scans(rewritten) == expected
    require_proved(model, rewritten)


@pytest.mark.parametrize("mask_zero", [False, True])
def test_directions_of_two_widths_are_joined(mask_zero: bool) -> None:
    """No layer can follow here, because Keras takes both directions to be as wide as the first."""
    both = Both(RNN(4), backward_layer=RNN(3, go_backwards=True), name="x")
    model = build(both, mask_zero=mask_zero)
    rewritten = to_scans(model)
    assert scans(rewritten) == ["x.forward+x.backward"]
    (actual,) = Session(rewritten.model.SerializeToString(), device="cpu").run(IDS)
    np.testing.assert_allclose(read_network(model).predict(IDS), actual, rtol=0, atol=1e-5)


ALONE: dict[str, tuple[bool, Callable[[], list[keras.Layer]]]] = {
    "sigmoid": (
        False,
        lambda: [states(4, name="a", activation="sigmoid"), RNN(3, name="b", activation="sigmoid")],
    ),
    "two activations": (False, lambda: [states(4, name="a"), RNN(3, name="b", activation="relu")]),
    "too wide": (False, lambda: [states(40, name="a"), RNN(25, name="b")]),
    "the upper one backwards": (False, lambda: [states(4, name="a"), RNN(3, name="b", go_backwards=True)]),
    "two masks": (True, lambda: [states(4, name="a", go_backwards=True), RNN(3, name="b")]),
    "something between": (False, lambda: [states(4, name="a"), layers.Dense(4), RNN(3, name="b")]),
}


@pytest.mark.parametrize("name", list(ALONE))
def test_layers_that_do_not_fit_stay_alone(name: str) -> None:
    mask_zero, body = ALONE[name]
    model = build(*body(), layers.Dense(1, activation="sigmoid"), mask_zero=mask_zero)
    rewritten = to_scans(model)
    assert scans(rewritten) == ["a", "b"]
    require_proved(model, rewritten)


def test_directions_that_do_not_fit_stay_alone() -> None:
    both = Both(RNN(4, activation="sigmoid"), name="x")
    model = build(both, layers.Dense(1, activation="sigmoid"), mask_zero=True)
    rewritten = to_scans(model)
    assert sorted(scans(rewritten)) == ["x.backward", "x.forward"]
    require_proved(model, rewritten)


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("is_pooled", [False, True])
def test_wide_directions_share_steps_but_not_products(mask_zero: bool, is_pooled: bool) -> None:
    """Their states are compared even where no layer reads them."""
    body = [Both(states(33), name="x"), Mean()] if is_pooled else [Both(RNN(33), name="x")]
    model = build(*body, layers.Dense(1, activation="sigmoid"), mask_zero=mask_zero)
    rewritten = to_scans(model)
    assert scans(rewritten) == ["x.forward+x.backward"]
    (scan,) = (node for node in rewritten.model.graph.node if node.op_type == "Scan")
    operators = [node.op_type for node in scan.attribute[0].g.node]
    assert operators == (["Gemm", "Tanh", "Identity"] if is_pooled else ["Gemm", "Tanh"]) * 2
    assert read_steps(rewritten.model) == (66, is_pooled)
    require_proved(model, rewritten)


def test_a_layer_whose_states_have_another_reader_stays_alone() -> None:
    ids = keras.Input((None,), dtype="int32", name="ids")
    below = states(4, name="a")(layers.Embedding(12, 5)(ids))
    both = layers.Concatenate()([Mean()(below), RNN(3, name="b")(below)])
    model = keras.Model(ids, layers.Dense(1, activation="sigmoid")(both))
    rewritten = to_scans(model)
    assert sorted(scans(rewritten)) == ["a", "b"]
    require_proved(model, rewritten)


def test_rows_without_words_stay_at_zero_in_every_layer() -> None:
    model = build(states(4, name="a"), states(4, name="b"), RNN(4, name="c"), mask_zero=True)
    rewritten = to_scans(model)
    session = Session(with_states(rewritten.model.SerializeToString(), rewritten.recipe()), device="cpu")
    ids = np.array([[0, 0, 0], [0, 4, 5], [0, 0, 0]], np.int32)
    outputs = dict(zip(session.output_names, session.run(ids), strict=True))
    for name in rewritten.states.values():
        assert outputs[name].shape == (3, 3, 4)
        assert not outputs[name][:, [0, 2]].any()
        assert outputs[name][1:, 1].all()
    assert not outputs["values"][[0, 2]].any()


def test_joining_changes_the_answers_only_by_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without joining, the graph has one Scan per layer."""
    model = build(states(4, name="a"), RNN(3, name="b"), mask_zero=True)
    joined = to_scans(model)
    monkeypatch.setattr(join, "MAX_WIDTH", 0)
    apart = to_scans(model)
    assert (scans(joined), scans(apart)) == (["a+b"], ["a", "b"])
    (expected,), (actual,) = (Session(r.model.SerializeToString(), device="cpu").run(IDS) for r in (apart, joined))
    np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-5)


def test_the_proof_finds_a_wrong_number_in_any_block() -> None:
    """The joint matrix also holds W and a block of zeros; one number in each is changed."""
    model = build(states(4, name="a"), RNN(3, name="b"), layers.Dense(1, activation="sigmoid"))
    for place in ((1, 5), (5, 1)):
        rewritten = to_scans(model)
        tensor = next(t for t in stored_tensors(rewritten.model) if t.name == "a+b.recurrent_kernel")
        matrix = onnx.numpy_helper.to_array(tensor).copy()
        matrix[place] += 1e-3
        tensor.CopyFrom(onnx.numpy_helper.from_array(matrix, tensor.name))
        with pytest.raises(AssertionError, match="LayerReport"):
            require_proved(model, rewritten)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([states(4, name="a"), RNN(3, name="b")], (7, False)),
        ([Both(states(4)), Mean()], (8, True)),
        ([states(40, name="a"), RNN(30, name="b")], (40, False)),
        ([states(40, name="a"), states(30, name="b"), Mean()], (40, True)),
    ],
)
def test_the_size_of_a_step_is_read_from_the_scans(body: list[keras.Layer], expected: tuple[int, bool]) -> None:
    """The predictor chooses the form by this size."""
    assert read_steps(to_scans(build(*body)).model) == expected
