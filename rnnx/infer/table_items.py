"""Reads the rows of a table as items, one text each, and keeps the other cells until the answer has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rnnx.datasets.table_files import report_damage
from rnnx.datasets.table_form import Table
from rnnx.infer.input_items import Answer, Item
from rnnx.infer.text_files import text_item
from rnnx.text.tokenizer import to_bytes


class TableRows:
    """The rows of a table, on their way to the answers.

    Attributes:
        more_count: How many rows so far had cells that belong to no column.
    """

    def __init__(self, source: str, table: Table, text_column: int) -> None:
        """Takes a table.

        Args:
            source: The file, as the user named it.
            table: The table.
            text_column: The index of the column of the texts.
        """
        self._source, self._table, self._text_column = source, table, text_column
        self._names = list(table.names or ())
        # As many rows wait here as the predictor reads ahead.
        self._waiting: deque[Sequence[object]] = deque()
        self.more_count = 0

    def items(self) -> Iterator[Item]:
        """Yields an item for each row; a row that has no text is an item that cannot be read."""
        width = len(self._names)
        with report_damage(Path(self._source)):
            for row in self._table.rows(range(width)):
                cells = list(row.cells) + [None] * (width - len(row.cells))
                self._waiting.append(cells)
                self.more_count += row.more > 0
                yield cell_item(self._source, row.number, cells[self._text_column], row.problem)

    def join(self, answers: Iterable[Answer]) -> Iterator[tuple[Sequence[object], Answer]]:
        """Yields each answer with the cells of its row."""
        for answer in answers:
            yield self._waiting.popleft(), answer


def cell_item(source: str, number: int, text: object, problem: str | None) -> Item:
    """Makes an item of a cell; one that holds no text cannot be read.

    Args:
        source: The file, as the user named it.
        number: The number of the row.
        text: The cell; None if it is missing.
        problem: What is wrong with the row; None if nothing is.
    """
    if problem is None and not isinstance(text, str | bytes):
        problem = "no text" if text is None else f"the text should be a string, not {text!r:.40}"
    if problem is not None:
        return Item(source, number, None, problem)
    return text_item(source, number, text if isinstance(text, bytes) else to_bytes(str(text)))
