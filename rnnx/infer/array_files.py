"""Files of numbers as items, a sequence each: `.npy`, `.npz` and `.csv`. A bad file never stops the rest."""

from __future__ import annotations

import csv
import io
import os
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import InputConfig
from rnnx.datasets.npy import FileArray, open_array
from rnnx.datasets.npz import no_pickle, open_npz
from rnnx.errors import DataError
from rnnx.infer.encoders import ArrayReader
from rnnx.infer.text_files import STDIN, Item, reason

# The one array of a file whose network has one input, whatever that is called.
_ONLY_KEY = "x"
_LENGTHS_KEY = "lengths"
_MOST_CSV_BYTES = 64 << 20


def read_arrays_of(reader: ArrayReader, sources: Iterable[str]) -> Iterator[Item]:
    """Reads the sequences of files.

    Args:
        reader: The model's; what it refuses is an error for that sequence alone.
        sources: `.npy` holds (time, features) or (batch, time, features); `.npz` the same by input name, or `x`, with
            `lengths` where rows are padded; `.csv` one step per line, or for ids one sequence per line; `-` is a
            `.csv` on stdin.

    Yields:
        Items with a `row`, or with an error.
    """
    for source in sources:
        count = 0
        try:
            for index, row in enumerate(_read(reader, source)):
                count = index + 1
                try:
                    yield Item(source, None, None, index=index, row=reader.encode(row, index).given)
                except DataError as error:
                    yield Item(source, None, None, str(error), index=index)
        except (DataError, OSError) as error:
            said = reason(error) if isinstance(error, OSError) else error.what
            yield Item(source, None, None, said, index=count or None)


def _read(reader: ArrayReader, source: str) -> Iterator[Any]:
    """The sequences of a file as they stand there."""
    path = Path(source)
    match ".csv" if source == STDIN else path.suffix.lower():
        case ".csv":
            with nullcontext(sys.stdin.buffer) if source == STDIN else path.open("rb") as stream:
                data = stream.read(_MOST_CSV_BYTES + 1)
            if len(data) > _MOST_CSV_BYTES:
                raise DataError(f"longer than the {_MOST_CSV_BYTES >> 20} MB that a .csv may have; give it as .npy")
            yield from _read_csv(_only_input(reader), data)
        case ".npy":
            one = _only_input(reader)
            with path.open("rb") as file:
                with no_pickle(None, "this file"):
                    values = open_array(file, os.fstat(file.fileno()).st_size)
                yield from _take_apart(one, values, None, "this file")
        case ".npz":
            yield from _read_npz(reader, path)
        case _:
            raise DataError(f"not .npy, .npz or .csv; this model reads {reader.describe()}")


def _only_input(reader: ArrayReader) -> InputConfig:
    if len(reader.inputs) > 1:
        raise DataError(f"this model reads {reader.describe()}: hand them in by name, in a .npz")
    return reader.inputs[0]


def _is_batch(one: InputConfig, values: FileArray) -> bool:
    """Whether there is one axis more than a sequence has; anything else is one sequence, and checked as such."""
    return len(values.shape) == 1 + len(one.shape)


def _count(one: InputConfig, values: FileArray) -> int:
    """The sequences in an array."""
    count = values.shape[0] if _is_batch(one, values) else 1
    if not count:
        raise DataError(f"{one.name}: the array is empty: {values.shape}")
    return count


def _take_apart(one: InputConfig, values: FileArray, where: Path | None, what: str) -> Iterator[npt.NDArray[Any]]:
    """The sequences in an array, read as they are needed."""
    rows = values.rows() if _is_batch(one, values) else map(FileArray.read, [values])
    for _ in range(_count(one, values)):
        with no_pickle(where, what):
            row = next(rows)
        yield row


def _read_npz(reader: ArrayReader, path: Path) -> Iterator[Any]:
    names = [one.name for one in reader.inputs]
    wanted = {*names, _LENGTHS_KEY, *([_ONLY_KEY] if len(names) == 1 else [])}
    with open_npz(path, wanted.__contains__) as arrays:
        if len(names) == 1 and names[0] not in arrays and _ONLY_KEY in arrays:
            arrays[names[0]] = arrays[_ONLY_KEY]
        if missing := [name for name in names if name not in arrays]:
            raise DataError(f"no array {' and no array '.join(missing)} in it; this model reads {reader.describe()}")
        counts = [_count(one, arrays[one.name]) for one in reader.inputs]
        if len(set(counts)) > 1:
            shapes = ", ".join(f"{name} {arrays[name].shape}" for name in names)
            raise DataError(f"the arrays hold different numbers of sequences: {shapes}")
        lengths = _read_lengths(arrays, counts[0]) if _LENGTHS_KEY not in names and len(names) == 1 else None
        parts = [_take_apart(one, arrays[one.name], path, one.name) for one in reader.inputs]
        for index, row in enumerate(zip(*parts, strict=True)):
            yield {n: v if lengths is None else v[: lengths[index]] for n, v in zip(names, row, strict=True)}


def _read_lengths(arrays: Mapping[str, FileArray], count: int) -> npt.NDArray[Any] | None:
    """The steps of each sequence that count; None if all of them do."""
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


def _read_csv(one: InputConfig, data: bytes) -> list[Any]:
    """A sequence of numbers, a step per line; or sequences of ids, one per line. A first line of names is skipped."""
    is_ids = one.kind == "ids"
    if len(one.shape) != (1 if is_ids else 2):
        raise DataError(f"this model reads sequences with more axes than a .csv has; give {one.name} as .npy")
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
        raise DataError(f"no table of numbers ({error})") from error
    if not rows and not steps:
        raise DataError("holds no line of numbers")
    return rows if is_ids else [np.array(steps).reshape(-1, width)]


def _parse_csv(data: bytes, parse: Callable[[str], float]) -> Iterator[tuple[int, list[float]]]:
    """The lines with numbers, and their own numbers from 1."""
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
            head_error = wrong  # the names of the columns, if there is more
    if head_error and number == 1:
        raise head_error
