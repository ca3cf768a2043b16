"""Reads files of unknown origin: once, whole, and only regular files up to a size limit.

Reading a named pipe may block forever, a device has no end, and a symbolic link in a downloaded folder may lead out of
it. A hard link cannot be told from a regular file. It need not be, because the content of a model file is checked
wherever it comes from. Imports the standard library only.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rnnx.errors import ModelError
from rnnx.onnx_file.admission import MAX_MODEL_BYTES

_MODEL_SUFFIXES = (".onnx", ".keras")
# 64 MB, enough for a vocabulary of a million words of 60 bytes. The largest shipped file besides the models has 0.3 MB.
MAX_FILE_BYTES = 1 << 26
# O_NONBLOCK, because opening a named pipe without a writer would block. Windows has neither it nor O_CLOEXEC.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_file(path: Path, max_bytes: int | None = None, *, folder: Path | None = None) -> bytes:
    """Reads a file.

    Args:
        path: The path of the file.
        max_bytes: The size limit in bytes; None for the limit of its file type.
        folder: The folder that the file must be in after all symbolic links are resolved; None for any folder.

    Returns:
        The content of the file.

    Raises:
        ModelError: If it is not a regular file, is too large, or is outside `folder`.
        OSError: If it cannot be opened or read.
    """
    if max_bytes is None:
        max_bytes = MAX_MODEL_BYTES if path.suffix in _MODEL_SUFFIXES else MAX_FILE_BYTES
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{path}: the link leads out of {folder} and is not followed")
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: not a regular file")
        if status.st_size > max_bytes:
            raise ModelError(f"{path}: the file is larger than {max_bytes >> 20} MB and was not read")
        return file.read(status.st_size)  # no more than that, even if the file grows meanwhile
