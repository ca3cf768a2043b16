from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnx.primitives.activations import in_recurrence
from rnnx.primitives.float32 import UNIT_ROUNDOFF, exp_roundoffs, gamma, own_error, sigmoid_roundoffs
from rnnx.reference import ActivationName, Dense, GlobalAveragePooling1D, SimpleRNN, Tensor, activate
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.recurrent_bounds import step_bound


def float32_step(layer: SimpleRNN, x: np.ndarray, h: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Computes one step in float32, rounded after each operation; the products are summed in the given order."""
    products = np.concatenate([x[:, None] * layer.kernel, h[:, None] * layer.recurrent_kernel]).astype(np.float32)
    total = np.float32(0) * products[0]
    for row in products[order]:
        total = (total + row).astype(np.float32)
    total = total + layer.bias.astype(np.float32)
    return np.asarray(np.tanh(total))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.1, 1.0, 10.0]))
def test_a_right_step_keeps_the_bound_in_any_order(seed: int, inputs: int, units: int, scale: float) -> None:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) * scale).astype(np.float32).astype(np.float64)

    layer = SimpleRNN(draw(inputs, units), draw(units, units), draw(units), "tanh", return_sequences=True)
    x, h = draw(inputs), np.tanh(draw(units)).astype(np.float32).astype(np.float64)
    actual = float32_step(layer, x, h, rng.permutation(inputs + units))
    bound = step_bound(layer, x, h, np.zeros(inputs))
    assert (np.abs(layer.step(x, h) - actual) <= bound).all()


def test_the_allowances_cover_the_functions_of_cuda() -> None:
    """NVIDIA documents 2 ulp of the correctly rounded result for tanhf and expf, so 2.5 ulp of the exact one."""
    y = np.concatenate([np.geomspace(1e-30, 1, 2000), np.linspace(0, 1, 2001)[1:]])
    ulps = 2.5 * np.spacing(y.astype(np.float32)).astype(np.float64)
    assert (ulps <= own_error(in_recurrence("tanh"), y, y)).all()
    assert (ulps <= exp_roundoffs() * UNIT_ROUNDOFF * y).all()
    # The sigmoid by its definition, and 1 - sigmoid(-x) below 0, takes an exp, a sum, a division and a difference.
    e = np.linspace(0, 1, 1001)  # exp(-|x|)
    high = 1 / (1 + e)
    error = high**2 * 2.5 * np.spacing(e.astype(np.float32)) + 2 * UNIT_ROUNDOFF * high
    assert (error + UNIT_ROUNDOFF * (1 - high) <= sigmoid_roundoffs()).all()


def test_the_approximate_tanh_of_the_hardware_would_break_the_bound() -> None:
    """PTX's tanh.approx.f32 may be wrong by 2^-11 of the result, and TF32 keeps only 11 bits of a factor."""
    rng = np.random.default_rng(0)
    kernel, recurrent_kernel, bias = (rng.normal(size=shape) / 6 for shape in ((32, 32), (32, 32), (32,)))
    layer = SimpleRNN(kernel, recurrent_kernel, bias, "tanh", return_sequences=True)
    x, h = rng.normal(size=32), rng.uniform(-1, 1, 32)
    exact, bound = layer.step(x, h), step_bound(layer, x, h, np.zeros(32))
    assert (np.abs(exact) * 2.0**-11 > 5 * bound).any()
    steps = [2.0 ** (np.floor(np.log2(np.abs(factor))) - 10) for factor in (kernel, x)]
    off = dataclasses.replace(layer, kernel=np.round(kernel / steps[0]) * steps[0]).step(
        np.round(x / steps[1]) * steps[1], h
    )
    assert (np.abs(exact - off) > 5 * bound).any()


def test_a_wrong_step_breaks_the_bound() -> None:
    rng = np.random.default_rng(0)
    layer = SimpleRNN(rng.normal(size=(8, 8)) * 0.1, rng.normal(size=(8, 8)) * 0.1, np.zeros(8), "tanh", True)
    x, h = rng.normal(size=8), rng.uniform(-1, 1, 8)
    off = np.tanh(x @ layer.kernel + h @ layer.recurrent_kernel + 1e-4)
    assert (np.abs(layer.step(x, h) - off) > step_bound(layer, x, h, np.zeros(8))).any()


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "sigmoid", "softmax"])
def test_the_bound_of_a_dense_covers_inherited_errors(activation: str) -> None:
    rng = np.random.default_rng(1)
    layer = Dense(rng.normal(size=(20, 5)), rng.normal(size=5), activation)  # type: ignore[arg-type]  # a parameter
    for _ in range(200):
        x = rng.normal(size=(1, 20))
        error = rng.uniform(0, 1e-3, (1, 20))
        exact = layer(Tensor(x))
        moved = layer(Tensor(x + error * rng.choice([-1, 1], (1, 20)))).values
        bound = output_error(layer, [Tensor(x)], [error], exact)
        assert (np.abs(exact.values - moved) <= bound).all()
        assert (bound < 0.2).all()  # the bound is not too large to say anything
    vague = output_error(layer, [Tensor(x)], [np.full((1, 20), 1e30)], exact)
    assert not np.isnan(vague).any()
    if activation in ("sigmoid", "softmax"):
        # A probability is wrong by 1 at most; that of a softmax may be anything, 0 and 1 included.
        worst = np.maximum(exact.values, 1 - exact.values) if activation == "softmax" else np.ones(5)
        assert ((worst <= vague) & (vague <= worst * 1.00001)).all()


def test_the_bound_of_a_mean_covers_float32_sums_in_any_order() -> None:
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, (1, 300, 4)).astype(np.float32)
    mask = rng.random((1, 300)) < 0.8
    tensor = Tensor(x.astype(np.float64), mask)
    exact = GlobalAveragePooling1D()(tensor)
    bound = output_error(GlobalAveragePooling1D(), [tensor], [np.zeros_like(tensor.values)], exact)
    for _ in range(20):
        total = np.zeros(4, np.float32)
        for t in rng.permutation(np.flatnonzero(mask[0])):
            total += x[0, t]
        assert (np.abs(exact.values[0] - total / np.float32(mask.sum())) <= bound[0]).all()


def test_gamma_is_the_standard_constant() -> None:
    assert gamma(1) == pytest.approx(UNIT_ROUNDOFF, rel=1e-6)
    assert gamma(1000) == pytest.approx(1000 * UNIT_ROUNDOFF / (1 - 1000 * UNIT_ROUNDOFF), rel=1e-15)


def test_the_allowance_for_activations_covers_the_installed_runtimes() -> None:
    """The errors of a runtime's tanh or sigmoid follow from no theorem, so they are measured here."""
    onnx = pytest.importorskip("onnx", reason="needs the [train] extra")
    tf = pytest.importorskip("tensorflow", reason="needs the [train] extra")
    import onnxruntime as ort

    x = np.linspace(-10, 10, 4_000_001).astype(np.float32)
    operators = {"tanh": "Tanh", "sigmoid": "Sigmoid", "softplus": "Softplus", "softsign": "Softsign", "elu": "Elu"}
    names: dict[ActivationName, str] = {**operators}  # type: ignore[dict-item]  # all keys are literals
    for name, operator in names.items():
        expected = activate(name, x.astype(np.float64))
        allowed = own_error(in_recurrence(name), np.abs(x.astype(np.float64)), np.abs(expected))
        value = onnx.helper.make_tensor_value_info
        for node, shape in (
            (onnx.helper.make_node(operator, ["x"], ["y"]), [-1]),
            # The kernel of the recurrent operators has its own functions.
            (onnx.helper.make_node("RNN", ["x", "W", "R"], ["y"], hidden_size=1, activations=[operator]), [1, -1, 1]),
        ):
            weights = [onnx.helper.make_tensor(w, 1, [1, 1, 1], [float(w == "W")]) for w in "WR"]
            rank = [None] * len(shape)
            graph = onnx.helper.make_graph([node], "g", [value("x", 1, rank)], [value("y", 1, None)], weights)
            model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
            session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            actual = session.run(None, {"x": x.reshape(shape)})[0].ravel()
            assert (np.abs(expected - actual) <= allowed).all(), (name, node.op_type)
        keras_own = getattr(tf.math, name, None) or getattr(tf.nn, name)
        assert (np.abs(expected - keras_own(x).numpy()) <= allowed).all(), name
