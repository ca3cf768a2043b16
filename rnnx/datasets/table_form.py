"""What a user may say about a table, and what a reader of a table hands on. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple


@dataclass(frozen=True)
class Columns:
    """Which columns (or JSON keys) of a table hold the text and the label, or which one of a file of words the tags.

    Attributes:
        text: A name, or a number from 1; None looks for a name that is usual.
        label: As for the text.
        labels: Columns that hold 0 or 1, one for each label of a text, by name or number; empty if there are none.
        label_delimiter: What separates the labels in a cell; None if a cell is one label or a list of labels.
        tag: The column of the tags of words, by its number, or by its name in CoNLL-U; None finds it.
    """

    text: str | None = None
    label: str | None = None
    labels: tuple[str, ...] = ()
    label_delimiter: str | None = None
    tag: str | None = None


@dataclass(frozen=True)
class TableForm:
    """How a table is written, as far as the user says so.

    Attributes:
        delimiter: The character between two cells; None finds it.
        encoding: The encoding of the text, by the name that Python has for it; None means UTF-8 or UTF-16.
        has_header: Whether the first row has the names of the columns.
        is_quoted: Whether a quote at the beginning of a cell encloses the cell; None means that it does, except in
            cells between tabs that are not quoted consistently.
        skips_bad_rows: Whether rows without a text or a label are left out.
    """

    delimiter: str | None = None
    encoding: str | None = None
    has_header: bool = True
    is_quoted: bool | None = None
    skips_bad_rows: bool = False


def _ignore(message: str) -> None:
    """Does nothing with a message."""


@dataclass(frozen=True)
class Listener:
    """Where a reader sends what the user should know, one sentence at a time.

    Attributes:
        on_note: Takes what was found out, such as the column of the texts.
        on_warning: Takes what is probably wrong with the data.
    """

    on_note: Callable[[str], None] = _ignore
    on_warning: Callable[[str], None] = _ignore


def warn_of_table_options(name: str, columns: Columns | None, form: TableForm | None, listener: Listener) -> None:
    """Warns if the user says something about columns or cells of a data set that is no table.

    Args:
        name: The data set, as the user named it.
        columns: What the user said about the columns; that of the tags is not looked at.
        form: What the user said about how a table is written.
        listener: Takes the warning.
    """
    if replace(columns or Columns(), tag=None) != Columns() or form not in (None, TableForm()):
        listener.on_warning(
            f"{name}: is no table, so the options for tables are ignored (--text-column, --delimiter and the like)"
        )


class TableRow(NamedTuple):
    """A row of a table.

    Attributes:
        number: Its first line in the file, or its number among the rows, from 1.
        cells: The cells of the columns that were asked for; None for a missing one.
        problem: What is wrong with the row as a whole; None if nothing is.
        more: How many cells the row has that belong to no column.
    """

    number: int
    cells: Sequence[object]
    problem: str | None = None
    more: int = 0


@dataclass(frozen=True)
class Table:
    """A table that has been looked at and can be read.

    Attributes:
        names: The names of its columns; None if no row has any.
        sample: The first rows, with all cells.
        rows: Reads the file from its beginning, and yields the cells of the columns with the given indices.
        place: What the number of a row counts.
        delimiter: The character between two cells; None for a format that has none.
        hint: What to try if rows are bad; empty if there is nothing.
        schema: The types of the columns as pyarrow has them; None for formats without types.
        note: What was found out about the file; empty if nothing needs to be said.
    """

    names: Sequence[str] | None
    sample: Sequence[Sequence[object]]
    rows: Callable[[Sequence[int]], Iterator[TableRow]]
    place: Literal["line", "row"] = "line"
    delimiter: str | None = None
    hint: str = ""
    schema: Any = None
    note: str = ""
