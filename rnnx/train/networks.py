"""The networks that the recipes train."""

from __future__ import annotations

import keras
from keras import layers

TAGGER_FEATURES = ("SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4", "PREFIX1", "PREFIX2", "PREFIX3", "SHAPE")

# Of the recipe `default`: of each direction, and the numbers of a word; and what looks at both directions at once.
DEFAULT_UNITS = 64
DEFAULT_DETECTORS = 32


def article_network(vocabulary_size: int, outputs: int, activation: str) -> keras.Model:
    """The article's classifier: Embedding 32, SimpleRNN 32, Dense; no mask, so the padding in front is read too."""
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
    """Both directions, their states pooled by mean and, through a layer of detectors, by maximum; padding masked.

    The mean lets every word speak for itself, where the last state alone has to carry the whole text; a detector's
    maximum keeps the one passage that matters. Keras's maximum knows no mask: the detectors have no bias and no
    negative output, so that a masked state, which is 0, stays 0 and is never the maximum of anything else.
    """
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(vocabulary_size, DEFAULT_UNITS, mask_zero=True, name="embedding")(ids)
    x = layers.Dropout(0.2, noise_shape=(None, None, 1), name="word_dropout")(x)
    x = layers.SpatialDropout1D(0.1, name="feature_dropout")(x)
    # From labels alone, a start that fades comes to 0.88 in one epoch; one that keeps what it has to 0.72 up to 0.86
    # (IMDB, three seeds each). With pretraining it is the language model's weights that count.
    start = keras.initializers.Orthogonal(0.5)
    recurrence = layers.SimpleRNN(DEFAULT_UNITS, recurrent_initializer=start, return_sequences=True)
    states = layers.Bidirectional(recurrence, name="rnn")(x)
    mean = layers.GlobalAveragePooling1D(name="mean")(states)
    detected = layers.Dense(DEFAULT_DETECTORS, activation="relu", use_bias=False, name="detectors")(states)
    x = layers.Concatenate(name="pooled")([mean, layers.GlobalMaxPooling1D(name="maximum")(detected)])
    x = layers.Dropout(0.3, name="dropout")(x)
    probs = layers.Dense(outputs, activation=activation, name="probs")(x)
    return keras.Model(ids, probs, name="default")


def tagger_network(word_count: int, vocabulary_size: int, tags: int) -> keras.Model:
    """Words and their features, two layers of both directions, a softmax at each position; padding masked.

    The mask is that of `ids`, handed to the recurrence as an argument: Keras's Concatenate would take the features,
    which carry no mask, for present everywhere.
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
    """Both directions over the steps, the mean of all states, one Dense.

    The mean sees an oscillation wherever it stands, and a sequence of any length. Which steps are there comes in as an
    input of its own, so that zero may be a value like any other; the network that is kept reads whole sequences and
    has no such input.
    """
    x = keras.Input((None, features), name="x")
    present = keras.Input((None,), dtype="bool", name="present")
    y = layers.Bidirectional(layers.SimpleRNN(32, return_sequences=True), name="rnn")(x, mask=present)
    y = layers.GlobalAveragePooling1D(name="mean")(y, mask=present)
    y = layers.Dense(outputs, activation=activation, name="values" if activation == "linear" else "probs")(y)
    return keras.Model([x, present], y, name="series")
