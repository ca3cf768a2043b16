"""Reads tables whose cells are separated by a character: CSV, TSV and their relatives. Standard library only.

The delimiter is found by looking at the first rows. Quotes enclose cells as in CSV (RFC 4180). Between tabs they mostly
do not: many files have texts that begin with a quote. So the cells of a TSV are unquoted, unless the whole file is
quoted consistently.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Literal, TypeAlias

from rnnx.datasets.column_names import find_columns
from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Columns, Table, TableForm, TableRow
from rnnx.datasets.table_text import open_text, read_sample
from rnnx.datasets.tsv_quotes import is_quoted_tsv
from rnnx.errors import DataError, UsageError

_CSV_FIELD_LIMIT_BYTES = 64 << 20
_DELIMITERS = (",", ";", "\t", "|")
_TAB_ENDINGS = (".tsv", ".tab")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
# Excel reads such a first line, and some programs write it.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n?')
_SAMPLE_ROWS = 100
_Quoting: TypeAlias = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE


def read_delimited(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at a table.

    Args:
        file: The file.
        columns: The columns that the user named; they help to find the delimiter.
        form: What the user said about the form.

    Raises:
        UsageError: If the delimiter is not one character.
    """
    csv.field_size_limit(_CSV_FIELD_LIMIT_BYTES)
    lines = read_sample(file, form.encoding)
    skipped, delimiter = 0, None if form.delimiter is None else _known_delimiter(form.delimiter)
    if lines and (line := _SEPARATOR_LINE.fullmatch(lines[0])):
        skipped, delimiter = 1, delimiter or line[1]
    delimiter = delimiter or _find_delimiter(lines, file.ending, columns, form)
    is_quoted = form.is_quoted
    if is_quoted is None:
        is_quoted = delimiter != "\t" or is_quoted_tsv(partial(_open, file, form, skipped), has_header=form.has_header)
    source = _Source(file, form, skipped, delimiter, is_quoted)
    sample = [row.cells for row in islice(source.all_rows(), _SAMPLE_ROWS) if row.problem is None]
    if form.has_header:
        names, sample = [str(name) for name in sample[0]] if sample else [], sample[1:]
    else:
        names = [str(number) for number in range(1, max(map(len, sample), default=0) + 1)]
    hint = (
        "if quotes are a part of the texts, give --no-quotes"
        if is_quoted
        else "if quotes enclose the cells, give --quotes"
    )
    has_quotes = any('"' in line for line in lines)
    read = partial(source.rows, len(names))
    return Table(names, sample, read, delimiter=delimiter, hint=hint if has_quotes else "")


def _open(file: TableFile, form: TableForm, skipped: int) -> io.TextIOWrapper:
    stream = open_text(file, form.encoding)
    for _ in range(skipped):
        stream.readline()
    return stream


class _Lines:
    """The lines of a stream; knows whether more were wanted than there are."""

    def __init__(self, stream: io.TextIOWrapper) -> None:
        self._stream, self.is_exhausted = stream, False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._stream.readline()
        if not line:
            self.is_exhausted = True
            raise StopIteration
        return line


@dataclass(frozen=True)
class _Source:
    """The lines of a file, and how they are taken apart."""

    file: TableFile
    form: TableForm
    skipped: int
    delimiter: str
    is_quoted: bool

    def all_rows(self) -> Iterator[TableRow]:
        """Yields all rows that are not blank, the header included, with all cells."""
        quoting: _Quoting = csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE
        with _open(self.file, self.form, self.skipped) as stream:
            lines, last = _Lines(stream), self.skipped
            reader = csv.reader(lines, delimiter=self.delimiter, quoting=quoting, strict=True)
            while True:
                first = last + 1
                try:
                    cells, problem = next(reader), None
                except StopIteration:
                    return
                except csv.Error as error:
                    if lines.is_exhausted:  # everything from here on is in one cell
                        raise DataError(
                            f"the row after line {last}: {error}: a quote opens and never closes, or there is one too "
                            "many; mend it, or if quotes are a part of the texts, give --no-quotes",
                            self.file.path,
                        ) from error
                    cells, problem = [], f"{error} (a quote too many?)"
                last = reader.line_num + self.skipped
                if problem and last > first:
                    problem = f"lines {first} to {last} as one row: {problem}"
                if cells or problem:
                    yield TableRow(first, cells, problem)

    def rows(self, width: int, wanted: Sequence[int]) -> Iterator[TableRow]:
        """Yields some cells of the rows after the header.

        Args:
            width: The number of cells that a row should have.
            wanted: The indices of the cells.
        """
        rows = self.all_rows()
        for row in islice(rows, 1, None) if self.form.has_header else rows:
            cells, problem = row.cells, row.problem
            if any(str(cell).strip() for cell in cells[width:]):
                why = f"(is {self.delimiter!r} in a text without quotes?)"
                if any(str(cell).lstrip().startswith("'") for cell in cells):
                    why = f"(is {self.delimiter!r} in a text? only double quotes enclose a cell, not single ones)"
                problem = f"{len(cells)} cells, but there are {width} columns {why}"
            yield TableRow(row.number, [cells[i] if i < len(cells) else None for i in wanted], problem)


def _known_delimiter(name: str) -> str:
    delimiter = _NAMED.get(name.lower(), name)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise UsageError(f"--delimiter {name!r}: give one character, or one of {', '.join(_NAMED)}")
    return delimiter


def _find_delimiter(lines: Sequence[str], ending: str, columns: Columns, form: TableForm) -> str:
    """The delimiter whose rows have the wanted columns in the header; else the one that gives the most even rows."""
    usual = "\t" if ending in _TAB_ENDINGS else ","

    def rate(delimiter: str) -> tuple[bool, float, bool]:
        quoting: _Quoting = csv.QUOTE_NONE if delimiter == "\t" and form.is_quoted is not True else csv.QUOTE_MINIMAL
        rows = [row for row in csv.reader(lines, delimiter=delimiter, quoting=quoting) if row]
        if not rows or len(rows[0]) < 2:
            return False, 0.0, delimiter == usual
        has_columns = form.has_header and find_columns(rows[0], columns) is not None
        return has_columns, sum(len(row) == len(rows[0]) for row in rows) / len(rows), delimiter == usual

    return max(_DELIMITERS, key=rate)
