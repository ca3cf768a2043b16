"""Files of numbers as items, a sequence each: `.npy`, `.npz` and `.csv`. A bad file never stops the rest."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator
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
            data = sys.stdin.buffer.read() if source == STDIN else path.read_bytes()
            return _read_csv(_only_input(reader), data)
        case ".npy":
            one = _only_input(reader)
            with no_pickle("this file"), path.open("rb") as file:
                array = np.lib.format.read_array(file, allow_pickle=False)
            return _take_apart(one, array)
        case ".npz":
            return _read_npz(reader, path)
    raise DataError(f"not .npy, .npz or .csv; this model reads {reader.describe()}")


def _only_input(reader: ArrayReader) -> InputConfig:
    if len(reader.inputs) > 1:
        raise DataError(f"this model reads {reader.describe()}: hand them in by name, in a .npz")
    return reader.inputs[0]


def _take_apart(one: InputConfig, array: npt.NDArray[Any]) -> list[Any]:
    """A batch into its sequences; anything else is one, and checked as such."""
    if array.ndim != 1 + len(one.shape):
        return [array]
    if not len(array):
        raise DataError(f"{one.name}: the array is empty: {array.shape}")
    return list(array)


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
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"no table of numbers ({error})") from error
    rows: list[npt.NDArray[Any]] = []
    for number, cells in enumerate(lines, 1):
        if not cells:
            continue
        try:
            rows.append(np.array([int(cell) if is_ids else float(cell) for cell in cells]))
        except (ValueError, OverflowError) as error:
            if number == 1 and len(lines) > 1:  # the names of the columns
                continue
            wanted = "integers" if is_ids else "numbers"
            raise DataError(f"line {number}: should hold {wanted}, separated by commas ({error})") from error
        if not is_ids and len(rows[-1]) != len(rows[0]):
            raise DataError(f"line {number}: {len(rows[-1])} numbers where the first one has {len(rows[0])}")
    if not rows:
        raise DataError("holds no line of numbers")
    return list(rows) if is_ids else [np.stack(rows)]
