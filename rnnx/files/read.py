"""Files from anywhere, read once and whole, as bytes: regular ones only, and none larger than it may be.

A named pipe would be waited for, a device has no end, and a link in a stranger's folder may lead out of it. A hard link
cannot be told from a file, and need not be: what a model file may hold does not depend on what else has its name.
Standard library only.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rnnx.errors import ModelError
from rnnx.onnx_file.admission import MOST_MODEL_BYTES

_MODEL_ENDINGS = (".onnx", ".keras")
# A million words of sixty bytes; the largest of the shipped files that are no models has 0.3 MB.
MOST_FILE_BYTES = 1 << 26
# Not blocking: a named pipe without a writer would be waited for. Neither flag is there on Windows.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_file(path: Path, most_bytes: int | None = None, *, folder: Path | None = None) -> bytes:
    """Reads a file.

    Args:
        path: Where it is.
        most_bytes: How large it may be; by its ending if None.
        folder: Where it has to be in the end, whatever links lie on the way; anywhere if None.

    Raises:
        ModelError: If it is no regular file, or too large, or elsewhere.
        OSError: If it cannot be opened or read.
    """
    if most_bytes is None:
        most_bytes = MOST_MODEL_BYTES if path.suffix in _MODEL_ENDINGS else MOST_FILE_BYTES
    if folder is not None and not path.resolve().is_relative_to(folder.resolve()):
        raise ModelError(f"{path}: a link that leads out of {folder}; it is not followed")
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: not a regular file")
        if status.st_size > most_bytes:
            raise ModelError(f"{path}: larger than {most_bytes >> 20} MB, and not read")
        return file.read(status.st_size)  # and no more, should it grow meanwhile
