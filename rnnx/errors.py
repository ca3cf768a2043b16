"""All errors that rnnx raises on purpose, as one class hierarchy, and how another library's error is quoted.

A message says what is wrong, where, and what to do next. Programming errors raise `ValueError` and `TypeError`. The
exit code of each error is defined by the command line, `rnnx.cli`. Imports the standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rnnx.proof.report import ParityReport


class RnnxError(Exception):
    """The base class of all errors of rnnx; catch it to catch them all."""


class UsageError(RnnxError):
    """The request cannot be met, such as an unknown recipe, or an output folder that holds something else."""


class DataError(RnnxError):
    """A text, a file of texts or a dataset cannot be read in the expected format.

    Attributes:
        what: What is wrong, and what to do.
        where: The file, as it was named; None where there is none, or the caller names it.
        line: In that file, from 1; None where it is not about a line.
    """

    def __init__(self, what: str, where: str | Path | None = None, line: int | None = None) -> None:
        place = [str(part) for part in (where, line) if part is not None]
        super().__init__(": ".join([":".join(place), what] if place else [what]))
        self.what, self.where, self.line = what, where, line


class UntrustedDataError(DataError):
    """A dataset is not the expected one, or may do harm: an archive with paths outside it, or a decompression bomb."""


class MissingExtraError(RnnxError):
    """A package of an optional extra is missing or too old; the message says what to install."""


class ModelError(RnnxError):
    """A model, run or bundle is broken, altered, not trustworthy, or of a kind that rnnx does not support."""


class DeviceError(RnnxError):
    """The requested device is not available."""


class NoKernelError(DeviceError):
    """The requested device is available, but has no kernel for a recurrence of the file."""


class LowMemoryError(RnnxError):
    """There is too little memory."""

    def __init__(self, doing: str = "finish") -> None:
        super().__init__(f"too little memory to {doing}; free some, or raise the limit (ulimit -v)")


class ParityError(RnnxError):
    """The exported file does not compute what Keras computed; nothing was published.

    Attributes:
        report: The full comparison, with its verdict.
    """

    def __init__(self, message: str, report: ParityReport) -> None:
        super().__init__(message)
        self.report = report


def one_line(error: BaseException | None, most: int = 300) -> str:
    """The message of another library's error on one line, for use in a message of ours.

    Args:
        error: The error.
        most: How many characters of it are kept.
    """
    return " ".join(str(error).split())[:most]


# Parts of the messages of Python, the dynamic loader, the C++ library, NumPy, TensorFlow, protobuf, onnxruntime. Where
# Python has no memory for its own MemoryError, it says that an error has no exception.
_NO_MEMORY: tuple[str, ...] = (
    "error return without exception set",
    "without setting an exception",
    "can't allocate",
    "bad_alloc",
    "bad allocation",
    "Cannot allocate memory",
    "failed to map segment",
    "Unable to allocate",
)
_NO_MEMORY += (
    "can't start new thread",
    "Failed to allocate memory",
    "OOM when allocating",
    "thread constructor failed",
    "Failed to serialize proto",
)


def lacks_memory(error: BaseException | None) -> bool:
    """Says whether an error of another library, or one that it was raised from, tells of too little memory."""
    while error is not None:
        if isinstance(error, MemoryError) or any(part in str(error) for part in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False
