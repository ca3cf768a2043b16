"""Reads fastText's training files: `__label__x` and then the text, one a line. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice

from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Columns, Table, TableForm, TableRow
from rnnx.datasets.table_text import open_text

LABEL_MARK = "__label__"
_NAMES = ("text", "label")
_SAMPLE_ROWS = 100


def read_fasttext(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at a file of fastText."""
    del columns
    sample = [row.cells for row in islice(_rows(file, form, (0, 1)), _SAMPLE_ROWS)]
    return Table(_NAMES, sample, partial(_rows, file, form))


def _rows(file: TableFile, form: TableForm, wanted: Sequence[int]) -> Iterator[TableRow]:
    with open_text(file, form.encoding, newline="\n") as stream:
        for number, line in enumerate(stream, 1):
            if not line.strip():
                continue
            mark, _, text = line.strip().partition(" ")
            if "\t" in mark:
                mark, _, text = line.strip().partition("\t")
            label = mark.removeprefix(LABEL_MARK)
            if label == mark:
                yield TableRow(number, (), f"no label: the line should begin with {LABEL_MARK}")
            elif text.lstrip().startswith(LABEL_MARK):
                yield TableRow(number, (), "several labels; one label per text is supported")
            else:
                cells = (text.strip(), label)
                yield TableRow(number, [cells[i] for i in wanted])
