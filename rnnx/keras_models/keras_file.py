"""Checks a `.keras` file, or the config of another file, before Keras reads it, and removes what Keras does not need.

The config may name only supported classes of Keras (`rnnx.keras_models.allowed_classes`). Weights must be arrays in the
file itself. Imports h5py, which comes with Keras, but neither Keras nor TensorFlow.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from typing import Any

from rnnx.errors import ModelError, one_line
from rnnx.keras_models.allowed_classes import require_allowed_classes
from rnnx.keras_models.hdf5_checks import MAX_WEIGHT_BYTES, open_hdf5
from rnnx.keras_models.keras_2 import is_keras_2, to_keras_3
from rnnx.keras_models.model_parts import CONFIG, METADATA, WEIGHTS, ModelParts, pack
from rnnx.keras_models.vocabularies import MOST_BYTES, is_vocabulary, put_vocabularies
from rnnx.strict_json import parse_json

# The largest float32.
_LARGEST_NUMBER = 3.4028234663852886e38
# The largest config of the tests has 0.1 MB. The limit of the weights is that of an `.onnx` file.
MAX_BYTES = {CONFIG: 1 << 24, METADATA: 1 << 20, WEIGHTS: MAX_WEIGHT_BYTES}
# The errors that a damaged file causes. zipfile raises RuntimeError for an encrypted member or an unknown compression,
# and ValueError for an invalid header. Names and JSON that are not UTF-8 raise ValueError too.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
# Of lists and objects in the config; a model in a model in a model has 20. Keras itself calls functions for each level.
_MAX_LEVELS = 100

# What only training needs. Keras stores the sum of a kernel and its LoRA weights as the kernel.
_OF_TRAINING = ("compile_config", "lora_rank", "lora_alpha")
_NOT_FINITE = re.compile(rb"[:\[,]\s*(-?Infinity|NaN)\s*[,\]}]")


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


def read_config(text: bytes | str, version: str | None) -> dict[str, Any]:
    """Reads and checks the config of a model.

    Args:
        text: The JSON text.
        version: The version of Keras that wrote it, if it is known.

    Returns:
        The config as Keras 3 writes it, without the optimizer, loss and metrics.

    Raises:
        ModelError: If it contains anything that Keras must not load. The message names the first such part.
        ValueError: If it is not JSON.
    """
    if len(text) > MAX_BYTES[CONFIG]:
        limit = MAX_BYTES[CONFIG] >> 20
        raise ModelError(f"its config has {len(text):,} bytes; at most {limit} MB are supported")
    data = text.encode() if isinstance(text, str) else text
    try:
        config = parse_json(data)
    except ValueError as error:
        if (found := _NOT_FINITE.search(data)) is None:
            raise
        raise ModelError(
            f"a setting of a layer or an operation is {found[1].decode()}, which is not supported; use a finite "
            "number, or ops.max(ops.abs(x), axis) for ops.norm(x, ord=inf)"
        ) from error
    _check_depth(config)
    if is_keras_2(version) or _lacks_modules(config):
        config = to_keras_3(config, version)
    require_allowed_classes(config)
    _check_is_built(config)
    cleaned: dict[str, Any] = _without_compilation(config)
    _check_numbers(cleaned)
    return cleaned


def _check_numbers(config: Any) -> None:
    """Makes sure that float32 can hold every number of a config: Keras would compute with an infinity."""
    level = [config]
    while level:
        for value in level:
            if isinstance(value, float) and abs(value) > _LARGEST_NUMBER:
                raise ModelError(
                    f"a setting of a layer or an operation is {value:g}, which float32 cannot hold; use a smaller "
                    "number, such as 1e38"
                )
        lists = [
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        ]
        level = [value for values in lists for value in values]


def _lacks_modules(config: Any) -> bool:
    return isinstance(config, dict) and "class_name" in config and "module" not in config


def _check_depth(config: Any) -> None:
    level, depth = [config], 0
    while level := [value for value in level if isinstance(value, list | dict)]:
        if (depth := depth + 1) > _MAX_LEVELS:
            raise ModelError(
                f"its {CONFIG} has layers in layers, or lists in lists, more than {_MAX_LEVELS} levels deep"
            )
        level = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]


def _check_is_built(config: Any) -> None:
    """Refuses a Sequential that was saved before it knew its input."""
    model, is_built = config, False
    while isinstance(model, dict) and model.get("class_name") == "Sequential" and not is_built:
        inner = model.get("config")
        settings = inner if isinstance(inner, dict) else {}
        is_built = bool(settings.get("build_input_shape") or model.get("build_config"))
        layers = settings.get("layers")
        model = layers[0] if isinstance(layers, list) and layers else None
    if not is_built and not (isinstance(model, dict) and model.get("class_name") in ("InputLayer", "Functional")):
        raise ModelError(
            "the Sequential was saved before it knew the shape of its input; put keras.Input((None, features)), or "
            'keras.Input((None,), dtype="int32") for ids, in front of its layers, and save it again'
        )


def _without_compilation(value: Any) -> Any:
    """Returns a config without what only training needs; constants of operations become arrays of NumPy.

    A constant that is a tensor of TensorFlow, as `ops.sqrt(4.0)` is, would be an input of the exported file.
    """
    if isinstance(value, list):
        return [_without_compilation(item) for item in value]
    if isinstance(value, dict):
        cleaned = {key: _without_compilation(item) for key, item in value.items() if key not in _OF_TRAINING}
        return {**cleaned, "class_name": "__numpy__"} if cleaned.get("class_name") == "__tensor__" else cleaned
    return value
