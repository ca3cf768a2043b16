"""Tests that padding is found where an activation may hide it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnnx.reference import (
    ApplyFunction,
    CombineNumber,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    Layer,
    Network,
    Node,
    Reduce,
    SimpleRNN,
)

RNG = np.random.default_rng(1)
MEAN = Reduce("mean", (1,), keepdims=False)  # counts padding, as an operation of Keras does

# The layers between the states and the mean, made of the number of units.
HIDING: dict[str, Callable[[int], list[Layer]]] = {
    "a negative bias": lambda units: [Dense(3.0 * RNG.normal(size=(units, 1)), np.array([-0.3]), "relu")],
    "a positive bias": lambda units: [Dense(3.0 * RNG.normal(size=(units, 1)), np.array([0.3]), "relu")],
    "a negative factor": lambda units: [
        Dense(3.0 * RNG.normal(size=(units, 1)), np.array([0.3]), "linear"),
        CombineNumber("multiply", -1.0, is_first=False),
        ApplyFunction("relu"),
    ],
    "a large constant": lambda units: [
        Dense(9.0 * RNG.normal(size=(units, 2)), np.array([-0.1, 0.2]), "linear"),
        CombineNumber("subtract", 5.0, is_first=False),
        ApplyFunction("relu"),
    ],
}


def over_states(units: int, *layers: Layer) -> Network:
    """Puts layers on the states of a masked embedding."""
    table = Embedding(RNG.normal(size=(9, 4)), mask_zero=True)
    weights = RNG.normal(size=(4, units)), RNG.normal(size=(units, units)), RNG.normal(size=units)
    every: list[Any] = [table, SimpleRNN(*weights, "tanh", return_sequences=True), *layers]
    return Network([Node(str(i), layer, (str(i - 1) if i else "ids",)) for i, layer in enumerate(every)])


@pytest.mark.parametrize("units", [1, 2, 6, 32])
@pytest.mark.parametrize("name", HIDING)
def test_a_mean_that_counts_padding_is_found_after_a_relu(name: str, units: int) -> None:
    network = over_states(units, *HIDING[name](units), MEAN)
    assert not network.masks_zero


@pytest.mark.parametrize("units", [1, 2, 6, 32])
@pytest.mark.parametrize("name", HIDING)
def test_a_mean_that_heeds_the_mask_reads_no_padding(name: str, units: int) -> None:
    layers = [layer for layer in HIDING[name](units) if isinstance(layer, Dense)]
    assert over_states(units, *layers, GlobalAveragePooling1D()).masks_zero


def test_weights_that_overflow_are_no_padding() -> None:
    growing: list[Layer] = [Dense(RNG.normal(size=(4, 4)), np.zeros(4), "exponential") for _ in range(3)]
    assert over_states(4, *growing, GlobalAveragePooling1D()).masks_zero
