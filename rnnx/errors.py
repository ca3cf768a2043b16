"""Every error that rnnx raises on purpose, in one tree; and how the message of another library's error is quoted.

Messages say what is wrong, where, and what to do next. Programmer mistakes stay `ValueError` and `TypeError`. Exit
codes are the command line's affair (`rnnx.cli`). Imports nothing beyond the standard library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from rnnx.proof.report import ParityReport


class RnnxError(Exception):
    """Base of all errors of rnnx; catch this one to catch them all."""


class UsageError(RnnxError):
    """The request itself makes no sense: an unknown recipe, an output folder that is something else."""


class DataError(RnnxError):
    """A text, a file of texts or a dataset cannot be read as what it should be.

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
    """A dataset that is not what it says it is, or made to do harm: an archive that leads out of itself, or a bomb."""


class MissingExtraError(RnnxError):
    """A package of an optional extra is not installed; the message names the extra."""


class ModelError(RnnxError):
    """A model, run or bundle is broken, altered, not to be trusted, or of a kind that rnnx does not model."""


class DeviceError(RnnxError):
    """The device asked for is not there."""


class NoKernelError(DeviceError):
    """The device is there, and has no kernel for a recurrence of the file."""


class ParityError(RnnxError):
    """The exported file does not compute what Keras computed; nothing was published.

    Attributes:
        report: The full comparison, verdict included.
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
