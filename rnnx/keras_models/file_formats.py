"""The formats of Keras models in files: which reader takes a file, by its first bytes and the ending of its name.

To add a format, write its reader and add an entry to `FORMATS`. The formats are told apart by content where that is
possible, because files are renamed. Imports h5py, but neither Keras nor TensorFlow, so that a file that cannot be
exported is refused at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rnnx.bundle.directory import is_part_of_model
from rnnx.bundle.find_model import shipped_names
from rnnx.errors import ModelError
from rnnx.files.read import read_file
from rnnx.keras_models.hdf5_checks import HDF5_MARK
from rnnx.keras_models.hdf5_file import is_whole_model, read_hdf5_model, read_weights_and_config
from rnnx.keras_models.keras_file import MAX_BYTES, read_keras_file
from rnnx.keras_models.model_parts import CONFIG, METADATA, WEIGHTS, ModelParts, pack_members
from rnnx.onnx_file.admission import MAX_MODEL_BYTES

_LFS_MARK = b"version https://git-lfs.github.com/"
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD_BYTES = 64
_ENDINGS = (".weights.h5", ".keras", ".h5", ".hdf5", ".json")
_SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class FileFormat:
    """One format.

    Attributes:
        name: What the file is, for messages.
        recognises: Says whether a path has the format, given its first bytes; those of a folder are empty.
        read: Reads and checks the model. Raises `ModelError`.
        endings: The endings that the name should have; none if any will do.
    """

    name: str
    recognises: Callable[[Path, bytes], bool]
    read: Callable[[Path], ModelParts]
    endings: tuple[str, ...] = ()


def find_format(model: str | Path) -> FileFormat | None:
    """Finds the format of a path.

    Args:
        model: The path, or the name of a shipped model.

    Returns:
        The format; None if there is nothing at the path, or if it is no Keras model: a run or a bundle, for example.
    """
    path = Path(model)
    if str(model) in shipped_names() or not path.exists() or (path.is_file() and is_part_of_model(path)):
        return None
    head = _read_head(path)
    return next((found for found in FORMATS if found.recognises(path, head)), None)


def describe_ending(found: FileFormat, path: Path) -> str:
    """Says that the name of a file does not fit its content; empty if it does."""
    if not found.endings or _has_ending(path, *found.endings):
        return ""
    return f"{path} is {found.name} under another ending; it is read as such, and should end in {found.endings[0]}"


def name_without_ending(path: Path) -> str:
    """Returns the name of a model's file without its ending."""
    ending = next((ending for ending in _ENDINGS if path.name.lower().endswith(ending)), path.suffix)
    return path.name.removesuffix(path.name[len(path.name) - len(ending) :]) if ending else path.name


def _read_head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _has_ending(path: Path, *endings: str) -> bool:
    return path.name.lower().endswith(endings)


def _read(path: Path) -> bytes:
    return read_file(path, MAX_MODEL_BYTES)


def _read_keras(path: Path) -> ModelParts:
    return read_keras_file(_read(path), str(path))


def _read_hdf5(path: Path) -> ModelParts:
    data = _read(path)
    try:
        is_whole = is_whole_model(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    return read_hdf5_model(data, str(path)) if is_whole else _read_pair(path, _partner(path, ".json"))


def _read_json(path: Path) -> ModelParts:
    return _read_pair(_partner(path, ".weights.h5", ".h5", ".hdf5"), path)


def _read_pair(weights: Path, config: Path) -> ModelParts:
    text = read_file(config, MAX_BYTES[CONFIG])
    return read_weights_and_config(_read(weights), text, str(weights), str(config))


def _partner(path: Path, *endings: str) -> Path:
    """Finds the other file of a pair, which has the same name and another ending.

    Raises:
        ModelError: If it is missing.
    """
    wanted = [name_without_ending(path) + ending for ending in endings]
    for name in wanted:
        if (path.parent / name).is_file():
            return path.parent / name
    if endings == (".json",):
        raise ModelError(
            f"{path}: it has weights, but not the layers of the model; put {wanted[0]} with the text of "
            "model.to_json() next to it, or save the whole model as .keras"
        )
    raise ModelError(
        f"{path}: it has the layers of a model, but not the weights; put {wanted[0]} next to it "
        "(model.save_weights), or save the whole model as .keras"
    )


def _is_json(path: Path, head: bytes) -> bool:
    return _has_ending(path, ".json") and re.match(rb"\s*\{\s*\"(class_name|module)\"", head) is not None


def _refuse_pointer(path: Path) -> ModelParts:
    raise ModelError(f"{path}: a pointer of Git LFS, and not the file itself; run git lfs pull")


def _refuse_saved_model(path: Path) -> ModelParts:
    if (path / "keras_metadata.pb").is_file():
        how = 'tf.keras.models.load_model(FOLDER).save("model.h5"), with the TensorFlow that wrote it'
    else:
        how = 'model.save("model.keras"), where the model was made'
    raise ModelError(f"{path}: a SavedModel, which has a graph and not the layers; save the model with {how}")


def _read_folder(path: Path) -> ModelParts:
    """Reads a `.keras` file that was unpacked, as `keras.saving.save_model(..., zipped=False)` writes it."""
    members = {name: read_file(path / name, MAX_BYTES[name], folder=path) for name in (CONFIG, METADATA, WEIGHTS)}
    return read_keras_file(pack_members(members), str(path))


def _refuse_damaged(path: Path) -> ModelParts:
    raise ModelError(f"{path}: the file is damaged, or is no HDF5 file, which its name says it is")


# The first format that recognises a file is taken.
FORMATS = (
    FileFormat("a pointer of Git LFS", lambda path, head: head.startswith(_LFS_MARK), _refuse_pointer),
    FileFormat(
        "a .keras file",
        lambda path, head: head.startswith(_ZIP_MARKS) and _has_ending(path, *_ENDINGS),
        _read_keras,
        (".keras",),
    ),
    FileFormat("an HDF5 file", lambda path, head: head.startswith(HDF5_MARK), _read_hdf5, (".h5", ".hdf5")),
    FileFormat("the config of a model", _is_json, _read_json),
    FileFormat("a SavedModel", lambda path, head: (path / _SAVED_MODEL).is_file(), _refuse_saved_model),
    FileFormat("an unpacked .keras file", lambda path, head: (path / WEIGHTS).is_file(), _read_folder),
    FileFormat("a .keras file", lambda path, head: path.is_file() and _has_ending(path, ".keras"), _read_keras),
    FileFormat(
        "an HDF5 file", lambda path, head: path.is_file() and _has_ending(path, ".h5", ".hdf5"), _refuse_damaged
    ),
)
