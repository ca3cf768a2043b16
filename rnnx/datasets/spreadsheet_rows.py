"""Reads the first sheet of a spreadsheet (.xlsx), row by row. Imports openpyxl, of `[tables]`."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any
from xml.etree.ElementTree import ParseError

from rnnx.datasets.archives import require_no_bomb
from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Columns, Table, TableForm, TableRow
from rnnx.errors import DataError, MissingExtraError

_SAMPLE_ROWS = 100


def read_spreadsheet(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at a spreadsheet.

    Raises:
        DataError: If it is damaged.
        UntrustedDataError: If it unpacks to too much.
        MissingExtraError: If openpyxl is not installed.
    """
    del columns
    rows = islice(_filled_rows(file), _SAMPLE_ROWS)
    sample = [cells for _, cells in rows]
    width = max((i + 1 for cells in sample for i, cell in enumerate(cells) if cell is not None), default=0)
    names = [str(number) for number in range(1, width + 1)]
    if form.has_header:
        first, sample = (sample[0], sample[1:]) if sample else ((), [])
        names = ["" if name is None else name for name in first[:width]] + [""] * (width - len(first))
    return Table(names, sample, partial(_rows, file, has_header=form.has_header), place="row")


def _rows(file: TableFile, wanted: Sequence[int], *, has_header: bool) -> Iterator[TableRow]:
    for number, cells in islice(_filled_rows(file), int(has_header), None):
        yield TableRow(number, [cells[i] if i < len(cells) else None for i in wanted])


def _filled_rows(file: TableFile) -> Iterator[tuple[int, Sequence[str | None]]]:
    """Yields the rows that are not empty, with their numbers in the sheet and their cells as text."""
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise MissingExtraError(f"{file.path}: reading .xlsx needs openpyxl: pip install 'rnnx[tables]'") from error
    # What openpyxl raises for a damaged file, which it does not say.
    damage = (zipfile.BadZipFile, InvalidFileException, ParseError, LookupError, ValueError, TypeError, AttributeError)
    with file.open() as stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                require_no_bomb(file.path, archive.infolist())
            book = openpyxl.load_workbook(stream, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write wrong ones, and openpyxl would stop there
            for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
                cells = [_to_text(cell) for cell in row]
                if any(cell is not None for cell in cells):
                    yield number, cells
            book.close()
        except (*damage, OSError) as error:
            if (
                getattr(error, "errno", None) is not None
            ):  # of the disk; openpyxl raises OSError for other documents too
                raise
            what = f"not a spreadsheet that can be read ({error}); save it as .csv or .xlsx"
            raise DataError(what, file.path) from error


def _to_text(cell: Any) -> str | None:
    """A cell as it is seen: a number that is whole has no decimals, and an empty cell is None."""
    if cell is None or isinstance(cell, str):
        return cell or None
    if isinstance(cell, bool | int):
        return json.dumps(cell)
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
