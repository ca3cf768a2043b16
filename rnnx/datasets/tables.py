"""Reads a table of labelled texts: finds the columns, counts bad rows, and warns of what is probably wrong.

Nothing is merged or left out without a word. The rows keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rnnx.datasets.column_names import (
    FoundColumns,
    find_column,
    find_columns,
    look_for_columns,
    suggest_column,
)
from rnnx.datasets.row_checks import BadRows, RowNumbers, SwallowedRows, count_rows
from rnnx.datasets.table_files import PACKINGS, TableFile, report_damage
from rnnx.datasets.table_form import Columns, Listener, Table, TableForm
from rnnx.datasets.table_formats import READERS, find_reader
from rnnx.datasets.table_text import TextCheck
from rnnx.datasets.targets import (
    OneLabel,
    Target,
    TextDataset,
    TextTask,
    choose_target,
    column_names,
    with_first_column,
)
from rnnx.errors import DataError

ENDINGS = tuple(READERS)


@dataclass(frozen=True)
class TargetRows:
    """The rows of a table, read as they are asked for.

    Attributes:
        target: What the cells of a row are.
        path: The file, for messages.
        pairs: The text of each row and what it has, in the order of the rows.
    """

    target: Target[Any]
    path: Path
    pairs: Iterator[tuple[bytes, Any]]

    def __iter__(self) -> Iterator[tuple[bytes, Any]]:
        return self.pairs

    def dataset(self, name: str, listener: Listener) -> TextDataset:
        """Reads all rows.

        Raises:
            DataError: If rows are bad and the user did not say to skip them, or there are none.
        """
        pairs = list(self.pairs)
        if not pairs:
            raise DataError("no labelled text in it; a table needs a row for each text", self.path)
        return self.target.dataset(name, pairs, self.path, listener)


def read_table(
    file: TableFile, columns: Columns, form: TableForm, listener: Listener, task: TextTask | None = "classification"
) -> TargetRows | None:
    """Reads the texts of a table, with their labels or numbers.

    Args:
        file: The file.
        columns: The columns of the text and of the label.
        form: What the user said about the form of the table.
        listener: Takes notes and warnings.
        task: What a text has; None takes several labels if there are lists of them, else one label.

    Returns:
        The rows; None if the file seems to be no table.

    Raises:
        DataError: If a column is missing.
    """
    reader = find_reader(file)
    if reader is None:
        return None
    table = reader(file, columns, form)
    _note_form(file, table, listener)
    found = _require_columns(file, table, with_first_column(columns), form, listener, task)
    places = [found.label, *(_require_column(file, table, column) for column in columns.labels[1:])]
    sample = [row[found.label] for row in table.sample if len(row) > found.label]
    if columns.labels:  # a column that was given by its number has a name too
        columns = replace(columns, labels=tuple((table.names or ())[i] for i in places))
    target = choose_target(task, columns, sample, listener)
    return TargetRows(target, file.path, _pairs(_Opened(file, table, target, found, places), form, listener))


@dataclass(frozen=True)
class _Opened:
    """A table whose columns are known.

    Attributes:
        file: The file.
        table: The table.
        target: What the cells of a row are.
        found: The columns of the text and of the label.
        places: The indices of the columns that the target reads.
    """

    file: TableFile
    table: Table
    target: Target[Any]
    found: FoundColumns
    places: Sequence[int]


def open_table(
    file: TableFile, text_column: str, form: TableForm, listener: Listener | None = None
) -> tuple[Table, int]:
    """Looks at a table of texts that need no label.

    Args:
        file: The file.
        text_column: The column of the texts, by name or by number from 1.
        form: What the user said about the form of the table.
        listener: Takes the name of a column that was given by its number, and a warning if there seems to be no
            header.

    Returns:
        The table, and the index of the column of the texts.

    Raises:
        DataError: If it seems to be no table, or has no such column.
    """
    with report_damage(file.path):
        reader = find_reader(file)
        if reader is None:
            raise DataError(f"not a table ({known_endings()})", file.path)
        table = reader(file, Columns(text_column), form)
    if listener is not None:
        _note_form(file, table, listener)
    column = _require_column(file, table, text_column)
    if listener is not None and _is_number(table, column, text_column, form):
        _note_column(file, table, "text", column, listener)
    return table, column


def _pairs(opened: _Opened, form: TableForm, listener: Listener) -> Iterator[tuple[bytes, Any]]:
    file, table, target, found = opened.file, opened.table, opened.target, opened.found
    bad, check, swallowed = BadRows(file, table), TextCheck(table.place, form.encoding), SwallowedRows()
    count, empty, blanks = 0, RowNumbers(), 0
    for row in table.rows([found.text, *opened.places]):
        count += 1
        problem = row.problem
        if problem is None:
            raw_text, *cells = row.cells
            problem = target.problem(raw_text, cells)
        if problem is not None:
            bad.add(row.number, problem)
            continue
        blanks += any(isinstance(cell, str) and cell != cell.strip() for cell in cells)
        text = raw_text if isinstance(raw_text, bytes) else check.encode(str(raw_text), row.number)
        if not text.strip():
            empty.add(row.number)
        if table.delimiter:
            swallowed.labels[str(cells[0]).strip()] += 1
            if b"\n" in text:
                swallowed.look(row.number, text.decode("utf-8", "replace"), table, found)
        yield text, target.value(cells)
    if blanks and isinstance(target, OneLabel):
        listener.on_note(f"blanks around the label are left out in {count_rows(blanks)}")
    if empty.count:
        listener.on_warning(f"{file.path}: {count_rows(empty.count)} without text ({empty.tell(table.place)})")
    check.report(str(file.path), listener)
    swallowed.report(file, listener)
    bad.settle(count, listener, is_skipped=form.skips_bad_rows)


def _require_column(file: TableFile, table: Table, column: str) -> int:
    """The index of a column that the user named."""
    names = list(table.names or ())
    found = find_column(names, column)
    if found is None:
        known = ", ".join(f"{name!r:.60}" for name in names[:20]) or "none"
        raise DataError(f"no column {column!r}; the columns are {known}{suggest_column(names, column)}", file.path)
    return found


def _require_columns(
    file: TableFile, table: Table, columns: Columns, form: TableForm, listener: Listener, task: TextTask | None
) -> FoundColumns:
    if table.names is None:  # no row has a column, and each says so
        return FoundColumns(0, 0, is_text_guessed=False, is_label_guessed=False)
    names = list(table.names)
    wanted = columns if form.has_header else _columns_by_length(table, columns)
    found = find_columns(names, wanted, column_names(task))
    if found is None:
        raise DataError(
            _missing(table, columns, form, look_for_columns(names, wanted, column_names(task))), file.path, 1
        )
    for is_guessed, kind, i in (
        (found.is_text_guessed or wanted.text != columns.text, "text", found.text),
        (found.is_label_guessed or wanted.label != columns.label, "label", found.label),
    ):
        if _is_number(table, i, getattr(wanted, kind), form):
            _note_column(file, table, kind, i, listener)
        elif is_guessed:
            listener.on_note(f"{kind} column: {names[i]}")
        if names.count(names[i]) > 1:
            listener.on_warning(
                f"{file.path}: {names.count(names[i])} columns are called {names[i]!r}; number {i + 1} is taken"
            )
    return found


def _is_number(table: Table, column: int, given: str | None, form: TableForm) -> bool:
    """Whether the user gave a column by its number although the table has a header."""
    name = (table.names or ())[column]
    return form.has_header and given is not None and given.strip().casefold() != name.strip().casefold()


def _note_column(file: TableFile, table: Table, kind: str, column: int, listener: Listener) -> None:
    """Says what a column is called that was given by its number; the header may be a row."""
    name = (table.names or ())[column]
    listener.on_note(f"{kind} column: {name}")
    if _seems_headless(table):
        listener.on_warning(
            f"{file.path}: the first row is taken for a header, and column {column + 1} is called {name!r:.60}; if it "
            "is a row like the others, give --no-header"
        )


def _columns_by_length(table: Table, columns: Columns) -> Columns:
    """Of two columns without names, takes the one with the longer cells for the text."""
    names = list(table.names or ())
    if len(names) != 2:
        return columns
    lengths = [sum(len(str(row[i])) for row in table.sample if len(row) > i) for i in (0, 1)]
    longer = int(lengths[1] > lengths[0])
    if columns.text is None and columns.label is None:
        return Columns(names[longer], names[1 - longer])
    if columns.text is None:
        return replace(columns, text=next((name for name in names if name != columns.label), None))
    return replace(columns, label=columns.label or next((name for name in names if name != columns.text), None))


def _note_form(file: TableFile, table: Table, listener: Listener) -> None:
    if table.note:
        listener.on_note(f"{file.path}: {table.note}")


def _missing(table: Table, columns: Columns, form: TableForm, places: tuple[int | None, int | None]) -> str:
    """Says which column is missing, what columns there are, and which options may find it.

    Args:
        table: The table.
        columns: What the user said.
        form: How the table is written.
        places: The columns of the text and of the label, so far as they were found.
    """
    names = list(table.names or ())
    if not names and not table.sample:
        return "the file is empty: the columns are none"
    if places[0] is not None and places[0] == places[1]:
        return f"column {names[places[0]]!r:.60} cannot be both the text and the label; name another one"
    wanted = zip(places, ((columns.text, "text"), (columns.label, "label")), strict=True)
    missing = [name or usual for place, (name, usual) in wanted if place is None]
    found = ", ".join(f"{name!r:.60}" for name in names[:20]) or "none"
    what = f"no column {' and no column '.join(map(repr, missing))}; the columns are {found}"
    if any("\udc80" <= character <= "\udcff" for name in names for character in name):
        what += " (is this not UTF-8? then give --encoding)"
    what += "".join(suggest_column(names, name) for name in missing if name in (columns.text, columns.label))
    if not form.has_header:
        return f"{what}; choose them by number with --text-column and --label-column"
    what += "; name yours with --text-column and --label-column"
    if _seems_headless(table):
        what += f"; there seems to be no header: if so, give --no-header{_numbers(table)}"
    elif (marks := _marks(table)) and places[1] is None and columns.label is None:
        what += f"; if columns with 0 and 1 are labels, give --label-columns {','.join(marks)}"
    elif len(names) == 1 and table.delimiter is not None:
        what += "; if they are separated by another character, give --delimiter"
    return what


def _numbers(table: Table) -> str:
    """The options for the columns of a table without a header; nothing for two columns, which need none."""
    count = len(table.names or ())
    cells = [[str(row[i]) for row in table.sample if len(row) > i] for i in range(count)]
    if count < 3 or not all(cells):
        return ""
    text = max(range(count), key=lambda i: sum(map(len, cells[i])) / len(cells[i]))
    label = min((i for i in range(count) if i != text), key=lambda i: len(set(cells[i])))
    return f", and the numbers of the columns, perhaps --text-column {text + 1} --label-column {label + 1}"


def _marks(table: Table) -> list[str]:
    """The columns that hold nothing but 0 and 1, if there are several."""
    columns = [
        (name, {str(row[i]) for row in table.sample if len(row) > i}) for i, name in enumerate(table.names or ())
    ]
    marks = [name for name, cells in columns if cells == {"0", "1"}]
    return marks if len(marks) > 1 and not any("," in name for name in marks) else []


def _seems_headless(table: Table) -> bool:
    """Whether the first row is like the others: a cell of it comes again in its column, or is a sentence."""
    names = list(table.names or ())
    if table.delimiter is None and table.place == "line":
        return False  # JSON
    if any(len(name.split()) > 3 or len(name) > 40 for name in names):
        return True
    return any(name.strip() and i < len(row) and row[i] == name for row in table.sample for i, name in enumerate(names))


def known_endings() -> str:
    """The endings of tables, for messages."""
    return f"{', '.join(ENDINGS)} (also {', '.join(PACKINGS)})"
