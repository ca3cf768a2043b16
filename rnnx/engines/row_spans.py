"""Cuts the files of a corpus into tasks: a span of row groups, of lines, or a whole file.

The same file gives the same tasks with the same names, so that a job that was stopped can be continued.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal, TypeAlias

from rnnx.datasets.table_files import table_ending
from rnnx.datasets.table_form import TableForm
from rnnx.datasets.table_formats import READERS
from rnnx.datasets.table_text import find_encoding
from rnnx.engines.arrow_predictor import import_pyarrow
from rnnx.engines.corpus_files import open_input
from rnnx.errors import DataError

# A task takes a worker some seconds: little is lost with a worker, and a bar moves.
ROWS_PER_TASK, BYTES_PER_TASK = 20_000, 16 << 20

SpanKind: TypeAlias = Literal["row groups", "lines", "file"]
# The ending of a shard, by the ending of the file that it answers. Others become JSON lines.
_SHARD_ENDINGS = {".parquet": ".parquet", ".csv": ".csv", ".tsv": ".tsv", ".tab": ".tsv"}
_BLOCK_BYTES = 1 << 16
# The longest line, as in other tables (`rnnx.datasets.table_text`).
_MOST_LINE_BYTES = 128 << 20


@dataclass(frozen=True)
class CorpusTask:
    """A part of a file that one worker answers.

    Attributes:
        path: The file.
        kind: What is counted from `start` to `stop`: row groups, bytes (of the lines that begin there), or nothing.
        start: Where it begins.
        stop: Where it ends.
        rows: How many rows it has; None if that is not known yet.
    """

    path: str
    kind: SpanKind
    start: int
    stop: int
    rows: int | None

    @property
    def shard_name(self) -> str:
        """The name of the file with its answers."""
        path = PurePosixPath(self.path)
        stem = re.sub(r"[^A-Za-z0-9_-]+", "-", path.name.partition(".")[0])[:60].strip("-_") or "table"
        place = hashlib.sha256(self.path.encode("utf-8", "surrogateescape")).hexdigest()[:8]
        digits = 15 if self.kind == "lines" else 6
        span = "" if self.kind == "file" else f".{self.start:0{digits}}-{self.stop:0{digits}}"
        return f"{stem}.{place}{span}{_SHARD_ENDINGS.get(path.suffix.lower(), '.jsonl')}"


def plan_tasks(path: str, size_bytes: int, form: TableForm) -> list[CorpusTask]:
    """Cuts a file into tasks.

    Args:
        path: An absolute path.
        size_bytes: Its size.
        form: What the user said about the form of tables.

    Raises:
        DataError: If it is empty, damaged, or not a table.
    """
    if size_bytes == 0:
        raise DataError("the file is empty", path)
    name = PurePosixPath(path)
    ending = table_ending(name)
    if ending not in READERS:
        raise DataError(f"not a table ({', '.join(READERS)})", path)
    if name.suffix.lower() == ".parquet":
        return list(_row_groups(path))
    if name.suffix.lower() in (".jsonl", ".ndjson") and _is_utf8(path, form):
        starts = range(0, size_bytes, BYTES_PER_TASK)
        return [CorpusTask(path, "lines", start, min(start + BYTES_PER_TASK, size_bytes), None) for start in starts]
    return [CorpusTask(path, "file", 0, 0, None)]


def _row_groups(path: str) -> Iterator[CorpusTask]:
    import_pyarrow()
    import pyarrow.parquet

    try:
        with open_input(path) as file, pyarrow.parquet.ParquetFile(file) as table:
            counts = [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise damage(path, error) from error
    start = rows = 0
    for group, count in enumerate(counts, 1):
        rows += count
        if rows >= ROWS_PER_TASK or group == len(counts):
            yield CorpusTask(path, "row groups", start, group, rows)
            start, rows = group, 0
    if not counts:
        yield CorpusTask(path, "row groups", 0, 0, 0)


def damage(path: str, error: BaseException) -> DataError:
    """The error for a file that pyarrow cannot read."""
    return DataError(f"cannot be read ({' '.join(str(error).split())[:200]}); is it damaged?", path)


def _is_utf8(path: str, form: TableForm) -> bool:
    """Whether the lines of a file can be told from its bytes alone."""
    if form.encoding is not None:
        return False
    with open_input(path) as file:
        return find_encoding(file.read(_BLOCK_BYTES)) == "utf-8-sig"


def read_lines(task: CorpusTask) -> bytes:
    """Reads the lines that begin in a span; the next span begins after the last one.

    Raises:
        DataError: If the file cannot be read, or a line has 128 MB or more.
    """
    try:
        with open_input(task.path) as file:
            begin = _end_of_line(file, task.start - 1, task.stop) if task.start else 0
            if begin is None or begin >= task.stop:
                return b""
            end = _end_of_line(file, task.stop - 1, task.stop + _MOST_LINE_BYTES)
            if end is None:
                most = _MOST_LINE_BYTES >> 20
                raise DataError(f"a line of {most} MB or more (a file of zeros, or without line ends?)", task.path)
            file.seek(begin)
            return bytes(file.read(end - begin))
    except OSError as error:
        raise damage(task.path, error) from error


def _end_of_line(file: Any, place: int, most: int) -> int | None:
    """The place after the first line break at or after a place, or the end of the file; None if that is after `most`.

    A file that changes while it is read may end before the place.
    """
    file.seek(place)
    while place < most and (block := file.read(_BLOCK_BYTES)):
        if (found := block.find(b"\n")) >= 0:
            return place + int(found) + 1
        place += len(block)
    return None if place >= most else place
