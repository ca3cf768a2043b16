"""Tests the bounds of layers that are not recurrent: float32 computations keep them, and wrong ones break them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnx.reference import Array, BatchNormalization, Layer, LayerNormalization, Merge, RepeatVector, Tensor, is_jump
from rnnx.rounding.layer_bounds import output_error
from tests.layers import BATCH, FEATURES, LAYER, LAYERS, RECURRENT_LAYERS, draw

F = np.float32


def on_grid(x: Array, bits: int) -> Array:
    """Rounds to a grid on which the sum of two numbers is exact in float64."""
    return np.asarray(np.round(x * 2.0**bits) / 2.0**bits)


@pytest.mark.parametrize("name", LAYERS)
def test_inherited_errors_stay_within_the_bound(name: str) -> None:
    case = LAYERS[name]
    layer: Any = case.layer
    rng = np.random.default_rng(1)
    for size in (1e-6, 1e-3):
        for _ in range(20):
            inputs = [Tensor(on_grid(case.draw(rng), 20), rng.random(case.shape[:2]) < 0.7) for _ in range(case.count)]
            largest = 0.0 if case.reads_ids else size
            errors = [on_grid(rng.uniform(0, largest, case.shape), 40) for _ in range(case.count)]
            moved = [
                Tensor(x.values + e * rng.choice([-1.0, 1.0], e.shape), x.mask)
                for x, e in zip(inputs, errors, strict=True)
            ]
            exact, off = layer(*inputs), layer(*moved)
            bound = output_error(layer, inputs, errors, exact)
            is_number = np.isfinite(exact.values)  # the mean of a fully masked row is NaN
            assert (np.abs(off.values - exact.values) <= bound)[is_number].all()
            # Of a jump, it is as large as the jump: `tests/primitives/test_comparisons.py` has more.
            is_far = is_jump(layer) or (bound[is_number] < 1000 * size).all()
            assert is_far  # the bound is not too large to say anything


def layer_normalizations(layer: LayerNormalization, x: np.ndarray) -> dict[str, np.ndarray]:
    """Computes it in three ways, rounded after each operation: as Keras, textbooks and a fused kernel do."""
    assert layer.gamma is not None
    assert layer.beta is not None
    gamma, beta, epsilon = layer.gamma.astype(F), layer.beta.astype(F), F(layer.epsilon)
    mean = x.mean(axis=-1, keepdims=True, dtype=F)
    centred = x - mean
    inverse = F(1) / np.sqrt((centred * centred).mean(axis=-1, keepdims=True, dtype=F) + epsilon)
    squares = (x * x).mean(axis=-1, keepdims=True, dtype=F)
    fused = np.sqrt(squares - mean * mean + epsilon)
    scale = inverse * gamma
    return {
        "keras": x * scale + (-mean * scale + beta),
        "textbook": centred * inverse * gamma + beta,
        "fused": centred / fused * gamma + beta,
    }


def batch_normalizations(layer: BatchNormalization, x: np.ndarray) -> dict[str, np.ndarray]:
    """Computes it in two ways, as TensorFlow and textbooks do."""
    assert layer.gamma is not None
    assert layer.beta is not None
    mean, variance, gamma, beta = (v.astype(F) for v in (layer.mean, layer.variance, layer.gamma, layer.beta))
    scale = F(1) / np.sqrt(variance + F(layer.epsilon)) * gamma
    return {"folded": x * scale + (beta - mean * scale), "textbook": (x - mean) * scale + beta}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.sampled_from([0.0, 1.0, 30.0]))
def test_a_normalization_keeps_its_bound_in_any_formulation(seed: int, features: int, offset: float) -> None:
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> Array:
        return rng.normal(size=shape).astype(F).astype(np.float64)

    x = (some(4, features) + offset).astype(F)
    ways: list[tuple[Layer, dict[str, np.ndarray]]] = []
    by_layer = LayerNormalization(some(features), some(features), 1e-3)
    ways.append((by_layer, layer_normalizations(by_layer, x)))
    by_batch = BatchNormalization(some(features), np.abs(some(features)), some(features), some(features), 1e-3)
    ways.append((by_batch, batch_normalizations(by_batch, x)))
    for layer, results in ways:
        given_x = Tensor(x.astype(np.float64))
        exact = layer(given_x)
        bound = output_error(layer, [given_x], [np.zeros(x.shape)], exact)
        for way, actual in results.items():
            assert actual.dtype == F
            assert (np.abs(exact.values - actual) <= bound).all(), way


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 9))
def test_a_merge_keeps_its_bound(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    stacked = rng.normal(size=(count, 50)).astype(F)
    results: dict[str, Callable[[], np.ndarray]] = {
        "add": lambda: np.add.reduce(stacked, axis=0),
        "multiply": lambda: np.multiply.reduce(stacked, axis=0),
        "average": lambda: np.add.reduce(stacked, axis=0) * (F(1) / F(count)),
    }
    inputs = [Tensor(x.astype(np.float64)) for x in stacked]
    for name, compute in results.items():
        layer = Merge(name)  # type: ignore[arg-type]  # every key is an operation
        exact = layer(*inputs)
        bound = output_error(layer, inputs, [np.zeros(50)] * count, exact)
        assert (np.abs(exact.values - compute()) <= bound).all()


@pytest.mark.parametrize("change", ["epsilon", "gamma", "beta"])
def test_a_wrong_normalization_breaks_its_bound(change: str) -> None:
    x = Tensor(draw(3, FEATURES))
    for layer in (BATCH, LAYER):
        settings = dict(vars(layer))
        settings[change] = settings[change] * (1 + 1e-4) if change != "epsilon" else settings[change] * 1.1
        off = type(layer)(**settings)(x).values
        exact = layer(x)
        bound = output_error(layer, [x], [np.zeros((3, FEATURES))], exact)
        assert (np.abs(exact.values - off) > bound).any()


def test_equal_features_are_still_bounded() -> None:
    """Their variance is zero, so only epsilon keeps the inverse root finite."""
    x = Tensor(np.full((1, FEATURES), 3.0))
    bound = output_error(LAYER, [x], [np.zeros((1, FEATURES))], LAYER(x))
    assert np.isfinite(bound).all()
    tiny = LayerNormalization(LAYER.gamma, LAYER.beta, 1e-12)
    assert np.isinf(
        output_error(tiny, [x], [np.zeros((1, FEATURES))], tiny(x))
    ).all()  # with so small an epsilon, float32 may give anything


def test_a_repeated_row_inherits_its_error() -> None:
    x, error = Tensor(draw(2, 3)), np.abs(draw(2, 3))
    bound = output_error(RepeatVector(4), [x], [error], RepeatVector(4)(x))
    np.testing.assert_array_equal(np.stack([error] * 4, axis=1), bound)


@pytest.mark.parametrize("layer", RECURRENT_LAYERS.values(), ids=RECURRENT_LAYERS)
def test_a_recurrent_layer_is_refused_here(layer: Layer) -> None:
    x = Tensor(draw(2, 5, FEATURES))
    with pytest.raises(TypeError, match=f"no rounding bound for {type(layer).__name__} here"):
        output_error(layer, [x], [np.zeros_like(x.values)], layer(x))


def test_an_unknown_layer_is_a_programming_error() -> None:
    with pytest.raises(TypeError, match="'object' object is not callable"):
        output_error(object(), [Tensor(np.zeros(1))], [np.zeros(1)], Tensor(np.zeros(1)))  # type: ignore[arg-type]
