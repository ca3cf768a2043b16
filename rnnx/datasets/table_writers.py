"""Writes tables row by row: CSV, TSV, JSON lines and Parquet. Parquet needs pyarrow, of `[tables]`.

To add a format, write its writer and give it an ending here.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import Any, BinaryIO, Protocol

from rnnx.errors import MissingExtraError, UsageError
from rnnx.text.tokenizer import to_bytes

_BATCH_ROWS = 1024
# The row groups of Parquet have at least this much, unpacked: the footer describes each, and is kept until the end.
_GROUP_BYTES = 1 << 22


class TableWriter(Protocol):
    """Writes the rows of a table."""

    def write(self, cells: Sequence[object]) -> None:
        """Writes one row."""

    def close(self) -> None:
        """Writes what is not written yet; the file stays open."""


class _Encoder:
    """Takes text as the csv module writes it, and restores the bytes of text that is not UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(to_bytes(text))


class DelimitedWriter:
    """Writes CSV or TSV, in UTF-8; cells are quoted where they need it."""

    def __init__(self, file: BinaryIO, names: Sequence[str], delimiter: str) -> None:
        """Writes the header."""
        self._writer = csv.writer(_Encoder(file), delimiter=delimiter, lineterminator="\n")
        self._writer.writerow(names)

    def write(self, cells: Sequence[object]) -> None:
        """Writes one row; a missing cell is empty."""
        self._writer.writerow(["" if cell is None else _to_text(cell) for cell in cells])

    def close(self) -> None:
        """Does nothing; each row is written at once."""


class JsonLinesWriter:
    """Writes one JSON object per line."""

    def __init__(self, file: BinaryIO, names: Sequence[str]) -> None:
        """Begins to write."""
        self._file, self._names = file, names

    def write(self, cells: Sequence[object]) -> None:
        """Writes one row; a missing cell is null."""
        row = dict(zip(self._names, cells, strict=True))
        self._file.write(json.dumps(row, default=_to_text).encode() + b"\n")

    def close(self) -> None:
        """Does nothing; each row is written at once."""


class ParquetWriter:
    """Writes Parquet; columns without a known type are strings."""

    def __init__(self, file: BinaryIO, names: Sequence[str], schema: Any, numbers: Sequence[str]) -> None:
        """Begins to write.

        Args:
            file: The file.
            names: The names of the columns.
            schema: The types of the first columns as pyarrow has them, or None.
            numbers: The columns of numbers among those that the schema does not have.
        """
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError as error:
            raise MissingExtraError("writing Parquet needs pyarrow: pip install 'rnnx[tables]'") from error
        self._pyarrow = pyarrow
        known = [] if schema is None else list(schema)
        others = names[len(known) :]
        fields = [field.with_name(name) for field, name in zip(known, names, strict=False)]
        fields += [(name, pyarrow.float64() if name in numbers else pyarrow.string()) for name in others]
        self._schema, self._known = pyarrow.schema(fields), len(known)
        self._numbers = [i for i, name in enumerate(names) if i >= len(known) and name in numbers]
        self._rows: list[list[object]] = []
        self._batches: list[Any] = []
        self._bytes = 0
        self._writer = pyarrow.parquet.ParquetWriter(file, self._schema)

    def write(self, cells: Sequence[object]) -> None:
        """Writes one row, together with the next ones."""
        self._rows.append(
            [
                cell if cell is None or i < self._known or i in self._numbers else _to_unicode(cell)
                for i, cell in enumerate(cells)
            ]
        )
        if len(self._rows) == _BATCH_ROWS:
            self._pack()
        if self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Writes the last rows and the end of the file."""
        self._pack()
        self._flush()
        self._writer.close()

    def _pack(self) -> None:
        """Turns the rows into Arrow's form, which takes less memory."""
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [
                self._pyarrow.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)
            ]
            self._batches.append(self._pyarrow.record_batch(arrays, schema=self._schema))
            self._bytes += self._batches[-1].nbytes
        self._rows = []

    def _flush(self) -> None:
        """Writes a row group."""
        if self._batches:
            table = self._pyarrow.Table.from_batches(self._batches)
            self._writer.write_table(table, row_group_size=len(table))
        self._batches, self._bytes = [], 0


def open_writer(file: BinaryIO, ending: str, names: Sequence[str], schema: Any, numbers: Sequence[str]) -> TableWriter:
    """Begins a table.

    Args:
        file: Where it is written.
        ending: The ending of its name.
        names: The names of the columns.
        schema: The types of the first columns as pyarrow has them; None if they have none.
        numbers: The columns of numbers among the others.

    Raises:
        UsageError: If no writer has this ending.
        MissingExtraError: If the format needs a package that is not installed.
    """
    match ending:
        case ".csv":
            return DelimitedWriter(file, names, ",")
        case ".tsv":
            return DelimitedWriter(file, names, "\t")
        case ".jsonl" | ".ndjson":
            return JsonLinesWriter(file, names)
        case ".parquet":
            return ParquetWriter(file, names, schema, numbers)
        case _:
            raise UsageError(f"--out: a name that ends in .csv, .tsv, .jsonl, .ndjson or .parquet, not {ending!r}")


def _to_text(cell: object) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "surrogateescape")
    if isinstance(cell, bool | int | float | list | dict):
        return json.dumps(cell, ensure_ascii=False, default=_to_text)
    return str(cell)


def _to_unicode(cell: object) -> str:
    """A cell as text that is valid Unicode, as Parquet demands; other bytes become U+FFFD."""
    return to_bytes(_to_text(cell)).decode("utf-8", "replace")
