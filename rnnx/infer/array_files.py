"""Reads files of numbers (`.npy`, `.npz`, `.csv`) as items, one sequence each.

A file that cannot be read never stops the rest.
"""

from __future__ import annotations

import csv
import io
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import InputConfig
from rnnx.datasets.archives import require_regular
from rnnx.datasets.npy import FileArray, open_array
from rnnx.datasets.npz import no_pickle, open_npz
from rnnx.errors import DataError
from rnnx.files.read import open_stdin
from rnnx.infer.encoders import ArrayReader
from rnnx.infer.input_items import STDIN, Item, reason

# The name of the array of a network with one input, besides the name of that input.
_ONLY_KEY = "x"
_LENGTHS_KEY = "lengths"
_MOST_CSV_BYTES = 64 << 20


def read_arrays_of(reader: ArrayReader, sources: Iterable[str]) -> Iterator[Item]:
    """Reads the sequences of files.

    Args:
        reader: The reader of the model; a sequence that it refuses is an error for that sequence alone.
        sources: `.npy` holds (time, features) or (batch, time, features); `.npz` the same by input name, or `x`, with
            `lengths` if rows are padded; `.csv` holds one step per line, or for ids one sequence per line; `-` is a
            `.csv` on stdin.

    Yields:
        Items that are encoded, or have an error.
    """
    for source in sources:
        count = 0
        try:
            for index, row in enumerate(_read(reader, source)):
                count = index + 1
                try:
                    yield Item(source, None, None, index=index, encoded=reader.encode(row, index))
                except DataError as error:
                    yield Item(source, None, None, str(error), index=index)
        except (DataError, OSError) as error:
            problem = reason(error) if isinstance(error, OSError) else error.what
            yield Item(source, None, None, problem, index=count or None)


def _read(reader: ArrayReader, source: str) -> Iterator[Any]:
    """Reads the sequences of a file, unchecked."""
    path = Path(source)
    match ".csv" if source == STDIN else path.suffix.lower():
        case ".csv":
            with nullcontext(open_stdin()) if source == STDIN else path.open("rb") as stream:
                data = stream.read(_MOST_CSV_BYTES + 1)
            if len(data) > _MOST_CSV_BYTES:
                raise DataError(f"longer than {_MOST_CSV_BYTES >> 20} MB, the most for a .csv; give it as .npy")
            yield from _read_csv(_only_input(reader), data)
        case ".npy":
            port = _only_input(reader)
            require_regular(path)
            with path.open("rb") as file:
                with no_pickle(None, "this file"):
                    values = open_array(file, os.fstat(file.fileno()).st_size)
                yield from _split(port, values, None, "this file")
        case ".npz":
            yield from _read_npz(reader, path)
        case _:
            raise DataError(f"not .npy, .npz or .csv; this model reads {reader.describe()}")


def _only_input(reader: ArrayReader) -> InputConfig:
    if len(reader.inputs) > 1:
        raise DataError(f"this model reads {reader.describe()}: give them by name, in a .npz")
    return reader.inputs[0]


def _is_batch(port: InputConfig, values: FileArray) -> bool:
    """Whether an array has one axis more than a sequence; any other array is checked as one sequence."""
    return len(values.shape) == 1 + len(port.shape)


def _count(port: InputConfig, values: FileArray) -> int:
    """Returns the number of sequences in an array, at least 1."""
    count = values.shape[0] if _is_batch(port, values) else 1
    if not count:
        raise DataError(f"{port.name}: the array is empty: {values.shape}")
    return count


def _split(port: InputConfig, values: FileArray, where: Path | None, what: str) -> Iterator[npt.NDArray[Any]]:
    """Splits an array into sequences, each of which is read when it is needed."""
    rows = values.rows() if _is_batch(port, values) else map(FileArray.read, [values])
    for _ in range(_count(port, values)):
        with no_pickle(where, what):
            row = next(rows)
        yield row


def _read_npz(reader: ArrayReader, path: Path) -> Iterator[Any]:
    names = [port.name for port in reader.inputs]
    wanted = {*names, _LENGTHS_KEY, *([_ONLY_KEY] if len(names) == 1 else [])}
    with open_npz(path, wanted.__contains__) as arrays:
        if len(names) == 1 and names[0] not in arrays and _ONLY_KEY in arrays:
            arrays[names[0]] = arrays[_ONLY_KEY]
        if missing := [name for name in names if name not in arrays]:
            raise DataError(f"no array {' and no array '.join(missing)} in it; this model reads {reader.describe()}")
        counts = [_count(port, arrays[port.name]) for port in reader.inputs]
        if len(set(counts)) > 1:
            shapes = ", ".join(f"{name} {arrays[name].shape}" for name in names)
            raise DataError(f"the arrays hold different numbers of sequences: {shapes}")
        lengths = _read_lengths(arrays, counts[0]) if _LENGTHS_KEY not in names and len(names) == 1 else None
        parts = [_split(port, arrays[port.name], path, port.name) for port in reader.inputs]
        for index, row in enumerate(zip(*parts, strict=True)):
            yield {n: v if lengths is None else v[: lengths[index]] for n, v in zip(names, row, strict=True)}


def _read_lengths(arrays: Mapping[str, FileArray], count: int) -> npt.NDArray[Any] | None:
    """Reads how many steps of each row belong to the sequence; None if the file does not say, and all of them do."""
    if _LENGTHS_KEY not in arrays:
        return None
    found = arrays[_LENGTHS_KEY]
    if found.shape != (count,) or found.dtype.kind not in "iu":
        raise DataError(f"lengths should be {count} integers, not {found.dtype} {found.shape}")
    with no_pickle(None, _LENGTHS_KEY):
        lengths = found.read()
    if (wrong := np.flatnonzero(lengths < 1)).size:
        raise DataError(f"lengths: {lengths[wrong[0]]} of sequence {wrong[0]} (from 0) should be at least 1")
    return lengths


def _read_csv(port: InputConfig, data: bytes) -> list[Any]:
    """Reads one sequence of numbers, one step per line; or sequences of ids, one per line.

    A first line of column names is skipped.
    """
    is_ids = port.kind != "numbers"  # a mask has one number at each position too
    if len(port.shape) != (1 if is_ids else 2):
        raise DataError(f"this model reads sequences with more axes than a .csv has; give {port.name} as .npy")
    rows: list[npt.NDArray[Any]] = []
    steps, width = array("d"), 0
    try:
        for number, numbers in _parse_csv(data, int if is_ids else float):
            if is_ids:
                rows.append(np.array(numbers))
                continue
            width = width or len(numbers)
            if len(numbers) != width:
                raise DataError(f"line {number}: {len(numbers)} numbers where the first one has {width}")
            steps.extend(numbers)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"not a table of numbers ({error})") from error
    if not rows and not steps:
        raise DataError("has no line of numbers")
    return rows if is_ids else [np.array(steps).reshape(-1, width)]


def _parse_csv(data: bytes, parse: Callable[[str], float]) -> Iterator[tuple[int, list[float]]]:
    """Reads the lines that hold numbers; yields the line number, from 1, and the numbers."""
    head_error: DataError | None = None
    number = 0
    lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
    for number, cells in enumerate(csv.reader(lines, strict=True), 1):
        if not cells:
            continue
        try:
            yield number, list(map(parse, cells))
        except (ValueError, OverflowError) as error:
            wanted = "integers" if parse is int else "numbers"
            wrong = DataError(f"line {number}: should hold {wanted}, separated by commas ({error})")
            if number > 1:
                raise wrong from error
            head_error = wrong  # a first line of column names, unless it is the only line
    if head_error and number == 1:
        raise head_error
