"""Writes to a terminal or a pipe: tables and JSON to stdout; errors, notes and hints to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from rnnx.cli import directions

# The layout of a table needs all of its rows; with more rows than this, a reader would wait for the first one.
TABLE_ROWS = 200
# A message may quote the content of a file, which may be long; the middle of a longer message is left out.
_MOST_CHARACTERS, _LAST_CHARACTERS = 1000, 200
# Not printable for Python, but harmless: the spaces of other scripts, and two joiners, which Persian, Hindi and emoji
# need.
_KEPT = frozenset(
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000\u200c\u200d"
)


def prepare() -> None:
    """Makes stdout and stderr accept any text: a file name that is not UTF-8 is escaped and raises no error."""
    # Otherwise the next file that is opened would get the number of a closed stream, and what libraries write to that.
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # A stream that was closed before the start (`>&-`) is None.
    if sys.stdout is None or sys.stdout.closed:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process
    if sys.stderr is None or sys.stderr.closed:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # see above
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class StdoutError(Exception):
    """Stdout cannot be written: the disk is full, or the reader has closed the pipe.

    It is not an OSError, because typer handles those itself.

    Attributes:
        is_broken_pipe: Whether the reader has closed the pipe.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(f"stdout: {error.strerror or error}")
        self.is_broken_pipe = isinstance(error, BrokenPipeError)


def put(data: str | bytes) -> None:
    """Writes to stdout, unchanged.

    Raises:
        StdoutError: If stdout cannot be written.
    """
    try:
        if isinstance(data, str):
            sys.stdout.write(data)
        else:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
    except OSError as error:
        raise StdoutError(error) from error


def flush() -> None:
    """Flushes stdout.

    Raises:
        StdoutError: As for `put`.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        raise StdoutError(error) from error


def give_up_stdout() -> None:
    """Discards what stdout still holds. Python would try to write it at its end, and print another error."""
    _give_up(sys.stdout)


def _give_up(stream: TextIO) -> None:
    with (
        suppress(OSError),
        Path(os.devnull).open("wb") as nowhere,
    ):  # a stream without a descriptor
        os.dup2(nowhere.fileno(), stream.fileno())


def printable(text: str) -> str:
    """Escapes all characters that could control a terminal or break a line, and lone surrogates."""
    if text.isprintable():  # nearly always; the loop below would take a tenth of the time of `rnnx infer --lines`
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def readable(text: str) -> str:
    """Escapes as `printable` does, for a person: without the spaces and joiners of other scripts, which do no harm."""
    return "".join(c if c in _KEPT else printable(c) for c in text) if not text.isprintable() else text


def write(text: str) -> None:
    """Prints lines of data, with control characters escaped."""
    put("\n".join(printable(line) for line in text.split("\n")) + "\n")


def write_json(value: Any, *, indent: int | None = 2) -> None:
    """Prints a JSON document; if `indent` is None, on one line and at once."""
    put(json.dumps(value, indent=indent, allow_nan=False) + "\n")
    if indent is None:
        flush()


def write_json_list(values: Iterable[Any]) -> None:
    """Prints a JSON document that is a list, each item as soon as it comes."""
    is_empty = True
    for value in values:
        text = json.dumps(value, indent=2, allow_nan=False).replace("\n", "\n  ")
        put(f"{'[' if is_empty else ','}\n  {text}")
        is_empty = False
    put("[]\n" if is_empty else "\n]\n")


def write_row(cells: Sequence[object]) -> None:
    """Prints one tab-separated line at once, with control characters escaped."""
    put("\t".join(printable(str(cell)) for cell in cells) + "\n")
    flush()


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, to_stderr: bool = False) -> None:
    """Prints a table to a terminal, or tab-separated lines without headings to a pipe."""
    stream = sys.stderr if to_stderr else sys.stdout
    if not stream.isatty():
        text = "".join("\t".join(row) + "\n" for row in _printable_cells(rows))
        if to_stderr:
            _tell(text)
        else:
            put(text)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
        table.add_column(
            directions.isolate(readable(column)), justify="right" if is_number else "left", overflow="fold"
        )
    for row in rows:
        table.add_row(*(directions.cell(readable(str(cell))) for cell in row), style=None)
    Console(file=stream, markup=False, emoji=False, highlight=False).print(table)


def _printable_cells(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    """Returns each cell as `printable` writes it."""
    texts = [list(map(str, row)) for row in rows]
    # One check of all cells takes less time than one of each cell.
    if "".join(map("".join, texts)).isprintable():
        return texts
    return [list(map(printable, row)) for row in texts]


def write_tables(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints rows as several tables of at most `TABLE_ROWS` rows each; no table for no rows."""
    for start in range(0, len(rows), TABLE_ROWS):
        write_table(columns, rows[start : start + TABLE_ROWS])


def error(message: str) -> None:
    """Prints an error as one line."""
    _say("error", message, "31")


def warning(message: str) -> None:
    """Prints a warning as one line."""
    _say("warning", message, "33")


def note(message: str) -> None:
    """Prints one line about the work in progress."""
    _tell(f"{_shorten(printable(message))}\n")


def hint(command: str) -> None:
    """Prints the next useful command, if a person reads both streams."""
    if sys.stderr.isatty() and sys.stdout.isatty():
        note(f"next: {command}")


def _say(kind: str, message: str, colour: str) -> None:
    label = f"\x1b[{colour}m{kind}:\x1b[0m" if has_colour(sys.stderr) else f"{kind}:"
    _tell(f"{label} {_shorten(printable(message))}\n")


def _tell(text: str) -> None:
    """Writes to stderr; if that fails, the work goes on."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def _shorten(message: str) -> str:
    if len(message) <= _MOST_CHARACTERS:
        return message
    return f"{message[: _MOST_CHARACTERS - _LAST_CHARACTERS]} ... {message[-_LAST_CHARACTERS:]}"


def has_colour(stream: TextIO) -> bool:
    """Whether a stream is a terminal with colours, and the user has not turned them off (NO_COLOR)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
