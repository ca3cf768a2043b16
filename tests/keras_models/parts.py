"""Parts of Keras models that several tests build; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

# The marks of tests that build such models.
MARKS = [
    pytest.mark.train,
    # Pooling and reshaping layers drop a mask, which these tests intend.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning"),
    # Keras's own, in ops.tensordot.
    pytest.mark.filterwarnings("ignore:NotImplemented should not be used in a boolean context:DeprecationWarning"),
]

# Builds layers on a tensor.
Body = Callable[[Any], Any]


def rnn(units: int = 4) -> keras.Layer:
    return layers.SimpleRNN(units, return_sequences=True)


def last(x: Any) -> Any:
    return layers.SimpleRNN(3)(x)


def square(x: Any) -> Any:
    """Returns four positions of four features, which makes the time fixed."""
    return layers.Reshape((4, 4))(layers.Dense(16)(last(x)))


def after_states(*body: keras.Layer) -> Body:
    """Puts layers between two recurrences."""

    def build(x: Any) -> Any:
        for layer in [rnn(), *body]:
            x = layer(x)
        return last(x)

    return build


def after_last(*body: keras.Layer) -> Body:
    """Puts layers after the last state."""

    def build(x: Any) -> Any:
        for layer in [layers.SimpleRNN(4), *body]:
            x = layer(x)
        return x

    return build


def after_images(*body: keras.Layer, is_masked: bool = True) -> Body:
    """Applies layers to an image at each position, between two recurrences."""
    each = [layers.TimeDistributed(layer) for layer in (layers.Reshape((3, 4, 2)), *body)]
    unmasked = [] if is_masked else [layers.Reshape((-1, 24))]
    return after_states(layers.Dense(24), *unmasked, *each)
