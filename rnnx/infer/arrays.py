"""Files of numbers as items, a sequence each: `.npy`, `.npz` and `.csv`. A bad file never stops the rest."""

from __future__ import annotations

import csv
import io
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.config import InputConfig
from rnnx.datasets.npz import no_pickle, read_arrays
from rnnx.errors import DataError
from rnnx.infer.inputs import STDIN, Item, reason
from rnnx.infer.readers import ArrayReader

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
        try:
            rows = _read(reader, source)
        except (DataError, OSError) as error:
            said = reason(error) if isinstance(error, OSError) else str(error).removeprefix(f"{source}: ")
            yield Item(source, None, None, said)
            continue
        for index, row in enumerate(rows):
            try:
                yield Item(source, None, None, index=index, row=reader.encode(row, index).given)
            except DataError as error:
                yield Item(source, None, None, str(error), index=index)


def _read(reader: ArrayReader, source: str) -> list[Any]:
    """The sequences of a file as they stand there."""
    path = Path(source)
    match ".csv" if source == STDIN else path.suffix.lower():
        case ".csv":
            with nullcontext(sys.stdin.buffer) if source == STDIN else path.open("rb") as stream:
                data = stream.read(_MOST_CSV_BYTES + 1)
            if len(data) > _MOST_CSV_BYTES:
                raise DataError(f"longer than the {_MOST_CSV_BYTES >> 20} MB that a .csv may have; give it as .npy")
            return _read_csv(_only_input(reader), data)
        case ".npy":
            one = _only_input(reader)
            with no_pickle("this file"), path.open("rb") as file:
                values = np.lib.format.read_array(file, allow_pickle=False)
            return _take_apart(one, values)
        case ".npz":
            return _read_npz(reader, path)
    raise DataError(f"not .npy, .npz or .csv; this model reads {reader.describe()}")


def _only_input(reader: ArrayReader) -> InputConfig:
    if len(reader.inputs) > 1:
        raise DataError(f"this model reads {reader.describe()}: hand them in by name, in a .npz")
    return reader.inputs[0]


def _take_apart(one: InputConfig, values: npt.NDArray[Any]) -> list[Any]:
    """A batch into its sequences; anything else is one, and checked as such."""
    if values.ndim != 1 + len(one.shape):
        return [values]
    if not len(values):
        raise DataError(f"{one.name}: the array is empty: {values.shape}")
    return list(values)


def _read_npz(reader: ArrayReader, path: Path) -> list[Any]:
    names = [one.name for one in reader.inputs]
    wanted = {*names, _LENGTHS_KEY, *([_ONLY_KEY] if len(names) == 1 else [])}
    arrays = read_arrays(path, wanted.__contains__)
    if len(names) == 1 and names[0] not in arrays and _ONLY_KEY in arrays:
        arrays[names[0]] = arrays[_ONLY_KEY]
    if missing := [name for name in names if name not in arrays]:
        raise DataError(f"no array {' and no array '.join(missing)} in it; this model reads {reader.describe()}")
    parts = [_take_apart(one, arrays[one.name]) for one in reader.inputs]
    if len({len(part) for part in parts}) > 1:
        shapes = ", ".join(f"{name} {arrays[name].shape}" for name in names)
        raise DataError(f"the arrays hold different numbers of sequences: {shapes}")
    rows = [dict(zip(names, row, strict=True)) for row in zip(*parts, strict=True)]
    if _LENGTHS_KEY not in names and len(names) == 1 and _LENGTHS_KEY in arrays:
        lengths = arrays[_LENGTHS_KEY]
        if lengths.shape != (len(rows),) or lengths.dtype.kind not in "iu":
            raise DataError(f"lengths should be {len(rows)} integers, not {lengths.dtype} {lengths.shape}")
        rows = [{name: row[name][:length] for name in row} for row, length in zip(rows, lengths, strict=True)]
    return rows


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
