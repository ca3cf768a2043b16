"""Reads tables in Parquet and Arrow (Feather) files, a batch of rows at a time. Imports pyarrow, of `[tables]`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

from rnnx.datasets.table_files import TableFile
from rnnx.datasets.table_form import Columns, Table, TableForm, TableRow
from rnnx.errors import DataError, MissingExtraError

PARQUET_MARK, ARROW_MARK = b"PAR1", b"ARROW1"
_BATCH_ROWS = 1024
_SAMPLE_ROWS = 100
# A column of a row group is read in parts of this size. By default it is read whole, and a file is often one group.
_BUFFER_BYTES = 1 << 16


def read_parquet(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at a Parquet file.

    Raises:
        DataError: If it is damaged.
        MissingExtraError: If pyarrow is not installed.
    """
    del columns, form
    return _table(file, _parquet_batches)


def read_arrow(file: TableFile, columns: Columns, form: TableForm) -> Table:
    """Looks at an Arrow file, which is the same as a Feather file, or at an Arrow stream.

    Raises:
        DataError: If it is damaged.
        MissingExtraError: If pyarrow is not installed.
    """
    del columns, form
    return _table(file, _arrow_batches)


def _import(file: TableFile) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(
            f"{file.path}: reading Parquet and Arrow needs pyarrow: pip install 'rnnx[tables]'"
        ) from error
    return pyarrow


# Yields the schema of all columns, then batches of the wanted columns; None wants all.
_Batches = Callable[[TableFile, Sequence[int] | None], Iterator[Any]]


def _table(file: TableFile, batches: _Batches) -> Table:
    found = _guarded(file, batches, None)
    schema = next(found)
    sample = list(islice((row for batch in found for row in _tuples(batch)), _SAMPLE_ROWS))
    return Table(schema.names, sample, partial(_rows, file, batches), place="row", schema=schema)


def _rows(file: TableFile, batches: _Batches, wanted: Sequence[int]) -> Iterator[TableRow]:
    number = 0
    for batch in islice(_guarded(file, batches, wanted), 1, None):
        for cells in _tuples(batch):
            number += 1
            yield TableRow(number, cells)


def _tuples(batch: Any) -> Iterator[Sequence[object]]:
    return zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _guarded(file: TableFile, batches: _Batches, wanted: Sequence[int] | None) -> Iterator[Any]:
    pyarrow = _import(file)
    try:
        yield from batches(file, wanted)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot be read ({' '.join(str(error).split())[:200]}); is it damaged?", file.path) from error


def _parquet_batches(file: TableFile, wanted: Sequence[int] | None) -> Iterator[Any]:
    import pyarrow.parquet

    options = {"buffer_size": _BUFFER_BYTES, "pre_buffer": False}
    with file.open() as stream, pyarrow.parquet.ParquetFile(stream, **options) as table:
        names = table.schema_arrow.names
        yield table.schema_arrow
        chosen = None if wanted is None else [names[i] for i in wanted]
        for batch in table.iter_batches(_BATCH_ROWS, columns=chosen, use_threads=False):
            # With columns by name, pyarrow returns them in the order of the file.
            yield batch if chosen is None else batch.select(chosen)


def _arrow_batches(file: TableFile, wanted: Sequence[int] | None) -> Iterator[Any]:
    import pyarrow

    with file.open() as stream:
        if file.head.startswith(ARROW_MARK):
            with pyarrow.ipc.open_file(stream) as table:
                yield table.schema
                yield from _checked((table.get_batch(i) for i in range(table.num_record_batches)), wanted)
        else:
            with pyarrow.ipc.open_stream(stream) as table:
                yield table.schema
                yield from _checked(table, wanted)


def _checked(batches: Iterable[Any], wanted: Sequence[int] | None) -> Iterator[Any]:
    """Takes the wanted columns, and checks the places in them; pyarrow would follow a wrong one outside of the file."""
    for batch in batches:
        chosen = batch if wanted is None else batch.select(list(wanted))
        chosen.validate(full=True)
        yield chosen
