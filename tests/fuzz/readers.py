"""Calls readers without TensorFlow that the command line calls only after it has imported TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnnx.bundle.samples import samples_from_json, series_samples_from_json, tagged_samples_from_json
from rnnx.cli import terminal
from rnnx.errors import ModelError
from rnnx.keras_models.keras_file import clean_keras_file
from tests.fuzz.checks import MODEL, OK
from tests.fuzz.misbehaviour import MISBEHAVIOURS

READERS: dict[str, Callable[[bytes], Any]] = {
    "texts": samples_from_json,
    "words": tagged_samples_from_json,
    "series": series_samples_from_json,
    "keras": lambda data: clean_keras_file(data, "a.keras"),
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
