"""Tests the derivatives of recurrences against finite differences of the reference."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rnnx.reference import ActivationName, Array, Mask, RecurrentLayer, SimpleRNN, Tensor, activate
from rnnx.rounding.recurrent_bounds import Inexact, gru_bound, lstm_gates, states_before
from rnnx.rounding.through_time import error_through_time, linearize, slope, through_time
from tests.layers import CELLS, draw_cell

BY = 1e-6
MASK = np.array([[True, True, False, True, True, False], [False, True, True, True, True, True]])
SETTINGS: list[dict[str, Any]] = [
    {},
    {"return_sequences": False, "go_backwards": True},
    {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "zero_output_for_mask": True},
]


def example(layer: RecurrentLayer, seed: int = 3) -> tuple[Array, Array]:
    """Returns inputs, and the gradient of a weighted sum of all outputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2, 6, 3)) * 0.5
    return x, rng.normal(size=layer(Tensor(x, MASK)).values.shape)


def weighted(layer: RecurrentLayer, x: Array, gradient: Array, mask: Mask | None) -> Array:
    values = layer(Tensor(x, mask)).values * gradient
    return np.asarray(values.reshape(len(values), -1).sum(axis=1))


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("settings", SETTINGS, ids=["all", "last, backwards", "hard, zeros"])
@pytest.mark.parametrize("name", CELLS)
def test_the_derivative_by_the_inputs_equals_finite_differences(
    name: str, settings: dict[str, Any], masked: bool
) -> None:
    layer = draw_cell(name, 3, 4, **settings)
    x, gradient = example(layer)
    mask = MASK if masked else None
    _, d_x = through_time(layer, Tensor(x, mask), gradient)
    for t, feature in np.ndindex(6, 3):
        ends = []
        for by in (BY, -BY):
            moved = x.copy()
            moved[:, t, feature] += by
            ends.append(weighted(layer, moved, gradient, mask))
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * BY), d_x[:, t, feature], rtol=1e-5, atol=1e-7)


def bump(layer: RecurrentLayer, step: int, result: int, unit: int, by: float) -> RecurrentLayer:
    """Returns the layer with one result at one step wrong by `by`, with all consequences."""
    kind = type(layer)
    now = [0]

    class Moved(kind):  # type: ignore[misc, valid-type]  # the class of the layer
        def advance(self, x_t: Array, carried: tuple[Array, ...]) -> tuple[Array, ...]:
            new = list(super().advance(x_t, carried))
            if now[0] == step:
                if result == 1:  # an error in the cell state changes the state of the same step
                    _, _, _, o = self.gates(x_t, carried[0])
                    new[1] = new[1] + by * np.eye(self.units)[unit]
                    new[0] = o * activate(self.activation, new[1])
                else:
                    new[0] = new[0] + by * np.eye(self.units)[unit]
            now[0] += 1
            return tuple(new)

    return Moved(**{field.name: getattr(layer, field.name) for field in dataclasses.fields(layer)})


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", CELLS)
def test_the_sum_over_all_roundings_equals_finite_differences(name: str, masked: bool) -> None:
    layer = draw_cell(name, 3, 4)
    x, gradient = example(layer)
    mask = MASK if masked else None
    total, _ = through_time(layer, Tensor(x, mask), gradient)
    carried = layer.carried(Tensor(x, mask))
    before, exact = states_before(carried[0]), np.zeros_like(x)
    if layer.carried_count == 1:
        bounds = [gru_bound(layer, x, before, exact)]  # type: ignore[arg-type]  # it is one
    else:
        steps = lstm_gates(layer, x, before, exact)  # type: ignore[arg-type]  # it is one
        c_before = states_before(carried[1])
        cell_states = [steps.memory(t, Inexact(c_before[:, t], np.zeros((2, 4)))) for t in range(6)]
        c = Inexact(np.stack([m.value for m in cell_states], axis=1), np.zeros((2, 6, 4)))
        bounds = [steps.state(layer.activation, c).error, np.stack([m.error for m in cell_states], axis=1)]
    expected = np.zeros(2)
    for result, bound in enumerate(bounds):
        for t, unit in np.ndindex(6, 4):
            up, down = (weighted(bump(layer, t, result, unit, by), x, gradient, mask) for by in (BY, -BY))
            counts = 1.0 if mask is None else mask[:, t]
            expected += np.abs(up - down) / (2 * BY) * bound[:, t, unit] * counts
    np.testing.assert_allclose(expected, total, rtol=1e-5)


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu"])
def test_the_slope_of_an_activation_equals_finite_differences(name: ActivationName) -> None:
    x = np.linspace(-5, 5, 51) + 0.01
    expected = (activate(name, x + BY) - activate(name, x - BY)) / (2 * BY)
    np.testing.assert_allclose(expected, slope(name, activate(name, x)), atol=1e-8)


def test_a_simple_rnn_has_the_right_derivative() -> None:
    rng = np.random.default_rng(0)
    layer = SimpleRNN(rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4), "tanh", True)
    x, gradient = example(layer)
    _, d_x = through_time(layer, Tensor(x, MASK), gradient)
    moved = x.copy()
    moved[:, 1, 2] += BY
    slope_there = (weighted(layer, moved, gradient, MASK) - weighted(layer, x, gradient, MASK)) / BY
    np.testing.assert_allclose(slope_there, d_x[:, 1, 2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("settings", SETTINGS, ids=["all", "last, backwards", "hard, zeros"])
@pytest.mark.parametrize("name", CELLS)
def test_several_gradients_at_once_give_what_each_gives_alone(name: str, settings: dict[str, Any]) -> None:
    layer = draw_cell(name, 3, 4, **settings)
    x, first = example(layer)
    _, second = example(layer, 4)
    inputs = Tensor(x, MASK)
    steps = linearize(layer, inputs)
    together = through_time(layer, inputs, np.concatenate([first, second]), steps)
    alone = [through_time(layer, inputs, gradient) for gradient in (first, second)]
    for actual, *expected in zip(together, *alone, strict=True):
        np.testing.assert_allclose(np.concatenate(expected), actual, rtol=1e-14, atol=1e-16)
    np.testing.assert_array_equal(
        together[0], error_through_time(layer, inputs, np.concatenate([first, second]), steps)
    )


@pytest.mark.parametrize("name", CELLS)
def test_a_row_that_is_fully_masked_has_no_error_and_no_derivative(name: str) -> None:
    layer = draw_cell(name, 3, 4)
    x, gradient = example(layer)
    mask = np.array([[False] * 6, [True] * 6])
    total, d_x = through_time(layer, Tensor(x, mask), gradient)
    assert total[0] == 0 < total[1]
    assert not d_x[0].any()
    nothing, d_x = through_time(layer, Tensor(x[:1], mask[:1]), gradient[:1])
    assert d_x.shape == (1, 6, 3)
    assert not nothing.any()
    assert not d_x.any()
