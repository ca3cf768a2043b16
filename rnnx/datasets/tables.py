"""Reads a table of labelled texts: finds the columns, counts bad rows, and warns of what is probably wrong.

Nothing is merged or left out without a word. The rows keep their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

from rnnx.datasets.column_names import FoundColumns, find_column, find_columns
from rnnx.datasets.row_checks import SHOULD, BadRows, RowNumbers, SwallowedRows, count_rows
from rnnx.datasets.table_files import PACKINGS, TableFile, report_damage
from rnnx.datasets.table_form import Columns, Listener, Table, TableForm
from rnnx.datasets.table_formats import READERS, find_reader
from rnnx.datasets.table_text import TextCheck
from rnnx.errors import DataError

ENDINGS = tuple(READERS)


def read_table(
    file: TableFile, columns: Columns, form: TableForm, listener: Listener
) -> Iterator[tuple[bytes, str]] | None:
    """Reads the texts and labels of a table.

    Args:
        file: The file.
        columns: The columns of the text and of the label.
        form: What the user said about the form of the table.
        listener: Takes notes and warnings.

    Returns:
        The pairs in the order of the rows, read as they are asked for; None if the file seems to be no table.

    Raises:
        DataError: If a column is missing, or rows are bad and the user did not say to skip them.
    """
    reader = find_reader(file)
    return None if reader is None else _pairs(file, reader(file, columns, form), columns, form, listener)


def open_table(file: TableFile, text_column: str, form: TableForm) -> tuple[Table, int]:
    """Looks at a table of texts that need no label.

    Args:
        file: The file.
        text_column: The column of the texts, by name or by number from 1.
        form: What the user said about the form of the table.

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
    names = list(table.names or ())
    found = find_column(names, text_column)
    if found is None:
        columns = ", ".join(f"{name!r:.60}" for name in names[:20]) or "none"
        raise DataError(f"no column {text_column!r}; the columns are {columns}", file.path)
    return table, found


def _pairs(
    file: TableFile, table: Table, columns: Columns, form: TableForm, listener: Listener
) -> Iterator[tuple[bytes, str]]:
    found = _require_columns(file, table, columns, form, listener)
    bad, check, swallowed = BadRows(file, table), TextCheck(table.place, form.encoding), SwallowedRows()
    count, empty, blanks = 0, RowNumbers(), 0
    for row in table.rows([found.text, found.label]):
        count += 1
        problem = row.problem
        if problem is None:
            raw_text, raw_label = row.cells
            problem = _problem(raw_text, raw_label)
        if problem is not None:
            bad.add(row.number, problem)
            continue
        label = raw_label.strip() if isinstance(raw_label, str) else json.dumps(raw_label)
        blanks += isinstance(raw_label, str) and label != raw_label
        text = raw_text if isinstance(raw_text, bytes) else check.encode(str(raw_text), row.number)
        if not text.strip():
            empty.add(row.number)
        if table.delimiter and b"\n" in text:
            swallowed.look(row.number, text.decode("utf-8", "replace"), table, found)
        swallowed.labels[label] += 1
        yield text, label
    if blanks:
        listener.on_note(f"blanks around the label are left out in {count_rows(blanks)}")
    if empty.count:
        listener.on_warning(f"{file.path}: {count_rows(empty.count)} without text ({empty.tell(table.place)})")
    check.report(str(file.path), listener)
    swallowed.report(file, listener)
    bad.settle(count, listener, is_skipped=form.skips_bad_rows)


def _problem(text: object, label: object) -> str | None:
    """Says why a row is bad; None if it is good."""
    has_text = text is not None
    has_label = label is not None and not (isinstance(label, str) and not label.strip())
    if not has_text or not has_label:
        missing = "label" if has_text else "text" if has_label else "text and no label"
        return f"{SHOULD}, but there is no {missing}"
    # JSON: 0 and 1, true and false
    if not isinstance(text, str | bytes) or not isinstance(label, str | int):
        return f"{SHOULD}, not {text!r:.40}, {label!r:.40}"
    return None


def _require_columns(
    file: TableFile, table: Table, columns: Columns, form: TableForm, listener: Listener
) -> FoundColumns:
    if table.names is None:  # no row has a column, and each says so
        return FoundColumns(0, 0, is_text_guessed=False, is_label_guessed=False)
    names = list(table.names)
    wanted = columns if form.has_header else _columns_by_length(table, columns)
    found = find_columns(names, wanted)
    if found is None:
        raise DataError(_missing(table, columns, form), file.path, 1)
    for is_guessed, kind, i in (
        (found.is_text_guessed or wanted.text != columns.text, "text", found.text),
        (found.is_label_guessed or wanted.label != columns.label, "label", found.label),
    ):
        if is_guessed:
            listener.on_note(f"{kind} column: {names[i]}")
        if names.count(names[i]) > 1:
            listener.on_warning(
                f"{file.path}: {names.count(names[i])} columns are called {names[i]!r}; number {i + 1} is taken"
            )
    return found


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


def _missing(table: Table, columns: Columns, form: TableForm) -> str:
    names = list(table.names or ())
    wanted = [name or usual for name, usual in ((columns.text, "text"), (columns.label, "label"))]
    missing = [name for name in wanted if name not in names] or wanted
    found = ", ".join(f"{name!r:.60}" for name in names[:20]) or "none"
    what = f"no column {' and no column '.join(map(repr, missing))}; the columns are {found}"
    if any("\udc80" <= character <= "\udcff" for name in names for character in name):
        what += " (is this not UTF-8? then give --encoding)"
    if not form.has_header:
        return f"{what}; choose them by number with --text-column and --label-column"
    what += "; name yours with --text-column and --label-column"
    if _seems_headless(table):
        what += (
            "; there seems to be no header: if so, give --no-header, and the numbers of the columns, such as "
            "--text-column 2 --label-column 1"
        )
    elif len(names) == 1:
        what += "; if they are separated by another character, give --delimiter"
    return what


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
