"""Warns of files of texts that are probably not what they should be: empty, or not UTF-8. Standard library only."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rnnx.datasets.table_form import Listener
from rnnx.datasets.table_text import likely_encodings

_MOST_SAMPLE_BYTES = 1 << 16
_SHOWN = 3


class TextFileCheck:
    """Looks at the files of a folder or an archive, in any order."""

    def __init__(self) -> None:
        """Begins to count."""
        self._empty: list[PurePosixPath] = []
        self._wrong: list[PurePosixPath] = []
        self._sample = bytearray()

    def add(self, file: PurePosixPath, data: bytes) -> None:
        """Looks at a file, which stays as it is."""
        if not data.strip():
            self._empty.append(file)
        elif not _is_utf8(data):
            self._wrong.append(file)
            if len(self._sample) < _MOST_SAMPLE_BYTES:
                self._sample += data[:_MOST_SAMPLE_BYTES] + b"\n"

    def report(self, path: Path, listener: Listener) -> None:
        """Sends a warning for each kind of file that was found in the folder or the archive at `path`."""
        if self._empty:
            listener.on_warning(f"{path}: {_describe('without text', self._empty)}")
        if self._wrong:
            likely = likely_encodings(bytes(self._sample))
            names = f", which may be {' or '.join(likely)}" if likely else ""
            listener.on_warning(
                f"{path}: {_describe('not in UTF-8', self._wrong)}, read byte by byte; convert from the right encoding"
                f"{names}, for example with iconv"
            )


def is_text_name(file: PurePosixPath) -> bool:
    """Whether a file of a folder or an archive is a text by its ending, in capitals or not."""
    return file.suffix.lower() == ".txt"


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in data  # as in UTF-16


def _describe(what: str, files: list[PurePosixPath]) -> str:
    names = ", ".join(map(str, sorted(files)[:_SHOWN])) + (", ..." if len(files) > _SHOWN else "")
    return f"{len(files):,} files {what} ({names})" if len(files) > 1 else f"1 file {what} ({names})"
