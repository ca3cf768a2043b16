"""All errors that rnnx raises on purpose, as one class hierarchy.

A message says what is wrong, where, and what to do next. Programming errors raise `ValueError` and `TypeError`. The
exit code of each error is defined by the command line, `rnnx.cli`. Imports the standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnx.proof.report import ParityReport


class RnnxError(Exception):
    """The base class of all errors of rnnx; catch it to catch them all."""


class UsageError(RnnxError):
    """The request makes no sense, such as an unknown recipe, or an output folder that holds something else."""


class DataError(RnnxError):
    """A text, a file of texts or a dataset cannot be read in the expected format."""


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


class ParityError(RnnxError):
    """The exported file does not compute what Keras computed; nothing was published.

    Attributes:
        report: The full comparison, with its verdict.
    """

    def __init__(self, message: str, report: ParityReport) -> None:
        super().__init__(message)
        self.report = report
