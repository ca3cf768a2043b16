"""Builds the networks that the recipes train. Imports Keras."""

from __future__ import annotations

import keras
from keras import layers

TAGGER_FEATURES = ("SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4", "PREFIX1", "PREFIX2", "PREFIX3", "SHAPE")

# Of the recipe `default`: the units of each direction, which are the width of its embedding as well; and the units of
# the layer that reads both directions at each position.
DEFAULT_UNITS = 64
DEFAULT_DETECTORS = 32


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


def default_network(vocabulary_size: int, outputs: int, activation: str) -> keras.Model:
    """Builds a network for texts with both directions, whose states are pooled by mean and maximum; padding is masked.

    With the mean every word contributes, where the last state alone would have to carry the whole text. The maximum is
    taken of a layer of detectors, and keeps the one passage that matters. Keras's maximum ignores masks. Therefore the
    detectors have no bias and no negative output: a masked state is 0, so its detectors are 0 and never
    exceed those of another state.
    """
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(vocabulary_size, DEFAULT_UNITS, mask_zero=True, name="embedding")(ids)
    x = layers.Dropout(0.2, noise_shape=(None, None, 1), name="word_dropout")(x)
    x = layers.SpatialDropout1D(0.1, name="feature_dropout")(x)
    # Without pretraining, start weights under which states fade reach an accuracy of 0.88 in one epoch, and those that
    # keep states 0.72 to 0.86 (IMDB, three seeds each). With pretraining, the language model's weights replace them.
    start = keras.initializers.Orthogonal(0.5)
    recurrence = layers.SimpleRNN(DEFAULT_UNITS, recurrent_initializer=start, return_sequences=True)
    states = layers.Bidirectional(recurrence, name="rnn")(x)
    mean = layers.GlobalAveragePooling1D(name="mean")(states)
    detected = layers.Dense(DEFAULT_DETECTORS, activation="relu", use_bias=False, name="detectors")(states)
    x = layers.Concatenate(name="pooled")([mean, layers.GlobalMaxPooling1D(name="maximum")(detected)])
    x = layers.Dropout(0.3, name="dropout")(x)
    y = layers.Dense(outputs, activation=activation, name="values" if activation == "linear" else "probs")(x)
    return keras.Model(ids, y, name="default")


def tagger_network(word_count: int, vocabulary_size: int, tags: int) -> keras.Model:
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
    for i in (1, 2):
        x = layers.Bidirectional(layers.SimpleRNN(96, return_sequences=True), name=f"rnn_{i}")(x, mask=mask)
        x = layers.Dropout(0.2, name=f"dropout_{i}")(x)
    probs = layers.Dense(tags, activation="softmax", name="probs")(x)
    return keras.Model([ids, features], probs, name="tagger")


def series_network(features: int, outputs: int, activation: str) -> keras.Model:
    """Builds a network for sequences: both directions over the steps, the mean of all states, one Dense.

    The mean detects an oscillation at any place, in a sequence of any length. A second input says which steps are
    present, so that zero is an ordinary value. The network that is kept reads sequences without padding and has no such
    input.
    """
    x = keras.Input((None, features), name="x")
    present = keras.Input((None,), dtype="bool", name="present")
    y = layers.Bidirectional(layers.SimpleRNN(32, return_sequences=True), name="rnn")(x, mask=present)
    y = layers.GlobalAveragePooling1D(name="mean")(y, mask=present)
    y = layers.Dense(outputs, activation=activation, name="values" if activation == "linear" else "probs")(y)
    return keras.Model([x, present], y, name="series")
