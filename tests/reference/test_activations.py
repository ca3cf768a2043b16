"""Tests activations: values, derivatives against finite differences, and the error allowances on installed runtimes."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest

from rnnx.primitives.activations import ACTIVATIONS
from rnnx.primitives.float32 import function_errors
from rnnx.reference import ActivationName, Array, activate

NAMES = list(ACTIVATIONS)


def activation_error(name: ActivationName, x: Array, error: Array) -> Array:
    """Returns both errors together: what is carried on and the activation's own."""
    carried, own = function_errors(ACTIVATIONS[name], x, activate(name, x), error)
    return np.asarray(carried + (0.0 if own is None else own))  # type: ignore[operator]  # an error is given


# The shift keeps the points off the corners, where a derivative is one-sided.
POINTS = np.concatenate([np.linspace(-30, 30, 1201), np.linspace(-3.2, 3.2, 641)]) + 1e-4


def test_every_elementwise_activation_has_an_entry() -> None:
    assert set(get_args(ActivationName)) - {"softmax", "log_softmax"} == set(NAMES)


def test_values_at_known_points() -> None:
    x = np.array([-1.0, 0.0, math.log(3.0)])
    third = math.log(3.0)
    expected: dict[ActivationName, list[float]] = {
        "sigmoid": [1 / (1 + math.e), 0.5, 0.75],
        "elu": [1 / math.e - 1, 0.0, third],
        "softplus": [math.log(1 + 1 / math.e), math.log(2), math.log(4)],
        "softsign": [-0.5, 0.0, third / (1 + third)],
        "hard_sigmoid": [1 / 3, 0.5, (third + 3) / 6],
        "hard_sigmoid_keras_2": [0.3, 0.5, 0.2 * third + 0.5],
        "leaky_relu": [-0.2, 0.0, third],
        "selu": [1.0507009873554805 * 1.6732632423543772 * (1 / math.e - 1), 0.0, 1.0507009873554805 * third],
        "gelu": [-0.15865525393145707, 0.0, third * (1 + math.erf(third / math.sqrt(2))) / 2],
        "silu": [-1 / (1 + math.e), 0.0, 0.75 * third],
        "exponential": [1 / math.e, 1.0, 3.0],
        "celu": [1 / math.e - 1, 0.0, third],
        "hard_silu": [-1 / 3, 0.0, third * (third + 3) / 6],
        "hard_tanh": [-1.0, 0.0, 1.0],
        "log_sigmoid": [-math.log(1 + math.e), -math.log(2), math.log(0.75)],
        "mish": [-math.tanh(math.log(1 + 1 / math.e)), 0.0, third * 15 / 17],
        "relu6": [0.0, 0.0, third],
        "soft_shrink": [-0.5, 0.0, third - 0.5],
        "sparse_plus": [0.0, 0.25, third],
        "sparse_sigmoid": [0.0, 0.5, 1.0],
        "squareplus": [(math.sqrt(5) - 1) / 2, 1.0, (third + math.sqrt(third**2 + 4)) / 2],
        "tanh_shrink": [math.tanh(1) - 1, 0.0, third - 0.8],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(values, activate(name, x), rtol=1e-15, atol=1e-16, err_msg=name)
    assert activate("relu", np.array([-1.0, 2.0])).tolist() == [0.0, 2.0]
    np.testing.assert_allclose([[0.25, 0.75]], activate("softmax", np.array([[0.0, third]])), rtol=1e-15)
    logarithms = np.log([[0.25, 0.75]])
    np.testing.assert_allclose(logarithms, activate("log_softmax", np.array([[0.0, third]])), rtol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_derivatives_and_steepest_slopes(name: ActivationName) -> None:
    activation, step = ACTIVATIONS[name], 1e-6
    differences = (activation.value(POINTS + step) - activation.value(POINTS - step)) / (2 * step)
    derivatives = activation.derivative(POINTS)
    np.testing.assert_allclose(differences, derivatives, rtol=1e-6, atol=1e-7)
    assert np.abs(derivatives).max() <= activation.slope
    if math.isfinite(activation.slope):
        assert np.abs(derivatives).max() > 0.99 * activation.slope


@pytest.mark.parametrize("name", NAMES)
def test_nan_gives_nan_and_large_inputs_do_not(name: ActivationName) -> None:
    assert np.isnan(activate(name, np.array([np.nan]))).all()
    assert not np.isnan(activate(name, np.array([-800.0, 800.0]))).any()


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_covers_an_error_that_is_carried_on(name: ActivationName) -> None:
    rng = np.random.default_rng(0)
    error = rng.uniform(0, 0.1, POINTS.shape)
    points = np.clip(POINTS, -30, 5) if name == "exponential" else POINTS
    moved = activate(name, points + error * rng.choice([-1.0, 1.0], points.shape))
    # The difference of two float64 numbers of up to 30 is itself off by 2^-49.
    assert (np.abs(moved - activate(name, points)) <= activation_error(name, points, error) + 2.0**-48).all()


@pytest.mark.train
@pytest.mark.parametrize("name", NAMES)
def test_the_allowance_covers_the_installed_runtimes(name: ActivationName) -> None:
    """Checks four million numbers; `bench/proof/activations.py` checks the whole range."""
    tf = pytest.importorskip("tensorflow", reason="needs the [train] extra")
    import onnxruntime as ort
    import tf2onnx

    from rnnx.keras_models.keras_2_activations import find_activation
    from rnnx.rewrites.missing_functions import replace_missing

    function = find_activation(name)
    signature = [tf.TensorSpec((None,), tf.float32, name="x")]
    with tf.device("/CPU:0"):
        traced = tf.function(lambda x: tf.identity(function(x)), input_signature=signature)
        model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=13)
    data = replace_missing(model).SerializeToString()
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    x = np.linspace(-40, 40, 4_000_001).astype(np.float32)
    exact = x.astype(np.float64)
    expected, bound = activate(name, exact), activation_error(name, exact, np.zeros_like(exact))
    for actual in (session.run(None, {"x": x})[0], np.asarray(function(tf.constant(x)))):
        assert (np.abs(expected - actual) <= bound).all()
