"""Answers one task: reads its span of a file, and writes a shard that is there whole or not at all."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from pathlib import Path, PurePosixPath
from typing import Any

from rnnx.datasets.column_names import add_columns, find_column
from rnnx.datasets.json_rows import read_objects
from rnnx.datasets.table_files import TableFile, table_ending
from rnnx.datasets.table_form import TableForm
from rnnx.datasets.table_writers import open_writer
from rnnx.datasets.tables import open_table
from rnnx.engines.arrow_predictor import ANSWER_COLUMNS, BATCH_ROWS, ArrowPredictor, answer_cells, import_pyarrow
from rnnx.engines.corpus_files import is_remote, open_input, open_output, read_unpacked
from rnnx.engines.model_copies import load_once
from rnnx.engines.row_spans import CorpusTask, damage, read_lines
from rnnx.errors import DataError
from rnnx.infer.input_items import answer
from rnnx.infer.table_items import TableRows, cell_item

_GROUP_ROWS, _GROUP_BYTES = 1 << 16, 16 << 20  # of a row group that is written


@dataclass(frozen=True)
class Job:
    """What is the same for all tasks.

    Attributes:
        predictor: The model, its options and the column of the texts.
        out: The folder of the shards, as an absolute path.
        form: What the user said about the form of tables.
    """

    predictor: ArrowPredictor
    out: str
    form: TableForm


@dataclass(frozen=True)
class Outcome:
    """What has become of a task.

    Attributes:
        task: The task.
        rows: How many rows were answered.
        failed: How many of them have no answer, but an error.
        problem: Why there is no shard; None if there is one.
        warning: What else the user should know.
    """

    task: CorpusTask
    rows: int = 0
    failed: int = 0
    problem: str | None = None
    warning: str | None = None


def prepare_process() -> None:
    """Makes a process of this job's take little of the machine, which has one for each core.

    Pyarrow keeps to one thread and to memory that is given back, and imports no pandas: for its first list of Python
    objects it would import it wherever it is installed, which takes 35 MB, and it does not look again.
    """
    pyarrow = import_pyarrow()
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pyarrow.array([""])
    finally:
        sys.meta_path.remove(finder)
    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())


class _NoPandas(MetaPathFinder):
    """Makes an import of pandas fail, as where it is not installed."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if fullname == "pandas":
            raise ImportError("pandas takes memory, and this process has no use for it")


def run_task(job: Job, task: CorpusTask) -> Outcome:
    """Answers a task in this process; damage of its file is an outcome.

    Raises:
        ModelError: If the model is not here, or is another one.
        OSError: If the shard cannot be written.
    """
    try:
        with open_output(job.out, task.shard_name) as file:
            match task.kind:
                case "row groups":
                    return _answer_row_groups(job, task, file)
                case "lines":
                    return _answer_lines(job, task, file)
                case "file":
                    return _answer_file(job, task, file)
    except DataError as error:
        what = error.what if str(error.where) == task.path else str(error)
        return Outcome(task, problem=f"{task.path}: {what}")


def _answer_row_groups(job: Job, task: CorpusTask, file: Any) -> Outcome:
    import_pyarrow()
    import pyarrow.parquet

    rows = failed = 0
    batches = _guarded(task, _batches(task))
    schema = job.predictor.schema(next(batches))
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        waiting: list[Any] = []
        for batch in batches:
            waiting.append(job.predictor(batch))
            rows += batch.num_rows
            failed += batch.num_rows - waiting[-1].columns[-1].null_count
            if sum(b.num_rows for b in waiting) >= _GROUP_ROWS or sum(b.nbytes for b in waiting) >= _GROUP_BYTES:
                writer.write_table(pyarrow.Table.from_batches(waiting))
                waiting = []
        if waiting:
            writer.write_table(pyarrow.Table.from_batches(waiting))
    return Outcome(task, rows, failed)


def _batches(task: CorpusTask) -> Iterator[Any]:
    """Yields the schema, then the record batches of a span of row groups."""
    import_pyarrow()
    import pyarrow.parquet

    with open_input(task.path) as file, pyarrow.parquet.ParquetFile(file) as table:
        yield table.schema_arrow
        yield from table.iter_batches(BATCH_ROWS, row_groups=range(task.start, task.stop), use_threads=False)


def _guarded(task: CorpusTask, batches: Iterable[Any]) -> Iterator[Any]:
    pyarrow = import_pyarrow()
    try:
        yield from batches
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise damage(task.path, error) from error


def _answer_lines(job: Job, task: CorpusTask, file: Any) -> Outcome:
    """Answers JSON lines; each line keeps all its keys."""
    data = read_lines(task)
    table = TableFile(Path(task.path), (PurePosixPath("lines.jsonl"), data))
    objects = [value for _, value in read_objects(table, job.form)]
    keys = list(dict.fromkeys(key for value in objects if isinstance(value, dict) for key in value))
    found = find_column(keys, job.predictor.text_column)
    if found is None and keys:
        raise DataError(
            f"no key {job.predictor.text_column!r}; the keys are {', '.join(f'{key!r:.60}' for key in keys[:20])}"
        )
    column = keys[found or 0] if keys else ""
    names = add_columns(keys, ANSWER_COLUMNS)[len(keys) :]
    items = (
        cell_item(task.path, number, None, value)
        if isinstance(value, str)
        else cell_item(task.path, number, value.get(column), None)
        for number, value in enumerate(objects, 1)
    )
    predictor, failed = load_once(job.predictor.copy), 0
    for value, given in zip(objects, answer(predictor, items, job.predictor.threshold, BATCH_ROWS), strict=True):
        cells = answer_cells(given)
        failed += cells[-1] is not None
        kept = value if isinstance(value, dict) else {}
        file.write(json.dumps({**kept, **dict(zip(names, cells, strict=True))}).encode() + b"\n")
    return Outcome(task, len(objects), failed)


def _answer_file(job: Job, task: CorpusTask, file: Any) -> Outcome:
    """Answers a table that cannot be cut into spans, such as CSV, where a cell may have line breaks."""
    path = PurePosixPath(task.path)
    if is_remote(task.path):
        table_file = TableFile(Path(task.path), (PurePosixPath(f"table{table_ending(path)}"), read_unpacked(task.path)))
    else:
        table_file = TableFile(Path(task.path))
    table, column = open_table(table_file, job.predictor.text_column, job.form)
    names = list(table.names or ())
    columns = add_columns(names, ANSWER_COLUMNS)
    ending = PurePosixPath(task.shard_name).suffix
    buffer = io.BufferedWriter(_Sink(file))
    writer = open_writer(buffer, ending, columns, None, ())
    rows, count, failed = TableRows(task.path, table, column), 0, 0
    for cells, given in rows.join(answer(load_once(job.predictor.copy), rows.items(), job.predictor.threshold)):
        answered = answer_cells(given)
        count += 1
        failed += answered[-1] is not None
        writer.write([*cells, *answered])
    writer.close()
    buffer.flush()
    more = f"{task.path}: {rows.more_count:,} rows have more cells than columns, which are left out"
    return Outcome(task, count, failed, warning=more if rows.more_count else None)


class _Sink(io.RawIOBase):
    """A file of pyarrow as one of Python, so that small writes can be buffered."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._file.write(bytes(data))
        return len(data)
