"""Tests bounds with an adversary: every operation is off by all that it may be, with the worst signs for one result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.primitives import Array, Trace, exact, track
from rnnx.primitives.backward import go_back
from rnnx.primitives.operands import rounded
from rnnx.reference import Recurrent, Tensor
from tests.layers import FEATURES, LAYERS, RECURRENT_LAYERS

# The adversary's own results are rounded to float64, and a bound is about 1e-7 of them. Operations on weights alone
# keep their bounds while they are disturbed, which counts terms of second order twice: u of the bound.
SECOND_ORDER = 1e-8 + 2.0**-24
NUMBERS = {name: case for name, case in LAYERS.items() if not case.reads_ids}


def call(layer: Any, inputs: list[Any]) -> Any:
    """Calls a layer, or does one step of a recurrence, and returns its values or the hidden state."""
    if isinstance(layer, Recurrent):
        return layer.advance(inputs[0], tuple(inputs[1:]))[0]
    return layer(*(Tensor(x) for x in inputs)).values


def worst_signs(layer: Any, inputs: list[Array], at: tuple[int, ...]) -> dict[int, Array]:
    """Returns the sign of the derivative of one result by each operation, by its number."""
    trace = Trace(keeps_operations=True, in_recurrence=isinstance(layer, Recurrent))
    result = rounded(call(layer, [track(trace, x) for x in inputs]))
    seed = np.zeros((1, *result.shape))
    seed[0, *at] = 1.0
    gradients, signs = {result.number: seed}, {}
    for operation in reversed(trace.operations):
        if operation.number in gradients:
            signs[operation.number] = np.sign(gradients[operation.number][0])
        go_back([operation], gradients, lambda recorded: recorded)
    return signs


def worst_ratio(layer: Any, inputs: list[Array]) -> float:
    """Returns the largest difference that the adversary reaches, divided by the bound of that result."""
    is_recurrent = isinstance(layer, Recurrent)
    trace = Trace(in_recurrence=is_recurrent)
    right = rounded(call(layer, [track(trace, x) for x in inputs]))
    if right.error is None:
        return 0.0
    rng, ratios = np.random.default_rng(8), []
    for flat in rng.integers(0, right.value.size, 12):
        at = tuple(int(i) for i in np.unravel_index(flat, right.shape))
        signs = worst_signs(layer, inputs, at)
        for of_weights in (1.0, -1.0):  # the signs of operations on weights alone

            def disturb(number: int, rounding: Array, signs: Any = signs, other: float = of_weights) -> Array:
                return np.asarray(signs.get(number, other) * rounding)

            trace = Trace(keeps_operations=True, in_recurrence=is_recurrent, disturb=disturb)
            off = rounded(call(layer, [track(trace, x) for x in inputs]))
            # Where a mask leaves an exact 0, the bound is 0, too.
            difference = abs(float(off.value[at] - exact(right)[at]))
            ratios.append(difference / float(right.error[at]) if difference else 0.0)
    return max(ratios)


# A maximum and a move do not round. A bound of a product with weights is sharp only if all signs agree.
@pytest.mark.parametrize("name", NUMBERS)
def test_no_adversary_exceeds_the_bound_of_a_layer(name: str) -> None:
    case = NUMBERS[name]
    rng = np.random.default_rng(6)
    ratio = worst_ratio(case.layer, [case.draw(rng) for _ in range(case.count)])
    assert ratio <= 1 + SECOND_ORDER
    assert ratio == 0 or ratio > 0.3  # the bound is not too large to say anything


@pytest.mark.parametrize("name", RECURRENT_LAYERS)
def test_no_adversary_exceeds_the_bound_of_a_step(name: str) -> None:
    layer = RECURRENT_LAYERS[name]
    rng = np.random.default_rng(7)
    states = [rng.uniform(-1, 1, (2, layer.units)) for _ in range(layer.carried_count)]
    ratio = worst_ratio(layer, [rng.normal(size=(2, FEATURES)) * 0.3, *states])
    assert 0.3 < ratio <= 1 + SECOND_ORDER
