"""Builds Keras networks for the tests that read, convert and export them; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

# One row each: zeros in front, at the end, between, nowhere, and after a single word.
IDS = np.array(
    [[0, 0, 3, 4, 5, 6], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [2, 0, 0, 0, 0, 0]], np.int32
)


def build(*body: keras.Layer, mask_zero: bool = False) -> keras.Model:
    """Puts layers on an embedding of twelve ids, and draws all weights, biases included."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Sequential([ids, layers.Embedding(12, 5, mask_zero=mask_zero), *body])
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in model.get_weights()])
    return model


def states(units: int, **options: object) -> keras.Layer:
    """Returns a SimpleRNN that returns all its states."""
    return layers.SimpleRNN(units, return_sequences=True, **options)


def detectors(units: int = 5, activation: str = "relu", **options: object) -> keras.Layer:
    """Returns a Dense at each position, as the shipped models have before their maximum."""
    # A bias that is not zero shows what padding adds to a maximum.
    bias = keras.initializers.RandomNormal(seed=3)
    return layers.Dense(units, activation=activation, bias_initializer=bias, name="detectors", **options)


MODELS: dict[str, Callable[[bool], keras.Model]] = {
    "last state": lambda m: build(layers.SimpleRNN(4), layers.Dense(1, "sigmoid"), mask_zero=m),
    "all states": lambda m: build(layers.SimpleRNN(4, return_sequences=True), mask_zero=m),
    "stacked": lambda m: build(
        layers.SimpleRNN(4, return_sequences=True), layers.SimpleRNN(3), layers.Dense(3, "softmax"), mask_zero=m
    ),
    "backwards": lambda m: build(layers.SimpleRNN(4, go_backwards=True, return_sequences=True), mask_zero=m),
    "backwards, mean": lambda m: build(
        layers.SimpleRNN(4, go_backwards=True, return_sequences=True), layers.GlobalAveragePooling1D(), mask_zero=m
    ),
    "backwards, stacked, mean": lambda m: build(
        layers.SimpleRNN(4, return_sequences=True),
        layers.SimpleRNN(3, go_backwards=True, return_sequences=True),
        layers.GlobalAveragePooling1D(),
        mask_zero=m,
    ),
    "zero outputs": lambda m: build(layers.SimpleRNN(4, return_sequences=True, zero_output_for_mask=True), mask_zero=m),
    "zero outputs, last": lambda m: build(layers.SimpleRNN(4, zero_output_for_mask=True), mask_zero=m),
    "both directions, all": lambda m: build(
        layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True)), layers.GlobalAveragePooling1D(), mask_zero=m
    ),
    "both directions, last": lambda m: build(layers.Bidirectional(layers.SimpleRNN(4)), mask_zero=m),
    "both directions, stacked": lambda m: build(
        layers.Bidirectional(layers.SimpleRNN(4, return_sequences=True)),
        layers.Bidirectional(layers.SimpleRNN(2, return_sequences=True)),
        mask_zero=m,
    ),
    "maximum": lambda m: build(layers.SimpleRNN(4, return_sequences=True), layers.GlobalMaxPooling1D()),
    "relu, no bias": lambda m: build(
        layers.SimpleRNN(4, activation="relu", use_bias=False), layers.Dense(2, use_bias=False), mask_zero=m
    ),
    "at every position": lambda m: build(
        layers.SimpleRNN(4, return_sequences=True), layers.Dropout(0.5), layers.Dense(3, "softmax"), mask_zero=m
    ),
}

CELL_KINDS: dict[str, tuple[type, dict[str, Any]]] = {
    "LSTM": (layers.LSTM, {}),
    "GRU": (layers.GRU, {}),
    "GRU, reset before": (layers.GRU, {"reset_after": False}),
}


def make_cell(kind: str, units: int = 4, **settings: Any) -> keras.Layer:
    """Returns a layer of the given kind; settings that the kind does not have are left out."""
    layer, own = CELL_KINDS[kind]
    return layer(units, **own, **{k: v for k, v in settings.items() if layer is layers.LSTM or k != "unit_forget_bias"})


def build_cells(kind: str, mask_zero: bool) -> keras.Model:
    """Builds a bidirectional layer, and a layer that reads its states backwards."""
    both = layers.Bidirectional(make_cell(kind, 3, return_sequences=True))
    return build(both, make_cell(kind, go_backwards=True), mask_zero=mask_zero)
