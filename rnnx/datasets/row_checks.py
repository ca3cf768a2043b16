"""Counts the rows of a table that are bad or suspicious, and says so. Standard library only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rnnx.datasets.column_names import FoundColumns
from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Listener, Table
from rnnx.errors import DataError

SHOULD = "the text should be a string and the label a name"
_SHOWN = 5
_MOST_SWALLOWED = 1000


def count_rows(count: int) -> str:
    """A number of rows in words."""
    return f"{count:,} row{'s' if count > 1 else ''}"


@dataclass
class RowNumbers:
    """Counts rows, and keeps the numbers of the first few."""

    count: int = 0
    first: list[int] = field(default_factory=list)

    def add(self, number: int) -> None:
        """Counts a row."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(number)

    def tell(self, place: str) -> str:
        """The numbers in words; `place` is what they count."""
        numbers = ", ".join(map(str, self.first))
        more = " and more" if self.count > len(self.first) else ""
        return f"{place}{'s' if len(self.first) > 1 else ''} {numbers}{more}"


class BadRows:
    """Counts the rows that cannot be used."""

    def __init__(self, file: TableFile, table: Table) -> None:
        """Begins to count."""
        self._file, self._table = file, table
        self._places = RowNumbers()
        self._problems: list[str] = []

    def add(self, number: int, problem: str) -> None:
        """Counts a row, and keeps what is wrong with the first few."""
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
            listener.on_warning(
                f"{self._file.path}: skipped {self._places.count:,} of {count_rows(count)}: {shown}{more}"
            )
            return
        is_or_are = "is" if self._places.count == 1 else "are"
        bad = f"{self._places.count:,} of {count_rows(count)} {is_or_are} bad ({self._places.tell(self._table.place)})"
        hint = f"; {self._table.hint}" if self._table.hint else ""
        first, is_line = self._places.first[0], self._table.place == "line"
        where = "" if is_line else f"row {first}: "
        # Without a good row nothing would be left.
        advice = "mend the file" if self._places.count == count else "mend the file, or leave such rows out with "
        advice += "" if self._places.count == count else "--skip-bad-rows"
        raise DataError(
            f"{where}{self._problems[0]}; {bad}; {advice}{hint}",
            self._file.path,
            first if is_line else None,
        )


def _short(problem: str) -> str:
    return problem.removeprefix(f"{SHOULD}, ").removeprefix("but there is ")


class SwallowedRows:
    """Finds cells that hold whole rows, because a quote in a text was taken for the beginning of a quoted cell."""

    def __init__(self) -> None:
        """Begins without rows."""
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
        places = RowNumbers()
        for number in dict.fromkeys(number for number, label in self._found if label in self.labels):
            places.add(number)
        if places.count:
            what = f"{count_rows(places.count)} may have swallowed the rows after it, because of an open quote"
            hint = "if quotes are a part of the texts, give --no-quotes"
            listener.on_warning(f"{file.path}: {what} ({places.tell('line')}); {hint}")
