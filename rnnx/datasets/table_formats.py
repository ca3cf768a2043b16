"""The formats of tables: which reader takes a file, by the ending of its name or else by its first bytes.

To add a format, write its reader and give it an ending here.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable

from rnnx.datasets.arrow_rows import ARROW_MARK, PARQUET_MARK, read_arrow, read_parquet
from rnnx.datasets.delimited import read_delimited
from rnnx.datasets.fasttext_rows import LABEL_MARK, read_fasttext
from rnnx.datasets.json_rows import read_json, read_json_lines
from rnnx.datasets.spreadsheet_rows import read_spreadsheet
from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Columns, Table, TableForm
from rnnx.datasets.table_text import find_encoding

TableReader = Callable[[TableFile, Columns, TableForm], Table]

READERS: dict[str, TableReader] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".tab": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".xlsx": read_spreadsheet,
    ".ft": read_fasttext,
}


def find_reader(file: TableFile) -> TableReader | None:
    """Finds the reader of a file; None if it seems to be no table."""
    return READERS.get(file.ending) or _reader_of_content(file)


def _reader_of_content(file: TableFile) -> TableReader | None:
    head = file.head
    if head.startswith(PARQUET_MARK):
        return read_parquet
    if head.startswith(ARROW_MARK):
        return read_arrow
    if head.startswith(b"PK\x03\x04") and file.member is None and zipfile.is_zipfile(file.path):
        return read_spreadsheet
    encoding = find_encoding(head)
    text = head.decode(encoding, "replace").lstrip()
    if not text or (encoding == "utf-8-sig" and b"\0" in head):
        return None
    if text.startswith(LABEL_MARK):
        return read_fasttext
    if text.startswith(("{", "[{", "[\n", "[\r", "[ ")):
        return read_json
    # A table has a delimiter in its first line; a text that is no table may have one, too, which its reader reports.
    first = text.splitlines()[0]
    return read_delimited if any(delimiter in first for delimiter in ",;\t|") else None
