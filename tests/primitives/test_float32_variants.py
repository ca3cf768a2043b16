"""Tests that float32 computations keep the bounds in all the ways in which runtimes order and fuse them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.primitives import Array
from rnnx.primitives.float32 import SMALLEST_NORMAL
from rnnx.reference import GRU, Dense, GlobalAveragePooling1D, LayerNormalization, Rescaling, SimpleRNN, Tensor
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.recurrent_bounds import step_bound

F = np.float32
Float32: Any = npt.NDArray[np.float32]


def draw(seed: int, *shape: int, scale: float = 1.0) -> Array:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(F).astype(np.float64)


def largest_ratio(layer: Any, x: Array, actual: Float32) -> float:
    """Returns the largest difference of a float32 computation to a layer, divided by the bound."""
    assert actual.dtype == F
    output = layer(Tensor(x))
    bound = output_error(layer, [Tensor(x)], [np.zeros_like(x)], output)
    return float((np.abs(output.values - actual) / bound).max())


def one_by_one(terms: Float32) -> Float32:
    """Sums along the first axis, in order, rounded after each addition."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def pairwise(terms: Float32) -> Float32:
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return pairwise(terms[:half]) + pairwise(terms[half:])


def shuffled(terms: Float32) -> Float32:
    return one_by_one(terms[np.random.default_rng(5).permutation(len(terms))])


ORDERS = {
    "bias last": one_by_one,
    "bias first": lambda terms: one_by_one(terms[::-1]),
    "pairwise": pairwise,
    "shuffled": shuffled,
}
every_order = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)


@every_order
@pytest.mark.parametrize("size", [0.0, 1.0, 1e4])
def test_a_dense_in_any_order(order: Callable[[Float32], Float32], size: float) -> None:
    """With a large bias, each further addition rounds to the grid of the bias."""
    layer = Dense(draw(0, 300, 8), draw(1, 8, scale=size), "linear")
    x = draw(2, 20, 300)
    for row in x:
        products = (row[:, None] * layer.kernel).astype(F)
        actual = order(np.concatenate([products, layer.bias.astype(F)[None]]))
        assert largest_ratio(layer, row[None], actual[None]) <= 1


@every_order
def test_a_step_of_a_recurrence_in_any_order(order: Callable[[Float32], Float32]) -> None:
    layer = SimpleRNN(draw(0, 40, 8), draw(1, 8, 8), draw(2, 8, scale=1e3), "linear", return_sequences=True)
    for seed in range(20):
        x, h = draw(seed, 40), draw(seed + 100, 8)
        terms = [x[:, None] * layer.kernel, h[:, None] * layer.recurrent_kernel, layer.bias[None]]
        actual = order(np.concatenate(terms).astype(F))
        assert (np.abs(layer.step(x, h) - actual) <= step_bound(layer, x, h, np.zeros_like(x))).all()


def test_a_mix_of_a_gru_in_both_forms() -> None:
    """With z near 1, the form k + z (h - k) cancels."""
    bias = draw(2, 2, 24)
    bias[0, :8] = 8.0
    layer = GRU(draw(0, 5, 24), draw(1, 8, 24), bias, "tanh", return_sequences=True)
    for seed in range(50):
        x, h = draw(seed, 5), np.tanh(draw(seed + 100, 8)).astype(F).astype(np.float64)
        sums_x, sums_h = x @ layer.kernel + bias[0], h @ layer.recurrent_kernel + bias[1]
        z, r = (1 / (1 + np.exp(-(sums_x + sums_h)[part])) for part in (slice(8), slice(8, 16)))
        k = np.tanh(sums_x[16:] + r * sums_h[16:]).astype(F)
        z, before = z.astype(F), h.astype(F)
        bound = step_bound(layer, x, h, np.zeros_like(x))
        for actual in (z * before + (F(1) - z) * k, k + z * (before - k)):
            assert actual.dtype == F
            assert (np.abs(layer.step(x, h) - actual) <= bound).all()


@pytest.mark.parametrize("offset", [0.0, 30.0])
def test_a_layer_normalization_folded_and_in_one_pass(offset: float) -> None:
    layer = LayerNormalization(draw(0, 64), draw(1, 64), 1e-3)
    assert layer.gamma is not None
    assert layer.beta is not None
    gamma, beta = layer.gamma.astype(F), layer.beta.astype(F)
    for seed in range(20):
        x = (draw(seed, 4, 64) + offset).astype(F)
        mean = x.mean(axis=-1, keepdims=True, dtype=F)
        two_passes = ((x - mean) ** 2).mean(axis=-1, keepdims=True, dtype=F)
        one_pass = (x * x).mean(axis=-1, keepdims=True, dtype=F) - mean * mean
        for squares in (two_passes, one_pass):
            scale = F(1) / np.sqrt(squares + F(1e-3)) * gamma
            for actual in ((x - mean) * scale + beta, x * scale + (beta - mean * scale)):
                assert largest_ratio(layer, x.astype(np.float64), actual) <= 1


def test_a_mean_with_a_rounded_factor() -> None:
    x = draw(0, 3, 300, 4)
    total = one_by_one(x.astype(F).swapaxes(0, 1))
    for actual in (total / F(300), total * (F(1) / F(300))):
        assert largest_ratio(GlobalAveragePooling1D(), x, actual) <= 1


def test_a_rescaling_with_rounded_constants() -> None:
    x = draw(0, 3, 50)
    assert largest_ratio(Rescaling(1 / 255, -0.3), x, x.astype(F) * F(1 / 255) + F(-0.3)) <= 1


@pytest.mark.parametrize("size", [1e-40, 1e-38, 1e-36])
def test_a_runtime_that_flushes_small_numbers_to_zero(size: float) -> None:
    """Kernels of 1e-40 are below the smallest normal number, so such a runtime takes them for 0."""

    def flushed(x: Float32) -> Float32:
        return np.where(np.abs(x) < SMALLEST_NORMAL, F(0), x)

    rng = np.random.default_rng(0)
    kernel = (rng.normal(size=(30, 8)) * size).astype(F).astype(np.float64)
    layer = Dense(kernel, np.zeros(8), "linear")
    recurrent = SimpleRNN(kernel, kernel[:8], np.zeros(8), "tanh", return_sequences=True)
    for scale in (1.0, 100.0):
        x = draw(1, 1, 30, scale=scale)
        products = flushed(flushed(x[0].astype(F))[:, None] * flushed(kernel.astype(F)))
        total = flushed(products[0])
        for product in products[1:]:
            total = flushed(total + product)
        assert largest_ratio(layer, x, total[None]) <= 1
        h = np.zeros(8)
        bound = step_bound(recurrent, x[0], h, np.zeros(30))
        assert (np.abs(recurrent.step(x[0], h) - flushed(np.tanh(total))) <= bound).all()


def test_the_term_for_underflow_does_not_move_ordinary_bounds() -> None:
    layer, x = Dense(draw(0, 30, 8), draw(1, 8), "linear"), draw(2, 4, 30)
    bound = output_error(layer, [Tensor(x)], [np.zeros_like(x)], layer(Tensor(x)))
    n = len(layer.kernel) + 1
    u = 2.0**-24
    expected = n * u / (1 - n * u) * (np.abs(x) @ np.abs(layer.kernel) + np.abs(layer.bias))
    np.testing.assert_allclose(expected, bound, rtol=1e-15)
