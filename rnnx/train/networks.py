"""Builds the networks that the recipes train. Imports Keras."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
from keras import layers

TAGGER_FEATURES = ("SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4", "PREFIX1", "PREFIX2", "PREFIX3", "SHAPE")

# Of the recipe `default`: the units of each direction, which are the width of its embedding as well; and the units of
# the layer that reads both directions at each position.
DEFAULT_UNITS = 64
DEFAULT_DETECTORS = 32

Cell = Literal["simple", "lstm", "gru"]
Build = Callable[..., keras.Model]
CELLS: dict[Cell, Any] = {"simple": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


@dataclass(frozen=True)
class NetworkSize:
    """The size of a network.

    Attributes:
        units: The units of each recurrent layer, in each direction.
        depth: The number of recurrent layers.
        cell: Their kind.
        width: The numbers per word in the embedding; None for as many as units.
    """

    units: int
    depth: int = 1
    cell: Cell = "simple"
    width: int | None = None


def with_shape(build: Build, **changes: Any) -> Build | None:
    """Returns the builder of a network of another size.

    Args:
        build: One of the builders below.
        changes: Attributes of its `NetworkSize`.

    Returns:
        The builder; None if it takes no shape.
    """
    parameter = inspect.signature(build).parameters.get("shape")
    return functools.partial(build, shape=dataclasses.replace(parameter.default, **changes)) if parameter else None


def article_network(vocabulary_size: int, outputs: int, activation: str) -> keras.Model:
    """Builds the article's classifier: Embedding 32, SimpleRNN 32, Dense. It has no mask, so it reads the padding."""
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32", name="ids"),
            layers.Embedding(vocabulary_size, 32, name="embedding"),
            layers.SimpleRNN(32, name="simple_rnn"),
            layers.Dense(outputs, activation=activation, name="dense"),
        ],
        name="article",
    )


def default_network(
    vocabulary_size: int,
    outputs: int,
    activation: str,
    shape: NetworkSize = NetworkSize(DEFAULT_UNITS),
) -> keras.Model:
    """Builds a network for texts with both directions, whose states are pooled by mean and maximum; padding is masked.

    With the mean every word contributes, where the last state alone would have to carry the whole text. The maximum is
    taken of a layer of detectors, and keeps the one passage that matters. Keras's maximum ignores masks. Therefore the
    detectors have no bias and no negative output: a masked state is 0, so its detectors are 0 and never
    exceed those of another state.

    Args:
        vocabulary_size: The number of ids.
        outputs: The number of outputs.
        activation: Of the outputs.
        shape: The size of the network.
    """
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(vocabulary_size, shape.width or shape.units, mask_zero=True, name="embedding")(ids)
    x = layers.Dropout(0.2, noise_shape=(None, None, 1), name="word_dropout")(x)
    x = layers.SpatialDropout1D(0.1, name="feature_dropout")(x)
    # Without pretraining, start weights under which states fade reach an accuracy of 0.88 in one epoch, and those that
    # keep states 0.72 to 0.86 (IMDB, three seeds each). With pretraining, the language model's weights replace them.
    start = keras.initializers.Orthogonal(0.5)
    states = x
    for number in range(1, shape.depth + 1):
        recurrence = CELLS[shape.cell](shape.units, recurrent_initializer=start, return_sequences=True)
        states = layers.Bidirectional(recurrence, name=_layer_name("rnn", number))(states)
    mean = layers.GlobalAveragePooling1D(name="mean")(states)
    detected = layers.Dense(DEFAULT_DETECTORS, activation="relu", use_bias=False, name="detectors")(states)
    x = layers.Concatenate(name="pooled")([mean, layers.GlobalMaxPooling1D(name="maximum")(detected)])
    x = layers.Dropout(0.3, name="dropout")(x)
    y = layers.Dense(outputs, activation=activation, name="values" if activation == "linear" else "probs")(x)
    return keras.Model(ids, y, name="default")


def tagger_network(
    word_count: int,
    vocabulary_size: int,
    tags: int,
    shape: NetworkSize = NetworkSize(96, depth=2),
) -> keras.Model:
    """Builds a tagger: words and their features, two layers in both directions, a softmax per word; padding is masked.

    The recurrence gets the mask of `ids` as an argument, because the features have no mask and Keras's Concatenate
    would therefore take every position for present.
    """
    slots = len(TAGGER_FEATURES)
    ids = keras.Input((None,), dtype="int32", name="ids")
    features = keras.Input((None, slots), dtype="int32", name="features")
    words = layers.Embedding(word_count, 96, mask_zero=True, name="words")
    x = layers.Dropout(0.2, noise_shape=(None, None, 1), name="word_dropout")(words(ids))
    y = layers.Embedding(vocabulary_size, 32, name="feature_values")(features)
    y = layers.Dropout(0.2, noise_shape=(None, None, None, 1), name="feature_dropout")(y)
    y = layers.Reshape((-1, slots * 32), name="feature_row")(y)
    x = layers.Concatenate(name="word_and_features")([x, y])
    x = layers.Dropout(0.2, name="input_dropout")(x)
    mask = words.compute_mask(ids)
    for i in range(1, shape.depth + 1):
        x = layers.Bidirectional(CELLS[shape.cell](shape.units, return_sequences=True), name=f"rnn_{i}")(x, mask=mask)
        x = layers.Dropout(0.2, name=f"dropout_{i}")(x)
    probs = layers.Dense(tags, activation="softmax", name="probs")(x)
    return keras.Model([ids, features], probs, name="tagger")


def series_network(features: int, outputs: int, activation: str, shape: NetworkSize = NetworkSize(32)) -> keras.Model:
    """Builds a network for sequences: both directions over the steps, the mean of all states, one Dense.

    The mean detects an oscillation at any place, in a sequence of any length. A second input says which steps are
    present, so that zero is an ordinary value. The network that is kept reads sequences without padding and has no such
    input.
    """
    x = keras.Input((None, features), name="x")
    present = keras.Input((None,), dtype="bool", name="present")
    # With few sequences, noise and dropout keep a classifier from learning them by heart: 0.951 instead of 0.926 on
    # held-out fifths of JapaneseVowels. Values are predicted from small differences, which noise would hide.
    is_classifier = activation != "linear"
    y = layers.GaussianNoise(0.2, name="noise")(x) if is_classifier else x
    for number in range(1, shape.depth + 1):
        recurrence = CELLS[shape.cell](shape.units, return_sequences=True)
        y = layers.Bidirectional(recurrence, name=_layer_name("rnn", number))(y, mask=present)
    y = layers.GlobalAveragePooling1D(name="mean")(y, mask=present)
    if is_classifier:
        y = layers.Dropout(0.3, name="dropout")(y)
    y = layers.Dense(outputs, activation=activation, name="values" if activation == "linear" else "probs")(y)
    return keras.Model([x, present], y, name="series")


def cell_of(layer: keras.Layer) -> Cell:
    """Tells the kind of a recurrent layer, which may be a faster version of Keras's."""
    return next(name for name, kind in CELLS.items() if isinstance(layer, kind))


def _layer_name(name: str, number: int) -> str:
    """The name of a layer of several: the first one keeps the plain name, which a single one has."""
    return name if number == 1 else f"{name}_{number}"
