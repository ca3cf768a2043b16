"""Reads files of unknown origin: once, whole, and only regular files up to a size limit.

Reading a named pipe may block forever, a device has no end, and a symbolic link in a downloaded folder may lead out of
it. A hard link cannot be told from a regular file. It need not be, because the content of a model file is checked
wherever it comes from. Imports the standard library only.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import BinaryIO

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
        ModelError: If it is not a regular file, is too large, is outside `folder`, or is a link that leads in a circle.
        OSError: If it cannot be opened or read.
    """
    if max_bytes is None:
        max_bytes = MAX_MODEL_BYTES if path.suffix in _MODEL_SUFFIXES else MAX_FILE_BYTES
    if folder is not None and not _is_inside(path, folder):
        raise ModelError(f"{path}: the link leads out of {folder} and is not followed")
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:  # a zero byte or a lone surrogate
        raise OSError(errno.EINVAL, "not a file name", str(path)) from error
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: not a regular file")
        if status.st_size > max_bytes:
            raise ModelError(f"{path}: the file is larger than {max_bytes >> 20} MB and was not read")
        return file.read(status.st_size)  # no more than that, even if the file grows meanwhile


def open_stdin() -> BinaryIO:
    """Returns stdin as a file of bytes.

    Raises:
        OSError: If it is closed, as cron and some supervisors start programs.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise OSError(errno.EBADF, "stdin is closed")
    return sys.stdin.buffer


def _is_inside(path: Path, folder: Path) -> bool:
    """Says whether a path is in a folder after all links are resolved.

    Raises:
        ModelError: If a link leads in a circle.
    """
    try:
        return path.resolve().is_relative_to(folder.resolve())
    except RuntimeError as error:  # Python before 3.13
        raise ModelError(f"{path}: the link leads in a circle") from error
    except ValueError:  # a zero byte or a lone surrogate, which no file name has
        return True
