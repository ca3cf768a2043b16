"""The derivatives of the layers that are not recurrent, by finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.reference import Embedding, Layer, RepeatVector, Reshape, Tensor
from rnnx.rounding.layer_gradients import pass_back
from tests.rounding.test_layer_bounds import FEATURES, LAYERS, draw

CASES: dict[str, tuple[Layer, int]] = LAYERS


@pytest.mark.parametrize("name", CASES)
def test_the_derivative_is_that_of_finite_differences(name: str) -> None:
    layer, count = CASES[name]
    rng = np.random.default_rng(3)
    mask = np.array([[True, False, True, True, False], [True] * 5])
    inputs = [Tensor(rng.normal(size=(2, 5, FEATURES)), mask) for _ in range(count)]
    check(layer, inputs)


@pytest.mark.parametrize("layer", [RepeatVector(3), Reshape((2, 3))])
def test_the_derivative_behind_the_last_state(layer: Layer) -> None:
    check(layer, [Tensor(draw(2, FEATURES))])


def check(layer: Any, inputs: list[Tensor]) -> None:
    output, step = layer(*inputs), 1e-6
    gradient = np.random.default_rng(4).normal(size=output.values.shape)
    passed = pass_back(layer, inputs, output, gradient)
    assert len(passed) == len(inputs)
    for i, x in enumerate(inputs):
        differences = np.zeros_like(x.values)
        for at in np.ndindex(x.values.shape):
            ends = []
            for by in (step, -step):
                moved = x.values.copy()
                moved[at] += by
                ends.append((layer(*inputs[:i], Tensor(moved, x.mask), *inputs[i + 1 :]).values * gradient).sum())
            differences[at] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(differences, passed[i], rtol=1e-5, atol=1e-7)


def test_nothing_passes_an_embedding() -> None:
    layer, ids = Embedding(draw(4, 2), mask_zero=False), Tensor(np.array([[1.0, 2.0]]))
    (passed,) = pass_back(layer, [ids], layer(ids), np.ones((1, 2, 2)))
    assert passed.tolist() == [[0.0, 0.0]]
