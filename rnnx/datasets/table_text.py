"""Decodes the text of a table: UTF-8, UTF-16 and UTF-32 are recognised, and other encodings are given by the user.

A wrong encoding is never guessed into the data. charset-normalizer, if it is installed, names the likely ones.
"""

from __future__ import annotations

import codecs
import io
from contextlib import suppress
from itertools import groupby

from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Listener
from rnnx.errors import DataError, UsageError
from rnnx.text.tokenizer import to_bytes

# UTF-32 comes first, because its mark in little-endian order begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MOST_SAMPLE_BYTES = 1 << 16
# Of encodings that read the bytes of a file alike, the first of these is named: people know it, and programs write it.
_USUAL_ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1255", "cp1256", "cp1254", "cp1257", "cp1258", "cp874", "koi8_r"),
    *("gb18030", "big5", "euc_jp", "cp949", "cp932"),
)
# The longest line: twice the longest cell of a CSV (`rnnx.datasets.delimited`).
_MOST_LINE_CHARACTERS = 128 << 20


def open_text(file: TableFile, encoding: str | None, newline: str = "") -> io.TextIOWrapper:
    """Opens the text of a table; line ends are kept as they are, and a byte order mark is left out.

    Bytes that are not UTF-8 become lone surrogates, as `rnnx.text.tokenizer.to_bytes` undoes them. In other encodings,
    what cannot be decoded becomes U+FFFD.

    Args:
        file: The file.
        encoding: The encoding that the user named; None recognises it.
        newline: Where a line ends; empty for each of the usual line ends.

    Raises:
        UsageError: If there is no encoding of that name.
        OSError: If the file cannot be opened.
    """
    found = find_encoding(file.head) if encoding is None else _known_encoding(encoding)
    errors = "surrogateescape" if found == "utf-8-sig" else "replace"
    return _BoundedText(file, encoding=found, errors=errors, newline=newline)


class _BoundedText(io.TextIOWrapper):
    """The text of a table, which refuses a line that is too long to be kept, as a file without line ends has one."""

    def __init__(self, file: TableFile, *, encoding: str, errors: str, newline: str) -> None:
        super().__init__(file.open(), encoding=encoding, errors=errors, newline=newline)
        self._path, self._line = file.path, 0

    # The stubs of the standard library derive a text stream from one of bytes.
    def readline(self, size: int = -1, /) -> str:  # type: ignore[override]
        line = super().readline(size if 0 <= size <= _MOST_LINE_CHARACTERS else _MOST_LINE_CHARACTERS)
        self._line += 1
        if len(line) == _MOST_LINE_CHARACTERS:
            raise DataError(
                f"a line of {_MOST_LINE_CHARACTERS >> 20} MB or more (a file of zeros, or without line ends?)",
                self._path,
                self._line,
            )
        return line

    def __next__(self) -> str:  # type: ignore[override]
        if line := self.readline():
            return line
        raise StopIteration


def find_encoding(head: bytes) -> str:
    """Recognises UTF-16 and UTF-32 by the byte order mark, or UTF-16 without one by its zeros; else it is UTF-8."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    begin = head[:64]
    for encoding, zeros, others in (("utf-16-le", begin[1::2], begin[::2]), ("utf-16-be", begin[::2], begin[1::2])):
        if len(zeros) > 3 and zeros.count(0) > len(zeros) // 2 and not others.count(0):
            return encoding
    return "utf-8-sig"


def read_sample(file: TableFile, encoding: str | None) -> list[str]:
    """The first lines of a table, at most 200 and at most 64 KiB, with their line ends."""
    with open_text(file, encoding) as stream:
        text = stream.read(_MOST_SAMPLE_BYTES)
    lines = io.StringIO(text, newline="").readlines()
    if len(text) == _MOST_SAMPLE_BYTES and len(lines) > 1:
        lines.pop()  # the last one may be cut
    return lines[:200]


def _known_encoding(name: str) -> str:
    try:
        known = codecs.lookup(name)
        "".encode(known.name)  # some, such as rot13, do not turn text into bytes
    except (LookupError, UnicodeError) as error:
        raise UsageError(
            f"--encoding {name}: there is no such encoding; for example gb18030, cp1252, utf-16"
        ) from error
    return "utf-8-sig" if known.name == "utf-8" else known.name


class TextCheck:
    """Counts the rows whose text or label is not valid in the encoding of the file, and tells the user."""

    def __init__(self, place: str, encoding: str | None) -> None:
        """Begins to count.

        Args:
            place: What the number of a row counts.
            encoding: The encoding that the user named, if any.
        """
        self._place, self._encoding = place, encoding
        self._count, self._first = 0, 0
        self._sample = bytearray()

    def encode(self, text: str, number: int) -> bytes:
        """Encodes a text as UTF-8, with the bytes that it had in the file if they are not UTF-8.

        Args:
            text: From `open_text`.
            number: The number of its row.
        """
        try:
            data = text.encode()
            is_wrong = self._encoding is not None and "\ufffd" in text
        except UnicodeEncodeError:
            data, is_wrong = to_bytes(text), True
        if is_wrong:
            self._first = self._first or number
            self._count += 1
            if len(self._sample) < _MOST_SAMPLE_BYTES:
                self._sample += data + b"\n"
        return data

    def report(self, name: str, listener: Listener) -> None:
        """Sends a warning about the file of this name if there were such rows."""
        if not self._count:
            return
        rows = f"{self._count:,} rows hold" if self._count > 1 else "1 row holds"
        first = f"the first in {self._place} {self._first}"
        likely = likely_encodings(bytes(self._sample)) if self._encoding is None else []
        names = f", which may be {' or '.join(likely)}" if likely else ""
        what = f"{rows} text that is not valid {self._encoding or 'UTF-8'}, {first}"
        listener.on_warning(f"{name}: {what}; give the encoding with --encoding{names}")


def likely_encodings(data: bytes) -> list[str]:
    """Up to three encodings that the bytes may have; none without charset-normalizer."""
    with suppress(ImportError):
        from charset_normalizer import from_bytes

        names: list[str] = []
        # Encodings that read the bytes alike are one match, and equally likely ones come in the order of the alphabet.
        for _, equals in groupby(from_bytes(data), lambda match: (match.chaos, match.coherence)):
            likely = [_usual_name(match.could_be_from_charset) for match in equals]
            names += sorted(likely, key=_rank)
        found = [name for name in dict.fromkeys(names) if not name.startswith("utf")]
        return ([name for name in found if name in _USUAL_ENCODINGS] or found)[:3]
    return []


def _usual_name(names: list[str]) -> str:
    """The usual one of the names of encodings that read some bytes alike."""
    return min(names, key=_rank)


def _rank(name: str) -> int:
    """How usual an encoding is: 0 is the most usual one; all that are not usual are alike."""
    return _USUAL_ENCODINGS.index(name) if name in _USUAL_ENCODINGS else len(_USUAL_ENCODINGS)
