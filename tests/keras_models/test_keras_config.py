"""Tests that a config with a number that Keras would change is refused."""

from __future__ import annotations

import re

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.keras_models.keras_config import read_config

pytestmark = pytest.mark.train


@pytest.mark.parametrize("number", [1e39, -1e300])
def test_a_setting_that_float32_cannot_hold_is_named(number: float) -> None:
    model = keras.Sequential([keras.Input((None, 2)), layers.SimpleRNN(2), layers.ReLU(max_value=5.0)])
    config = model.to_json().replace("5.0", repr(number))
    with pytest.raises(ModelError, match=re.escape(f"is {number:g}, which float32 cannot hold; use a smaller number")):
        read_config(config, "3.15.1")
    assert read_config(model.to_json().replace("5.0", "3.4028234663852886e38"), "3.15.1")


def test_a_setting_that_is_not_finite_is_named_and_the_file_is_not_called_damaged() -> None:
    with pytest.raises(ModelError, match=r"is -Infinity, which is not supported; use a finite number"):
        read_config('{"class_name": "Functional", "config": {"ord": -Infinity}}', "3.15.1")
