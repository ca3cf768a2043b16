"""Reads a table of labelled texts: finds the columns, counts bad rows, and warns of what is probably wrong.

Nothing is merged or left out without a word. The rows keep their order.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from rnnx.datasets.column_names import FoundColumns, find_column, find_columns
from rnnx.datasets.table_files import PACKINGS, TableFile, report_damage
from rnnx.datasets.table_form import Columns, Listener, Table, TableForm
from rnnx.datasets.table_formats import READERS, find_reader
from rnnx.datasets.table_text import TextCheck
from rnnx.errors import DataError

ENDINGS = tuple(READERS)
_SHOWN = 5
_MOST_SWALLOWED = 1000
_SHOULD = "the text should be a string and the label a name"


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
    bad, check, swallowed = _BadRows(file, table), TextCheck(table.place, form.encoding), _SwallowedRows()
    count, empty, blanks = 0, _Places(), 0
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
        listener.on_note(f"blanks around the label are left out in {_rows(blanks)}")
    if empty.count:
        listener.on_warning(f"{file.path}: {_rows(empty.count)} without text ({empty.tell(table.place)})")
    check.report(str(file.path), listener)
    swallowed.report(file, listener)
    bad.settle(count, listener, is_skipped=form.skips_bad_rows)


def _problem(text: object, label: object) -> str | None:
    """Says why a row is bad; None if it is good."""
    has_text = text is not None
    has_label = label is not None and not (isinstance(label, str) and not label.strip())
    if not has_text or not has_label:
        missing = "label" if has_text else "text" if has_label else "text and no label"
        return f"{_SHOULD}, but there is no {missing}"
    # JSON: 0 and 1, true and false
    if not isinstance(text, str | bytes) or not isinstance(label, str | int):
        return f"{_SHOULD}, not {text!r:.40}, {label!r:.40}"
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


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"


@dataclass
class _Places:
    """Counts rows, and keeps the numbers of the first few."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(number)

    def tell(self, place: str) -> str:
        numbers = ", ".join(map(str, self.first))
        more = " and more" if self.count > len(self.first) else ""
        return f"{place}{'s' if len(self.first) > 1 else ''} {numbers}{more}"


class _BadRows:
    """Counts the rows that cannot be used."""

    def __init__(self, file: TableFile, table: Table) -> None:
        self._file, self._table = file, table
        self._places = _Places()
        self._problems: list[str] = []

    def add(self, number: int, problem: str) -> None:
        self._places.add(number)
        if len(self._problems) < _SHOWN:
            self._problems.append(problem)

    def settle(self, count: int, listener: Listener, *, is_skipped: bool) -> None:
        """Ends with an error if there were bad rows, or with a warning if the user said to skip them."""
        if not self._places.count:
            return
        numbered = zip(self._places.first, self._problems, strict=True)
        if is_skipped:
            shown = "; ".join(f"{self._table.place} {number}: {_short(problem)}" for number, problem in numbered)
            more = "; ..." if self._places.count > _SHOWN else ""
            listener.on_warning(f"{self._file.path}: skipped {self._places.count:,} of {_rows(count)}: {shown}{more}")
            return
        is_or_are = "is" if self._places.count == 1 else "are"
        bad = f"{self._places.count:,} of {_rows(count)} {is_or_are} bad ({self._places.tell(self._table.place)})"
        hint = f"; {self._table.hint}" if self._table.hint else ""
        first, is_line = self._places.first[0], self._table.place == "line"
        where = "" if is_line else f"row {first}: "
        raise DataError(
            f"{where}{self._problems[0]}; {bad}; mend the file, or leave such rows out with --skip-bad-rows{hint}",
            self._file.path,
            first if is_line else None,
        )


def _short(problem: str) -> str:
    return problem.removeprefix(f"{_SHOULD}, ").removeprefix("but there is ")


class _SwallowedRows:
    """Finds cells that hold whole rows, because a quote in a text was taken for the beginning of a quoted cell."""

    def __init__(self) -> None:
        self.labels: Counter[str] = Counter()
        self._found: list[tuple[int, str]] = []

    def look(self, number: int, text: str, table: Table, found: FoundColumns) -> None:
        """Looks at a text with line breaks for lines that have the cells of a row."""
        width = len(table.names or ())
        for line in text.split("\n"):
            cells = line.split(table.delimiter)
            if len(cells) == width and len(self._found) < _MOST_SWALLOWED:
                self._found.append((number, cells[found.label].strip()))

    def report(self, file: TableFile, listener: Listener) -> None:
        """Sends a warning if such a line ends in a label of the table."""
        places = _Places()
        for number in dict.fromkeys(number for number, label in self._found if label in self.labels):
            places.add(number)
        if places.count:
            listener.on_warning(
                f"{file.path}: {_rows(places.count)} may have swallowed the rows after it, because of an open quote "
                f"({places.tell('line')}); if quotes are a part of the texts, give --no-quotes"
            )


def known_endings() -> str:
    """The endings of tables, for messages."""
    return f"{', '.join(ENDINGS)} (also {', '.join(PACKINGS)})"
