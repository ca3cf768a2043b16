"""Chooses where TensorFlow trains. Imports TensorFlow."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from rnnx.errors import DeviceError


def choose_device(name: Literal["auto", "cpu", "cuda"]) -> None:
    """Chooses the device of every training in this process; to be called before anything is computed.

    Args:
        name: `auto` takes a GPU if TensorFlow finds one; `cpu` hides them.

    Raises:
        DeviceError: If `cuda` is asked for and TensorFlow finds no GPU.
    """
    if name == "cpu":
        tf.config.set_visible_devices([], "GPU")
    elif name == "cuda" and not tf.config.list_physical_devices("GPU"):
        raise DeviceError("TensorFlow finds no GPU here; --device cpu trains without one")
