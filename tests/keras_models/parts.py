"""Parts of Keras models that several tests build; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

# Builds layers on a tensor.
Body = Callable[[Any], Any]


def rnn(units: int = 4) -> keras.Layer:
    return layers.SimpleRNN(units, return_sequences=True)


def last(x: Any) -> Any:
    return layers.SimpleRNN(3)(x)


def square(x: Any) -> Any:
    """Returns four positions of four features, which makes the time fixed."""
    return layers.Reshape((4, 4))(layers.Dense(16)(last(x)))
