"""The two parts of a Keras model in a file: its config, and its weights. Imports the standard library only."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnx.keras_models.keras_2 import is_keras_2

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# The date of each member of a `.keras` file that rnnx writes: the earliest that a zip file can have.
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class ModelParts:
    """A model as a file holds it, checked, and with nothing that Keras would run.

    Attributes:
        config: The config of the model, as Keras 3 writes it.
        weights: The content of an HDF5 file with the weights.
        version: The version of Keras that wrote the file; None if the file does not say.
        group: The group in the HDF5 file in which each layer has a group under its name, `""` for the whole file; None
            if the weights have the layout of a `.keras` file.
        original: The `.keras` file that the parts were read from; None if they were not, or if Keras 2 wrote it.
    """

    config: dict[str, Any]
    weights: bytes
    version: str | None = None
    group: str | None = None
    original: bytes | None = None

    @property
    def is_of_keras_2(self) -> bool:
        """Whether Keras 2 wrote the file."""
        return is_keras_2(self.version)


def pack(config: dict[str, Any], weights: bytes) -> bytes:
    """Writes a `.keras` file. The same parts give the same bytes."""
    metadata = {"keras_version": "", "date_saved": ""}
    return pack_members(
        {CONFIG: json.dumps(config).encode(), METADATA: json.dumps(metadata).encode(), WEIGHTS: weights}
    )


def pack_members(members: Mapping[str, bytes]) -> bytes:
    """Writes a zip file, uncompressed as Keras writes them."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member, _DATE), content)
    return packed.getvalue()
