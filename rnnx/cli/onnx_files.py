"""Reads the .onnx files that a user names: all files of a bundle, or one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rnnx.bundle.directory import Directory, is_part_of_model, read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.errors import ModelError
from rnnx.files.read import read_file
from rnnx.onnx_file.admission import require_loadable

if TYPE_CHECKING:
    from rnnx.text.ids import IdEncoder


class OnnxFiles(NamedTuple):
    """The .onnx files that a user named.

    Attributes:
        files: The content of each file by name.
        reader: The encoder that turns the bundle's texts or words into ids; None for a file outside a bundle, or a
            model that reads no text.
        directory: The bundle; None for a file outside a bundle.
        is_whole: Whether the user named a bundle, not a file.
    """

    files: dict[str, bytes]
    reader: IdEncoder | None = None
    directory: Directory | None = None
    is_whole: bool = False


def read_onnx_files(model: str, key: Path | None = None) -> OnnxFiles:
    """Reads the .onnx files that a user names.

    Args:
        model: The name of a shipped model, the path of a bundle, or the path of one .onnx file.
        key: The public key or certificate with which the bundle has to be signed; None for no check.

    Raises:
        MissingExtraError: With a key, if the extra [sign] is not installed.
        ModelError: If there is no such model, or it is broken, altered or unsafe to load, or has no .onnx file.
        OSError: If a file cannot be read.
    """
    from rnnx.text.ids import read_id_encoder

    path = Path(model)
    is_file = path.suffix == ".onnx" and path.is_file()
    if is_file and not is_part_of_model(path):
        if key is not None:
            raise ModelError(f"{model}: only a bundle can be signed, and this file is in none")
        data = read_file(path)
        require_loadable(path, data)
        return OnnxFiles({path.name: data})
    signed = None
    if key is not None:
        from rnnx.bundle.signature import check_signature  # needs the extra [sign]

        signed = check_signature(find_directory(model), key)
    directory = read_directory(find_directory(model), signed)
    files = {name: data for name, data in directory.files.items() if name.endswith(".onnx")}
    if not files:
        raise ModelError(f"{directory.path}: no .onnx file: this is a training run; rnnx export makes a bundle of it")
    chosen = {path.name: files[path.name]} if is_file else files
    return OnnxFiles(chosen, read_id_encoder(directory), directory, not is_file)
