"""Decides whether quotes enclose the cells of a TSV file. Standard library only.

They do if the whole file is consistent with it. Otherwise a quote is a character of a text, because a text that begins
with a quote would swallow the rows up to the next quote.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable


def is_quoted_tsv(open_file: Callable[[], io.TextIOWrapper], *, has_header: bool) -> bool:
    """Reads the file once or twice to find out whether its cells are quoted.

    Args:
        open_file: Opens the file at its first row.
        has_header: Whether the first row has the names of the columns.
    """
    with open_file() as stream:
        is_quoted = _is_quoted_line_by_line(stream, has_header=has_header)
    if is_quoted is not None:
        return is_quoted
    with open_file() as stream:
        return _is_quoted_with_breaks(stream)


def _is_quoted_line_by_line(lines: Iterable[str], *, has_header: bool) -> bool | None:
    """Whether cells are quoted if each line is a row; None if the lines have different numbers of cells.

    In a quoted file, each cell that begins with a quote ends with its partner. And a writer quotes either all cells of
    a column, or only those that need it, because they hold a quote.
    """
    width, is_first = 0, has_header
    bare: set[int] = set()  # columns with a cell without quotes
    needless: set[int] = set()  # columns with a quoted cell that needs no quotes
    has_quoted = False
    for line in lines:
        cells = line.rstrip("\r\n").split("\t")
        if cells == [""]:
            continue
        width = width or len(cells)
        if len(cells) != width:
            return None
        for i, cell in enumerate(cells):
            if not cell.startswith('"'):
                if cell and not is_first:
                    bare.add(i)
                continue
            inner = cell[1:-1]
            if len(cell) < 2 or not cell.endswith('"') or '"' in inner.replace('""', ""):
                return False
            has_quoted = True
            if '"' not in inner and not is_first:
                needless.add(i)
        is_first = False
    return has_quoted and not bare & needless


def _is_quoted_with_breaks(lines: Iterable[str]) -> bool:
    """Whether the cells can be read as quoted ones, some of which have tabs or line breaks inside.

    A cell with a line that has as many tabs as a row is not one cell: a quote has swallowed rows.
    """
    width = 0
    try:
        for cells in csv.reader(lines, delimiter="\t", strict=True):
            if not cells:
                continue
            width = width or len(cells)
            if len(cells) != width or width < 2:
                return False
            for cell in cells:
                if "\n" in cell and any(line.count("\t") >= width - 1 for line in cell.split("\n")):
                    return False
    except csv.Error:
        return False
    return True
