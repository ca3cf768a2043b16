"""Tests the derivatives of recurrences against finite differences of the reference."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np
import pytest

from rnnx.primitives import Trace, exact, track
from rnnx.primitives.operands import settle
from rnnx.reference import ActivationName, Array, ConvLSTM, Mask, RecurrentLayer, SimpleRNN, Tensor, activate
from rnnx.rounding.through_time import error_through_time, linearize, through_time
from tests.layers import CELLS, draw, draw_cell

BY = 1e-6
MASK = np.array([[True, True, False, True, True, False], [False, True, True, True, True, True]])
SETTINGS: list[dict[str, Any]] = [
    {},
    {"return_sequences": False, "go_backwards": True},
    {"activation": "softsign", "recurrent_activation": "hard_sigmoid", "zero_output_for_mask": True},
]
# Takes a step, the number of an operation and its rounding; returns what to add to its result.
Disturb: TypeAlias = Callable[[int, int, Array], Array]
LAYERS: dict[str, RecurrentLayer] = {
    **{name: draw_cell(name, 3, 4) for name in CELLS},
    "simple": SimpleRNN(draw(3, 4), draw(4, 4), draw(4), "tanh", return_sequences=True),
    "simple, linear": SimpleRNN(draw(3, 4), draw(4, 4) * 0.5, draw(4), "linear", return_sequences=True),
}


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


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_the_derivative_of_a_recurrence_of_images_equals_finite_differences(padding: Literal["same", "valid"]) -> None:
    layer = ConvLSTM(
        draw(2, 2, 1, 8),
        draw(3, 2, 2, 8) * 0.5,
        draw(8),
        "tanh",
        return_sequences=True,
        go_backwards=True,
        image=(3, 4),
        strides=(1, 2),
        padding=padding,
    )
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 4, 12))
    gradient = rng.normal(size=layer(Tensor(x)).values.shape)
    _, d_x = through_time(layer, Tensor(x), gradient)
    for t, number in np.ndindex(4, 12):
        ends = []
        for by in (BY, -BY):
            moved = x.copy()
            moved[:, t, number] += by
            ends.append(weighted(layer, moved, gradient, None))
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * BY), d_x[:, t, number], rtol=1e-5, atol=1e-7)


def run_disturbed(layer: RecurrentLayer, x: Array, mask: Mask | None, disturb: Disturb | None) -> Array:
    """Runs a recurrence step by step; at each step, the results of the operations are moved as `disturb` says."""
    states = [np.zeros((len(x), layer.units))] * layer.carried_count
    outputs = []
    for t in range(x.shape[1]):
        trace = Trace(in_recurrence=True, disturb=disturb and partial(disturb, t))
        new = layer.advance(track(trace, x[:, t]), tuple(track(trace, state) for state in states))
        settle(*new)
        is_read = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        states = [np.where(is_read, exact(after), before) for after, before in zip(new, states, strict=True)]
        outputs.append(states[0])
    return np.stack(outputs, axis=1)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_the_sum_over_all_roundings_equals_finite_differences(layer: RecurrentLayer, masked: bool) -> None:
    """Each operation at each step is moved alone, with all consequences."""
    x, gradient = example(layer)
    mask = MASK if masked else None
    total, _ = through_time(layer, Tensor(x, mask), gradient)
    roundings: dict[tuple[int, int], Array] = {}

    def record(t: int, number: int, rounding: Array) -> Array:
        roundings[t, number] = rounding
        return np.zeros_like(rounding)

    np.testing.assert_array_equal(layer.states(Tensor(x, mask)), run_disturbed(layer, x, mask, record))
    moves = [
        (t, number, unit, by, rounding[:, unit])
        for (t, number), rounding in roundings.items()
        for unit in range(rounding.shape[1])
        for by in (BY, -BY)
    ]

    def move(t: int, number: int, rounding: Array) -> Array:
        """Makes all moves at once: each has rows of its own."""
        moved = np.zeros_like(rounding)
        for i, (at, operation, unit, by, _) in enumerate(moves):
            if (at, operation) == (t, number):
                moved[2 * i : 2 * i + 2, unit] = by
        return moved

    count = len(moves)
    many = run_disturbed(layer, np.tile(x, (count, 1, 1)), None if mask is None else np.tile(mask, (count, 1)), move)
    ends = (many.reshape(count // 2, 2, *gradient.shape) * gradient).sum(axis=(3, 4))
    expected = np.zeros(2)
    for (t, _, _, _, rounding), (up, down) in zip(moves[::2], ends, strict=True):
        counts = 1.0 if mask is None else mask[:, t]
        expected += np.abs(up - down) / (2 * BY) * rounding * counts
    np.testing.assert_allclose(expected, total, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["tanh", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu", "linear"]
)
def test_the_slope_of_an_activation_equals_finite_differences(name: ActivationName) -> None:
    """Of one step of a unit whose sum is its input."""
    x = (np.linspace(-5, 5, 51) + 0.01)[:, None, None]
    layer = SimpleRNN(np.ones((1, 1)), np.zeros((1, 1)), np.zeros(1), name, return_sequences=True)
    expected = (activate(name, x + BY) - activate(name, x - BY)) / (2 * BY)
    _, d_x = through_time(layer, Tensor(x), np.ones_like(x))
    np.testing.assert_allclose(expected, d_x, atol=1e-8)


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_a_simple_rnn_has_the_right_derivative(activation: ActivationName) -> None:
    rng = np.random.default_rng(0)
    layer = SimpleRNN(rng.normal(size=(3, 4)), rng.normal(size=(4, 4)), rng.normal(size=4), activation, True)
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
