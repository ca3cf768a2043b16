"""A `.keras` file looked through before Keras reads it, and handed to it without what it need not see.

Keras builds whatever class or function the file names; its own safe mode has been got around again and again
(CVE-2025-1550, -8747, -9905, -9906, -49655; CVE-2026-1462). So only classes of Keras itself pass here, of its layers
only those that rnnx models, none of which carries code or reads a file; and weights only as arrays in the file itself.
Imports h5py, which comes with Keras, and neither Keras nor TensorFlow.
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
# The largest configuration of the tests has 0.1 MB. Weights: as many as an `.onnx` file may have.
_MOST_BYTES = {_CONFIG: 1 << 24, _METADATA: 1 << 20, _WEIGHTS: 1 << 30}
# RuntimeError is zipfile's for a member that is encrypted, or packed in a way that it does not know; ValueError is its
# own for a header that makes no sense, and that of names and JSON that are no text.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
_MOST_OBJECTS, _MOST_DEPTH = 100_000, 32

# By module, or its place inside Keras, the classes that are known to compute and nothing else.
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
    """Looks through a file and packs what is needed of it anew.

    Args:
        data: The file.
        name: For the message.

    Returns:
        The same model without its optimizer, loss and metrics, which may be functions of the user's own.

    Raises:
        ModelError: If it is none, or holds what Keras should not be handed; the first such thing.
    """
    try:
        members = _unpack(data)
        config = parse_json(members[_CONFIG])
        _check_classes(config, "")
        _check_weights(members[_WEIGHTS])
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except _DAMAGE as error:
        raise ModelError(f"{name}: not a .keras file, or a damaged one ({one_line(error, 200)})") from error
    members[_CONFIG] = json.dumps(_without_compilation(config)).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return packed.getvalue()


def _unpack(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        if sorted(entry.filename for entry in entries) != sorted(_MOST_BYTES):
            others = [entry.filename for entry in entries if entry.filename not in _MOST_BYTES]
            what = f"holds {others[0]!r:.60} besides" if others else "misses some of them, or holds one twice"
            raise ModelError(f"should hold {', '.join(_MOST_BYTES)}, and {what}")
        for entry in entries:
            if entry.file_size > _MOST_BYTES[entry.filename]:
                most = _MOST_BYTES[entry.filename] >> 20
                raise ModelError(f"its {entry.filename} unpacks to {entry.file_size:,} bytes; {most} MB are the most")
        return {entry.filename: archive.read(entry) for entry in entries}  # no more than is declared


def _check_classes(value: Any, layer: str) -> None:
    """Looks at everything in a configuration that Keras would make an object of; `layer` is the innermost around."""
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
        raise ModelError(f"{where}a Lambda carries code of whoever made the file, and is not loaded")
    said = f"{module or 'no module'!s:.60}, {class_name!s:.60}"
    if not isinstance(class_name, str) or not isinstance(module, str | None) or registered not in (None, class_name):
        raise ModelError(f"{where}{said}, registered as {registered!s:.60}: not a class of Keras's own, and not loaded")
    if (module is None and class_name in _PLAIN) or (module == "keras.src.ops.numpy" and class_name == "NotEqual"):
        return
    if module == "keras.layers" or (module or "").startswith("keras.src.layers."):
        if class_name not in _LAYERS:
            raise ModelError(f"{where}{class_name!s:.60} is of a kind that is not modelled; nothing was exported")
        return
    is_model = class_name in ("Sequential", "Functional", "Model", "DTypePolicy") and _MODELS.fullmatch(module or "")
    if not is_model and not (_PARTS.fullmatch(module or "") and class_name.isidentifier() and class_name[0].isupper()):
        raise ModelError(f"{where}{said}: code from outside the layers of Keras, which is not loaded")


def _without_compilation(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_compilation(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_compilation(item) for key, item in value.items() if key != "compile_config"}
    return value


def _check_weights(data: bytes) -> None:
    """Makes sure that every array lies in the file itself and is no larger than it may be."""
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            sizes = [item.nbytes for item in _walk(h5py, file) if isinstance(item, h5py.Dataset)]
    except (OSError, RuntimeError, KeyError, ValueError, ArithmeticError) as error:  # of shapes beyond all bounds too
        raise ModelError(f"its {_WEIGHTS} is damaged ({one_line(error, 200)})") from error
    if sum(sizes) > _MOST_BYTES[_WEIGHTS]:
        raise ModelError(f"its {_WEIGHTS} declares {sum(sizes):,} bytes of weights; that is too many")


def _walk(h5py: Any, file: Any) -> Iterator[Any]:
    """Every group and array, by links that stay inside."""
    waiting, count = [(file, 0)], 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            count += 1
            if count > _MOST_OBJECTS or depth > _MOST_DEPTH:
                raise ModelError(f"its {_WEIGHTS} holds too much, or in too many groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"its {_WEIGHTS} has a link, {name!r:.60}, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            elif not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub":
                raise ModelError(f"its {_WEIGHTS} holds {name!r:.60}, which is no array of numbers")
            elif item.external or item.is_virtual:
                raise ModelError(f"its {_WEIGHTS} has the numbers of {name!r:.60} in another file")
            yield item
