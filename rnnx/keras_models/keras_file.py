"""Checks a `.keras` file before Keras reads it, and removes the parts that Keras does not need.

Keras creates every class and function that the file names, and its safe mode has been bypassed several times
(CVE-2025-1550, -8747, -9905, -9906, -49655; CVE-2026-1462). Therefore only classes of Keras itself are allowed here,
and of its layers only those that rnnx supports; none of them contains code or reads a file. Weights must be arrays in
the file itself. Imports h5py, which comes with Keras, but neither Keras nor TensorFlow.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

from rnnx.errors import ModelError, one_line
from rnnx.strict_json import parse_json

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
# The largest config of the tests has 0.1 MB. The limit of the weights is that of an `.onnx` file.
_MAX_BYTES = {_CONFIG: 1 << 24, _METADATA: 1 << 20, _WEIGHTS: 1 << 30}
# The errors that a damaged file causes. zipfile raises RuntimeError for an encrypted member or an unknown compression,
# and ValueError for an invalid header. Names and JSON that are not UTF-8 raise ValueError too.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
_MAX_OBJECTS, _MAX_DEPTH = 100_000, 32
# Of lists and objects in the config; a model in a model in a model has 20. Keras itself calls functions for each level.
_MAX_LEVELS = 100

# The classes of Keras that are known to compute and to do nothing else: layers, models, parts of layers (by module),
# and classes without a module.
_LAYERS = frozenset(
    {
        "Activation", "ActivityRegularization", "Add", "AlphaDropout", "Average", "AveragePooling1D",
        "BatchNormalization", "Bidirectional", "Concatenate", "Dense", "Dropout", "ELU", "Embedding", "Flatten", "GRU",
        "GaussianDropout", "GaussianNoise", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "Identity", "InputLayer",
        "LSTM", "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "Maximum", "Minimum", "Multiply",
        "Permute", "ReLU", "RepeatVector", "Rescaling", "Reshape", "SimpleRNN", "Softmax", "SpatialDropout1D",
        "Subtract", "TimeDistributed", "ZeroPadding1D",
    }
)  # fmt: skip
_MODELS = re.compile(r"keras(\.src(\.engine|\.models)?(\.functional|\.sequential)?|\.models)?")
_PARTS = re.compile(r"keras\.(src\.)?(initializers|regularizers|constraints|dtype_policies)(\.\w+)*")
_PLAIN = ("__keras_tensor__", "__tuple__", "__numpy__", "__slice__", "__ellipsis__")


def clean_keras_file(data: bytes, name: str) -> bytes:
    """Checks a file, and packs the needed parts of it again.

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
    try:
        members = _unpack(data)
        config = parse_json(members[_CONFIG])
        _check_depth(config)
        _check_model(config)
        _check_classes(config, "")
        _check_weights(members[_WEIGHTS])
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except _DAMAGE as error:
        raise ModelError(f"{name}: the file is damaged, or is not a .keras file ({one_line(error, 200)})") from error
    members[_CONFIG] = json.dumps(_without_compilation(config)).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return packed.getvalue()


def _unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sorted(entry.filename for entry in entries) != sorted(_MAX_BYTES):
            others = [entry.filename for entry in entries if entry.filename not in _MAX_BYTES]
            problem = f"contains {others[0]!r:.60} too" if others else "lacks one of them, or contains one twice"
            raise ModelError(f"the file should contain {', '.join(_MAX_BYTES)}, but {problem}")
        for entry in entries:
            if entry.file_size > _MAX_BYTES[entry.filename]:
                limit = _MAX_BYTES[entry.filename] >> 20
                raise ModelError(
                    f"its {entry.filename} unpacks to {entry.file_size:,} bytes; at most {limit} MB are supported"
                )
        return {entry.filename: archive.read(entry) for entry in entries}  # reads no more than is declared


def _check_depth(config: Any) -> None:
    level, depth = [config], 0
    while level := [value for value in level if isinstance(value, list | dict)]:
        if (depth := depth + 1) > _MAX_LEVELS:
            raise ModelError(
                f"its {_CONFIG} has layers in layers, or lists in lists, more than {_MAX_LEVELS} levels deep"
            )
        level = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]


def _check_model(config: Any) -> None:
    """Refuses a model of the user's own class, whose code is not in the file, and says what to do."""
    class_name = config.get("class_name") if isinstance(config, dict) else None
    module = str(config.get("module") or "") if isinstance(config, dict) else ""
    if (
        isinstance(class_name, str)
        and class_name not in ("Sequential", "Functional", "Model", "Lambda")
        and not (module.startswith("keras"))
    ):
        raise ModelError(
            f"{class_name!r:.60} is a model class of its own, and the file does not hold its code; build the same "
            "network as keras.Model(inputs, outputs), give it the weights by set_weights(model.get_weights()), and "
            "save that"
        )


def _check_classes(value: Any, layer: str) -> None:
    """Checks every class in a config that Keras would create; `layer` is the name of the innermost enclosing layer."""
    if isinstance(value, list):
        for item in value:
            _check_classes(item, layer)
    if not isinstance(value, dict):
        return
    if "class_name" in value:
        config = value.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        layer = name if isinstance(name, str) else layer
        _check_class(value, layer)
    for key, item in value.items():
        if key != "compile_config":
            _check_classes(item, layer)


def _check_class(value: dict[str, Any], layer: str) -> None:
    module, class_name, registered = (value.get(key) for key in ("module", "class_name", "registered_name"))
    where = f"layer {layer!r:.60}: " if layer else ""
    if "Lambda" in (class_name, registered) or class_name == "__lambda__":
        raise ModelError(f"{where}a Lambda contains code from the author of the file, and is not loaded")
    described = f"{module or 'no module'!s:.60}, {class_name!s:.60}"
    if not isinstance(class_name, str) or not isinstance(module, str | None) or registered not in (None, class_name):
        raise ModelError(f"{where}{described}, registered as {registered!s:.60}: not a class of Keras, and not loaded")
    if (module is None and class_name in _PLAIN) or (module == "keras.src.ops.numpy" and class_name == "NotEqual"):
        return
    if module == "keras.layers" or (module or "").startswith("keras.src.layers."):
        if class_name not in _LAYERS:
            raise ModelError(f"{where}{class_name!s:.60} is of an unsupported class; nothing was exported")
        return
    is_model = class_name in ("Sequential", "Functional", "Model", "DTypePolicy") and _MODELS.fullmatch(module or "")
    if not is_model and not (_PARTS.fullmatch(module or "") and class_name.isidentifier() and class_name[0].isupper()):
        raise ModelError(f"{where}{described}: code from outside the layers of Keras is not loaded")


def _without_compilation(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_compilation(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_compilation(item) for key, item in value.items() if key != "compile_config"}
    return value


def _check_weights(data: bytes) -> None:
    """Makes sure that every array is stored in the file itself, and that the arrays are not too large."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            sizes = [item.nbytes for item in _walk(h5py, file) if isinstance(item, h5py.Dataset)]
    except (OSError, RuntimeError, KeyError, ValueError, ArithmeticError) as error:  # also for impossible shapes
        raise ModelError(f"its {_WEIGHTS} is damaged ({one_line(error, 200)})") from error
    if sum(sizes) > _MAX_BYTES[_WEIGHTS]:
        raise ModelError(
            f"its {_WEIGHTS} declares {sum(sizes):,} bytes; at most {_MAX_BYTES[_WEIGHTS] >> 20} MB are supported"
        )


def _walk(h5py: Any, file: Any) -> Iterator[Any]:
    """Yields every group and array of an open HDF5 file. Links that could lead out of the file are refused."""
    waiting, count = [(file, 0)], 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            count += 1
            if count > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise ModelError(f"its {_WEIGHTS} contains too many arrays, or too many nested groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"its {_WEIGHTS} has a link, {name!r:.60}, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
                raise ModelError(f"its {_WEIGHTS} contains {name!r:.60}, which is not an array of numbers")
            elif item.external or item.is_virtual:
                raise ModelError(f"its {_WEIGHTS} stores the numbers of {name!r:.60} in another file")
            yield item
