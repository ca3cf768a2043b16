"""Saves and loads Keras models, because a model from a file is not the model that was saved; needs the [train] extra.

In a loaded functional model every mask is an argument that operations compute, for example.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import keras

from rnnx.keras_models.load_model import load_keras


def through_file(model: keras.Model) -> keras.Model:
    """Returns the model that rnnx loads from a `.keras` file of a model."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return load_keras(path.read_bytes(), path.name)
