"""Tests the derivatives of layers that are not recurrent against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.reference import Embedding, Layer, RepeatVector, Reshape, Tensor
from rnnx.rounding.layer_gradients import pass_back
from tests.layers import FEATURES, LAYERS, RECURRENT_LAYERS, draw


# Layers that read ids are left out: ids are whole numbers, so there are no small differences.
@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if not case.reads_ids])
def test_a_derivative_equals_finite_differences(name: str) -> None:
    case = LAYERS[name]
    rng = np.random.default_rng(3)
    mask = np.ones(case.shape[:2], bool)
    mask[0, 1::3] = False
    inputs = [Tensor(case.draw(rng), mask) for _ in range(case.count)]
    check(case.layer, inputs)


@pytest.mark.parametrize("layer", [RepeatVector(3), Reshape((2, 3))])
def test_a_derivative_of_rows_equals_finite_differences(layer: Layer) -> None:
    check(layer, [Tensor(draw(2, FEATURES))])


def check(layer: Any, inputs: list[Tensor]) -> None:
    output, step = layer(*inputs), 1e-6
    gradient = np.random.default_rng(4).normal(size=output.values.shape)
    passed = pass_back(layer, inputs, gradient)
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


def test_no_gradient_passes_an_embedding() -> None:
    layer, ids = Embedding(draw(4, 2), mask_zero=False), Tensor(np.array([[1.0, 2.0]]))
    (passed,) = pass_back(layer, [ids], np.ones((1, 2, 2)))
    assert passed.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("layer", RECURRENT_LAYERS.values(), ids=RECURRENT_LAYERS)
def test_a_recurrent_layer_is_refused_here(layer: Layer) -> None:
    x = Tensor(draw(2, 5, FEATURES))
    output = layer(x)
    with pytest.raises(TypeError, match=f"no derivative of {type(layer).__name__} here"):
        pass_back(layer, [x], np.ones_like(output.values))


def test_an_unknown_layer_is_a_programming_error() -> None:
    x = Tensor(np.zeros(1))
    with pytest.raises(TypeError, match="'object' object is not callable"):
        pass_back(object(), [x], np.zeros(1))  # type: ignore[arg-type]  # not a layer
