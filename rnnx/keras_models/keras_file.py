"""Checks a `.keras` file before Keras reads it, and keeps the parts of it that Keras needs.

The file is a zip archive of a config, metadata, weights and vocabularies; one with anything else is refused. The
weights must be arrays in the archive itself. Imports h5py, which comes with Keras, but neither Keras nor TensorFlow.
"""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib

from rnnx.errors import ModelError, one_line
from rnnx.keras_models.hdf5_checks import MAX_WEIGHT_BYTES, open_hdf5
from rnnx.keras_models.keras_2 import is_keras_2
from rnnx.keras_models.keras_config import MAX_CONFIG_BYTES, read_config
from rnnx.keras_models.model_parts import CONFIG, METADATA, WEIGHTS, ModelParts, pack
from rnnx.keras_models.vocabularies import MOST_BYTES, is_vocabulary, put_vocabularies
from rnnx.strict_json import parse_json

# The limit of the weights is that of an `.onnx` file.
MAX_BYTES = {CONFIG: MAX_CONFIG_BYTES, METADATA: 1 << 20, WEIGHTS: MAX_WEIGHT_BYTES}
# The errors that a damaged file causes. zipfile raises RuntimeError for an encrypted member or an unknown compression,
# and ValueError for an invalid header. Names and JSON that are not UTF-8 raise ValueError too.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)


def clean_keras_file(data: bytes, name: str) -> bytes:
    """Checks a `.keras` file of Keras 3, and packs the needed parts of it again.

    Args:
        data: The content of the file.
        name: The name of the file, for the message.

    Returns:
        A `.keras` file with the same model, without its optimizer, loss and metrics, which may be functions of the
        user.

    Raises:
        ModelError: If the file is not a `.keras` file, or contains anything that Keras must not load. The message names
            the first such part.
    """
    parts = read_keras_file(data, name)
    return pack(parts.config, parts.weights)


def read_keras_file(data: bytes, name: str) -> ModelParts:
    """Reads and checks a `.keras` file of Keras 3 or Keras 2; see `clean_keras_file`."""
    try:
        members, vocabularies, others = _unpack(data)
        metadata = parse_json(members[METADATA])
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        version = version if isinstance(version, str) else None
        config = read_config(members[CONFIG], version)
        _require_no_others(others)  # a layer with files of its own is the better reason
        put_vocabularies(config, vocabularies)
        with open_hdf5(members[WEIGHTS], f"its {WEIGHTS}"):
            pass  # every array was checked
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except _DAMAGE as error:
        raise ModelError(f"{name}: the file is damaged, or is not a .keras file ({one_line(error, 200)})") from error
    is_old = is_keras_2(version)
    return ModelParts(config, members[WEIGHTS], version, original=None if is_old else data)


def _unpack(data: bytes) -> tuple[dict[str, bytes], dict[str, bytes], list[str]]:
    """Returns the needed members of the zip file, the vocabularies of its layers, and the names of all others."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename in MAX_BYTES]
        if sorted(entry.filename for entry in entries) != sorted(MAX_BYTES):
            problem = "lacks one of them, or contains one twice"
            raise ModelError(f"the file should contain {', '.join(MAX_BYTES)}, but {problem}")
        for entry in entries:
            if entry.file_size > MAX_BYTES[entry.filename]:
                limit = MAX_BYTES[entry.filename] >> 20
                raise ModelError(
                    f"its {entry.filename} unpacks to {entry.file_size:,} bytes; at most {limit} MB are supported"
                )
        members = {entry.filename: archive.read(entry) for entry in entries}  # reads no more than is declared
        vocabularies = {
            entry.filename: archive.read(entry)
            for entry in archive.infolist()
            if is_vocabulary(entry.filename) and entry.file_size <= MOST_BYTES
        }
        known = members.keys() | vocabularies.keys()
        return members, vocabularies, [name for name in archive.namelist() if name not in known]


def _require_no_others(others: list[str]) -> None:
    if others:
        raise ModelError(f"the file should contain {', '.join(MAX_BYTES)}, but contains {others[0]!r:.60} too")
