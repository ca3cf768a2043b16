"""Reads tables of JSON: an object a line, an array of objects, or one object with all of it. Standard library only."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, Literal, TypeAlias

from rnnx.datasets.column_names import find_columns
from rnnx.datasets.json_document import find_rows
from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Columns, Table, TableForm, TableRow
from rnnx.datasets.table_text import open_text
from rnnx.errors import DataError

# The number of a line or an item, from 1, and the object; instead of the object a message about what is wrong with it.
_Object: TypeAlias = tuple[int, dict[str, object] | str]
_SAMPLE_ROWS = 100
_CHUNK_CHARACTERS = 1 << 16
_MOST_CHARACTERS = 64 << 20  # of one object, as of one cell of a CSV
_BLANKS = re.compile(r"[ \t\r\n]*")


def read_json_lines(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at a file of one JSON object per line."""
    del columns
    return _table(partial(read_objects, file, form))


def read_json(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at a file of one JSON array of objects, of one object per line, or of one object with the whole table."""
    with open_text(file, form.encoding) as stream:
        begin = stream.read(_CHUNK_CHARACTERS).lstrip()
    if begin.startswith("["):
        return _table(partial(_array, file, form), place="row")
    document = _only_object(file, form)
    if document is not None and not _is_row(document, columns) and (found := find_rows(document)) is not None:
        rows, note = found
        return _table(lambda: ((i, _require_object(row)) for i, row in enumerate(rows, 1)), "row", note)
    return _table(partial(read_objects, file, form))


def _is_row(document: dict[str, Any], columns: Columns) -> bool:
    """Whether the object is the only row of a table: it has a text itself, perhaps next to a list of other objects."""
    found = find_columns(list(document), columns)
    name = columns.text if found is None else list(document)[found.text]
    return isinstance(document.get(name or ""), str)


def _only_object(file: TableFile, form: TableForm) -> dict[str, Any] | None:
    """Returns the object that a file consists of; None if it has more than one, or something else.

    Raises:
        DataError: If it is too long to be read whole.
    """
    with open_text(file, form.encoding) as stream:
        text = _Pieces(file, stream)
        if text.peek() != "{":
            return None
        try:
            value = text.take_value()
        except DataError as error:
            if text.is_full and isinstance(error.__cause__, json.JSONDecodeError) and text.is_near_end(error.__cause__):
                raise DataError(
                    f"one JSON object of more than {_MOST_CHARACTERS >> 20} MB; save one object a line instead, as "
                    "pandas does with to_json(..., orient='records', lines=True)",
                    file.path,
                ) from error
            return None  # the reader of lines says what is wrong
        return value if isinstance(value, dict) and not text.peek() else None


def _table(read: Callable[[], Iterator[_Object]], place: Literal["line", "row"] = "line", note: str = "") -> Table:
    objects = [value for _, value in islice(read(), _SAMPLE_ROWS) if isinstance(value, dict)]
    names = list(dict.fromkeys(name for value in objects for name in value))
    sample = [[value.get(name) for name in names] for value in objects]
    return Table(names or None, sample, partial(_rows, read, names), place, note=note)


def _rows(read: Callable[[], Iterator[_Object]], names: Sequence[str], wanted: Sequence[int]) -> Iterator[TableRow]:
    keys = [names[i] for i in wanted] if names else [""] * len(wanted)
    known = frozenset(names)
    for number, value in read():
        if isinstance(value, str):
            yield TableRow(number, (), value)
        else:
            yield TableRow(number, [value.get(key) for key in keys], None, sum(key not in known for key in value))


def read_objects(file: TableFile, form: TableForm) -> Iterator[tuple[int, dict[str, object] | str]]:
    """Yields the number and the object of each line that is not blank; for a bad line, says what is wrong with it."""
    with open_text(file, form.encoding, newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line.removeprefix("\ufeff"))
            except (ValueError, RecursionError) as error:
                yield number, f"not a line of JSON ({error})"
                continue
            yield number, _require_object(value)


def _require_object(value: object) -> dict[str, object] | str:
    return value if isinstance(value, dict) else f"should be a JSON object, not {type(value).__name__}"


def _array(file: TableFile, form: TableForm) -> Iterator[_Object]:
    """Yields the items of an array one by one; only a piece of the text is in memory."""
    with open_text(file, form.encoding) as stream:
        text = _Pieces(file, stream)
        text.take("[")
        number = 0
        while text.peek() != "]":
            if number:
                text.take(",")
                text.peek()
            number += 1
            yield number, _require_object(text.take_value())
        text.take("]")
        if text.peek():
            raise DataError("there is more after the end of the JSON array", file.path, text.line)


class _Pieces:
    """A JSON text that is read piece by piece.

    Attributes:
        line: The line of the next character, from 1.
    """

    def __init__(self, file: TableFile, stream: io.TextIOWrapper) -> None:
        self._file, self._stream = file, stream
        self._text, self._place, self.line = "", 0, 1
        self._decoder = json.JSONDecoder()

    def peek(self) -> str:
        """The next character that is not blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._place)
            self._advance(blanks.end() if blanks else self._place)
            if self._place < len(self._text) or not self._read(_CHUNK_CHARACTERS):
                return self._text[self._place : self._place + 1]

    def take(self, mark: str) -> None:
        """Steps over a character.

        Raises:
            DataError: If another one comes.
        """
        if (found := self.peek()) != mark:
            raise DataError(
                f"not a JSON array: {mark!r} expected, not {found or 'the end'!r}", self._file.path, self.line
            )
        self._place += 1

    def take_value(self) -> object:
        """Steps over a value and returns it.

        Raises:
            DataError: If it is not JSON, or too long.
        """
        size = _CHUNK_CHARACTERS
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._place)
            except (ValueError, RecursionError) as error:
                # The rest of the value may not be here yet. Each try reads twice as much as the last one.
                if self.is_full or not self._read(size):
                    raise DataError(f"not JSON ({getattr(error, 'msg', error)})", self._file.path, self.line) from error
                size *= 2
                continue
            if end == len(self._text) and self._read(size):  # a number may go on
                continue
            self._advance(end)
            return value

    @property
    def is_full(self) -> bool:
        """Whether the text from here on is as long as a value may be."""
        return len(self._text) - self._place > _MOST_CHARACTERS

    def is_near_end(self, error: json.JSONDecodeError) -> bool:
        """Whether the text may only be cut off at an error, not wrong."""
        return error.pos > len(self._text) - _MOST_CHARACTERS // 4

    def _advance(self, end: int) -> None:
        self.line += self._text.count("\n", self._place, end)
        self._place = end

    def _read(self, size: int) -> bool:
        more = self._stream.read(size)
        self._text, self._place = self._text[self._place :] + more, 0
        return bool(more)
