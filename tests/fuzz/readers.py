"""Calls readers without TensorFlow that the command line calls only after it has imported TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnx.bundle.samples import samples_from_json, series_samples_from_json, tagged_samples_from_json
from rnnx.cli import terminal
from rnnx.errors import ModelError
from rnnx.keras_models.hdf5_checks import open_hdf5
from rnnx.keras_models.hdf5_file import is_whole_model, read_hdf5_model
from rnnx.keras_models.hdf5_weights import read_layer_groups
from rnnx.keras_models.keras_file import clean_keras_file
from tests.fuzz.checks import MODEL, OK
from tests.fuzz.misbehaviour import MISBEHAVIOURS


def _read_hdf5(data: bytes) -> None:
    """Reads a whole model and its weights, as `rnnx export` does before it asks Keras."""
    if not is_whole_model(data):
        return
    parts = read_hdf5_model(data, "a.h5")
    with open_hdf5(parts.weights, "the file") as file:
        read_layer_groups(file[parts.group])


READERS: dict[str, Callable[[bytes], Any]] = {
    "texts": samples_from_json,
    "words": tagged_samples_from_json,
    "series": series_samples_from_json,
    "keras": lambda data: clean_keras_file(data, "a.keras"),
    "hdf5": _read_hdf5,
}


def read(name: str, data: bytes) -> int:
    """Reads a file; a refusal is printed as on the command line.

    Returns:
        The exit code.
    """
    try:
        (READERS | MISBEHAVIOURS)[name](data)
    except ModelError as error:
        terminal.error(str(error))
        return MODEL
    return OK
