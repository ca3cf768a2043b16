"""Exports layers of each family with each kind of recurrence, from files: the second table of the grid (`tests.grid`).

Each layer is between two recurrences, or belongs to one. Every other model has a mask.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx.errors import ModelError
from rnnx.export.forms import build_forms
from rnnx.export.probes import Probes
from rnnx.export.prove import prove
from rnnx.keras_models.plain_model import make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from tests.keras_files import through_file

KINDS: Mapping[str, Any] = {"SimpleRNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}
_CELLS = {layers.SimpleRNN: layers.SimpleRNNCell, layers.LSTM: layers.LSTMCell, layers.GRU: layers.GRUCell}
_IDS, _UNITS = 12, 4

# Builds a part on the states of a recurrence of a kind; the result is a sequence or a row.
Build = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Part:
    """A model of the second table: a layer of a family, with a kind of recurrence, with or without a mask."""

    family: str
    number: int
    kind: str
    is_masked: bool


def one(*made: Callable[[], keras.Layer]) -> Build:
    """Applies layers one after the other."""

    def build(kind: Any, x: Any) -> Any:
        for make in made:
            x = make()(x)
        return x

    return build


def of_itself(make: Callable[[], keras.Layer], **settings: Any) -> Build:
    """Applies an attention of the states to themselves."""

    def build(kind: Any, x: Any) -> Any:
        layer = make()
        is_listed = isinstance(layer, layers.Attention)  # AdditiveAttention is one too
        return layer([x, x], **settings) if is_listed else layer(x, x, **settings)

    return build


def in_recurrence(activation: str) -> Build:
    """Applies a recurrence with an activation."""
    return lambda kind, x: kind(_UNITS, activation=activation, return_sequences=True)(x)


def of_cells(count: int) -> Build:
    """Applies an RNN of cells."""

    def build(kind: Any, x: Any) -> Any:
        cells = [_CELLS[kind](_UNITS) for _ in range(count)]
        return layers.RNN(cells if count > 1 else cells[0], return_sequences=True)(x)

    return build


def with_first_states(kind: Any, x: Any) -> Any:
    """Starts a recurrence with the last states of another one."""
    _, *states = kind(_UNITS, return_state=True)(x)
    return kind(_UNITS, return_sequences=True)(x, initial_state=states)


def at_each_position(*made: Callable[[], keras.Layer]) -> Build:
    """Applies layers to an image at each position."""

    def build(kind: Any, x: Any) -> Any:
        x = layers.TimeDistributed(layers.Reshape((3, 4, 1)))(layers.Dense(12)(x))
        for make in made:
            x = layers.TimeDistributed(make())(x)
        return layers.TimeDistributed(layers.Flatten())(x)

    return build


FAMILIES: Mapping[str, tuple[Build, ...]] = {
    "convolutions": (
        one(lambda: layers.Conv1D(4, 3, padding="same", activation="relu")),
        one(lambda: layers.Conv1D(4, 2, padding="causal", dilation_rate=2, groups=2)),
        one(lambda: layers.SeparableConv1D(5, 2)),
        one(lambda: layers.DepthwiseConv1D(2, padding="same")),
        at_each_position(lambda: layers.Conv2DTranspose(2, 2, strides=(2, 1)), lambda: layers.UpSampling2D(2)),
        at_each_position(lambda: layers.Conv2D(3, 2, padding="same"), lambda: layers.MaxPooling2D(2)),
    ),
    "pooling and moves": (
        one(lambda: layers.MaxPooling1D(2)),
        one(lambda: layers.AveragePooling1D(2, padding="same")),
        one(layers.GlobalMaxPooling1D),
        one(layers.GlobalAveragePooling1D),
        one(lambda: layers.UpSampling1D(2), lambda: layers.Cropping1D(1)),
        lambda kind, x: layers.Concatenate(axis=1)([x, kind(_UNITS, return_sequences=True)(x)]),
        at_each_position(lambda: layers.AdaptiveMaxPooling2D((2, 3))),
    ),
    "attention": (
        of_itself(layers.Attention),
        of_itself(layers.AdditiveAttention, use_causal_mask=True),
        of_itself(lambda: layers.MultiHeadAttention(2, 3)),
        of_itself(lambda: layers.GroupQueryAttention(2, 4, 2)),
    ),
    "normalizations": (
        one(layers.BatchNormalization),
        one(layers.LayerNormalization),
        one(lambda: layers.GroupNormalization(2)),
        one(layers.UnitNormalization),
        one(layers.RMSNormalization),
        one(lambda: layers.LayerNormalization(rms_scaling=True)),
    ),
    "activations": (
        *map(in_recurrence, ("sigmoid", "gelu", "silu", "selu")),
        one(lambda: layers.PReLU(shared_axes=[1])),
    ),
    "products with weights": (
        one(lambda: layers.EinsumDense("btd,dhe->bthe", (None, 2, 3), bias_axes="he"), lambda: layers.Reshape((-1, 6))),
    ),
    "cells": (of_cells(1), of_cells(2), with_first_states),
    "operations": (
        lambda kind, x: x * 0.5 + keras.ops.mean(x, axis=1, keepdims=True),
        lambda kind, x: keras.ops.concatenate([x[:, 1:], keras.ops.exp(-x[:, 1:])], axis=-1),
        lambda kind, x: keras.ops.einsum("btd,bsd->bts", x, x) @ x,
    ),
    "unsupported": (in_recurrence("hard_shrink"),),
}


def every_part() -> list[Part]:
    """Returns all models of the table."""
    return [
        Part(family, number, kind, (number + i) % 2 == 0)
        for family, builds in FAMILIES.items()
        for number, (i, kind) in itertools.product(range(len(builds)), enumerate(KINDS))
    ]


def make(part: Part) -> keras.Model:
    """Builds a model with random weights."""
    keras.utils.set_random_seed(1)
    kind, build = KINDS[part.kind], FAMILIES[part.family][part.number]
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(_IDS, _UNITS, mask_zero=part.is_masked)(ids)
    x = build(kind, kind(_UNITS, return_sequences=True)(x))
    return keras.Model(ids, layers.Dense(3, activation="softmax")(kind(3)(x) if len(x.shape) == 3 else x))


def run(part: Part) -> tuple[float | None, str]:
    """Saves and loads a model, builds its forms and proves them; nothing is published.

    Returns:
        The largest ratio of difference to bound, and the reason if the model was refused.

    Raises:
        AssertionError: If a form was not proved.
    """
    try:
        plain = make_plain(through_file(make(part)))
        network = read_network(plain.model)
        forms = build_forms(plain.model, network)
    except ModelError as error:
        return None, str(error)
    report = prove(plain.model, network, forms, probes(), plain=plain)
    assert report.passed, (part, report.verdict)
    return max(runtime.worst.ratio or 0.0 for runtime in report.runtimes), ""


def probes() -> Probes:
    """Returns the batches on which a model is proved: rows with zeros in front, at the end and between, and few ids."""
    given = np.random.default_rng(2).integers(1, _IDS, (5, 8)).astype(np.int32)
    given[0, :3] = given[1, 5:] = given[2, 1::2] = given[3, 1:] = 0
    names = ("in front", "at the end", "between", "but at one", "nowhere")
    batches = (ProbeBatch(given, names), ProbeBatch(given[4:, :3], ("three steps",)))
    return Probes(batches, 0, len(names) + 1, batches[0])


def format_table(outcomes: Mapping[Part, tuple[float | None, str]]) -> str:
    """Formats outcomes as Markdown: how many of how many were proved, and the largest ratio among them."""
    lines = [f"| layers | {' | '.join(KINDS)} |", f"|---|{'---:|' * len(KINDS)}"]
    for family in FAMILIES:
        row = []
        for kind in KINDS:
            ratios = [ratio for part, (ratio, _) in outcomes.items() if (part.family, part.kind) == (family, kind)]
            proved = [ratio for ratio in ratios if ratio is not None]
            row.append(f"{len(proved)} of {len(ratios)}" + (f", {max(proved):.2f}" if proved else ""))
        lines.append(f"| {family} | {' | '.join(row)} |")
    reasons = {reason.partition(") ")[2].partition(";")[0] or reason for _, reason in outcomes.values() if reason}
    refused = sum(bool(reason) for _, reason in outcomes.values())
    lines.append(f"\nRefused: {refused} of {len(outcomes)} models: {'; '.join(sorted(reasons))}.")
    return "\n".join(lines)
