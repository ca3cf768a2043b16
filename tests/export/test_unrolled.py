"""Tests a Scan with several steps in an iteration.

It is used for wide directions of a masked text whose states are pooled, and for no other network.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.export.forms import read_steps
from rnnx.keras_models.read_network import read_network
from rnnx.rewrites.replace import Rewritten
from rnnx.rewrites.unrolled import STEPS
from rnnx.rounding.decisions import decide
from rnnx.runtime.session import Session
from tests.conversions import build_forms, require_proved
from tests.networks import build, detectors, states

pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore:Layer .*does not support masking:UserWarning")]

Both, Max, Mean = layers.Bidirectional, layers.GlobalMaxPooling1D, layers.GlobalAveragePooling1D
# With this many units, two directions do not share a matrix.
WIDE = 33


def both(**options: object) -> keras.Layer:
    return Both(states(WIDE, **options), name="x")


UNROLLED: dict[str, Callable[[], list[keras.Layer]]] = {
    "mean": lambda: [both(), Mean()],
    "mean, softsign": lambda: [both(activation="softsign"), Mean()],
    "detectors": lambda: [both(), detectors(use_bias=False), Max()],
}
# No mask, one direction, states needed in order, zeros that change the result, or states without a bound.
NOT_UNROLLED: dict[str, tuple[bool, Callable[[], list[keras.Layer]]]] = {
    "no mask": (False, lambda: [both(), Mean()]),
    "narrow": (True, lambda: [Both(states(4), name="x"), Mean()]),
    "one direction": (True, lambda: [states(70, name="x"), Mean()]),
    "a layer above": (True, lambda: [both(), states(4, name="y"), Mean()]),
    "maxima of the states": (True, lambda: [both(), Max()]),
    "detectors with a bias": (True, lambda: [both(), detectors(), Max()]),
    "tanh of detectors": (True, lambda: [both(), detectors(activation="tanh", use_bias=False), Max()]),
    "relu": (True, lambda: [both(activation="relu"), Mean()]),
    "sigmoid": (True, lambda: [both(activation="sigmoid"), Mean()]),
}


def to_scan(model: keras.Model) -> Rewritten:
    return build_forms(model, read_network(model))["model.batch.onnx"]


def bodies(form: onnx.ModelProto) -> list[list[str]]:
    """Returns the operators of the body of each Scan."""
    scans = [node for node in form.graph.node if node.op_type == "Scan"]
    return [[node.op_type for node in scan.attribute[0].g.node] for scan in scans]


@pytest.mark.parametrize("name", list(UNROLLED))
def test_pooled_states_are_computed_several_steps_in_an_iteration(name: str) -> None:
    """Every hidden state and the result are compared; the rows of six ids fill no whole number of iterations."""
    model = build(*UNROLLED[name](), layers.Dense(1, activation="sigmoid"), mask_zero=True)
    form = to_scan(model)
    (operators,) = bodies(form.model)
    assert operators.count("Gemm") == 2 * STEPS
    assert operators.count("Identity") == 2
    assert read_steps(form.model) == (2 * WIDE, True)
    require_proved(model, form)


@pytest.mark.parametrize("time", range(1, 2 * STEPS + 2))
def test_rows_of_any_length_are_right(time: int) -> None:
    """A row gives the same bits alone, in a batch and with more padding, even if its last iteration is partial."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32")
    x = both()(layers.Embedding(12, 3, mask_zero=True)(ids))
    pooled = layers.Concatenate()([Mean()(x), Max()(detectors(use_bias=False)(x))])
    model = keras.Model(ids, layers.Dense(1, activation="sigmoid")(pooled))
    rng = np.random.default_rng(time)
    batch = rng.integers(0, 12, (6, time), dtype=np.int32)
    batch[:, -1] = 1  # the mean of a fully masked row is NaN
    batch[0] = rng.integers(1, 12, time)
    session = Session(to_scan(model).model.SerializeToString(), device="cpu")
    (expected,) = decide(read_network(model), batch).values()
    (actual,) = session.run(batch)
    assert (np.abs(expected.values - actual) <= expected.bounds).all()
    for i, row in enumerate(batch):
        np.testing.assert_array_equal(actual[i : i + 1], session.run(row[None])[0])
        padded = np.concatenate([np.zeros(3, np.int32), row])[None]
        np.testing.assert_array_equal(actual[i : i + 1], session.run(padded)[0])


@pytest.mark.parametrize("name", list(NOT_UNROLLED))
def test_other_networks_make_one_step_in_an_iteration(name: str) -> None:
    mask_zero, made = NOT_UNROLLED[name]
    model = build(*made(), layers.Dense(1, activation="sigmoid"), mask_zero=mask_zero)
    found = bodies(to_scan(model).model)
    assert found
    assert all(operators.count("Gemm") <= 2 for operators in found)


def test_the_proof_finds_a_state_after_the_text_that_is_counted() -> None:
    """The zeros that the backward direction reads last have states that must not be counted."""
    model = build(both(), Mean(), layers.Dense(1, activation="sigmoid"), mask_zero=True)
    form = to_scan(model)
    counted = [node for node in form.model.graph.node if node.name.endswith(".counted")]
    assert len(counted) == STEPS
    for node in counted:
        node.op_type = "Identity"
        del node.input[1:]
    with pytest.raises(AssertionError, match="LayerReport"):
        require_proved(model, form)
