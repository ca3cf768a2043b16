"""Reads data sets of numbers from one `.npz` file, as numpy.savez writes it; nothing is unpickled.

`x` `(count, time, features)` holds the sequences and `y` a label or values for each. `x_test` and `y_test` are the
official test part, if there is one. `lengths` and `lengths_test` say how many steps of each sequence count; the other
steps are padding and are ignored.
"""

from __future__ import annotations

import lzma
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import describe_bad_label
from rnnx.datasets.archives import require_no_bomb, require_regular
from rnnx.datasets.folders_and_tables import short_name
from rnnx.datasets.npy import FileArray, PythonObjectsError, open_array
from rnnx.datasets.series import Numbers, Series, SeriesDataset, SeriesTask
from rnnx.errors import DataError, one_line

NPZ_ENDING = ".npz"

_KEYS = ("x", "y", "lengths", "x_test", "y_test", "lengths_test")
_SHOWN_KEYS = 20


@dataclass(frozen=True)
class _File:
    """The arrays of a file, and the errors that name the file and the key."""

    path: Path
    arrays: dict[str, npt.NDArray[Any]]
    keys: tuple[str, ...]  # of all arrays, also those that no data set has

    def refuse(self, key: str, what: str) -> DataError:
        return DataError(f"{key}: {what}", self.path)

    def __getitem__(self, key: str) -> npt.NDArray[Any]:
        if key not in self.arrays:
            there = ", ".join(f"{name:.60}" for name in self.keys[:_SHOWN_KEYS]) or "none"
            raise self.refuse(key, f"is missing (the keys are {there}); save it with numpy.savez(FILE, x=..., y=...)")
        return self.arrays[key]


def read_npz(path: Path, task: SeriesTask) -> SeriesDataset:
    """Reads a data set of numbers.

    Args:
        path: The file.
        task: Whether `y` holds labels or values.

    Raises:
        DataError: If the arrays are not as this module describes; the message names the file, the key, and what to do.
    """
    keys: list[str] = []
    file = _File(path, _read_arrays(path, keys), tuple(keys))
    rows = _read_rows(file, "x", "lengths")
    y = _read_targets(file, "y", task, len(rows))
    has_test = any(f"{key}_test" in file.arrays for key in ("x", "y"))
    test_rows = _read_rows(file, "x_test", "lengths_test") if has_test else None
    y_test = _read_targets(file, "y_test", task, len(test_rows)) if test_rows is not None else None
    if test_rows is not None and test_rows[0].shape[1] != rows[0].shape[1]:
        raise file.refuse("x_test", f"has {test_rows[0].shape[1]} features, x has {rows[0].shape[1]}")
    if y_test is not None and y_test.shape[1:] != y.shape[1:]:
        raise file.refuse("y_test", f"has shape {y_test.shape}, y has {y.shape}; only their counts may differ")
    labels: tuple[str, ...] = ()
    if task == "classification":
        labels, y, y_test = _to_ids(file, y, y_test)
    test = Series(test_rows, y_test) if test_rows is not None and y_test is not None else None
    return SeriesDataset(short_name(path), labels, Series(rows, y), test, task)


@contextmanager
def no_pickle(where: Path | None, what: str = "") -> Iterator[None]:
    """Turns the errors of NumPy and zipfile about a damaged or unsafe file into a DataError of one line.

    Args:
        where: The file; None if the caller adds it to the message.
        what: The key of the array that is read, for the message; empty for the file itself.

    Raises:
        DataError: For every error that reading `.npy` and `.npz` files may raise.
    """
    prefix = f"{what}: " if what else ""
    try:
        yield
    # zipfile raises RuntimeError for a member that is encrypted or packed with an unknown method.
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError) as error:
        raise DataError(f"{prefix}damaged, or not written by NumPy ({error}); save it again", where) from error
    except PythonObjectsError as error:
        raise DataError(
            f"{prefix}holds Python objects, not numbers, and is not unpickled; save an array of one dtype", where
        ) from error
    # NumPy lets TokenError through for a header that is not Python.
    except (ValueError, SyntaxError, TypeError, tokenize.TokenError) as error:
        raise DataError(f"{prefix}not an array of NumPy ({one_line(error, 120)}); save it again", where) from error
    except MemoryError as error:
        raise DataError(f"{prefix}does not fit into memory", where) from error


@contextmanager
def open_npz(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[dict[str, FileArray]]:
    """Opens the wanted arrays of a `.npz` file, by name.

    Args:
        path: The file.
        is_wanted: Tells from a key whether to open the array.

    Yields:
        The open arrays by key, until the context ends.

    Raises:
        DataError: If it is not a `.npz` file, or is a pipe or damaged, or a wanted array holds Python objects.
        UntrustedDataError: If the arrays unpack to much more than the size of the file.
        OSError: If the file cannot be read.
    """
    require_regular(path)
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            raise DataError("not a .npz file; numpy.savez writes one", path)
        file.seek(0)
        with ExitStack() as opened:
            with no_pickle(path):
                archive = opened.enter_context(zipfile.ZipFile(file))
            chosen = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            chosen = {key: info for key, info in chosen.items() if is_wanted(key)}
            require_no_bomb(path, list(chosen.values()))
            arrays = {}
            for key, info in chosen.items():
                with no_pickle(path, key):
                    arrays[key] = open_array(opened.enter_context(archive.open(info)), info.file_size)
            yield arrays


def read_arrays(path: Path, is_wanted: Callable[[str], bool]) -> dict[str, npt.NDArray[Any]]:
    """Reads the wanted arrays of a `.npz` file, by name; raises the errors of `open_npz`."""
    arrays = {}
    with open_npz(path, is_wanted) as opened:
        for key, array in opened.items():
            with no_pickle(path, key):
                arrays[key] = array.read()
    return arrays


def _read_arrays(path: Path, keys: list[str]) -> dict[str, npt.NDArray[Any]]:
    """The arrays that a data set may have; others in the file are ignored, and the keys of all are added to `keys`."""

    def is_wanted(key: str) -> bool:
        keys.append(key)
        return key in _KEYS

    try:
        return read_arrays(path, is_wanted)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error


def _read_rows(file: _File, key: str, lengths_key: str) -> list[Numbers]:
    x = file[key]
    if x.dtype.kind not in "iuf":
        raise file.refuse(key, f"should hold numbers, not {x.dtype}")
    if x.ndim != 3:
        more = "; for one feature per step, add an axis: x[:, :, None]" if x.ndim == 2 else ""
        raise file.refuse(key, f"should be (count, time, features), not {x.shape}{more}")
    if not x.size:
        raise file.refuse(key, f"is empty: {x.shape}")
    lengths = _read_lengths(file, lengths_key, x)
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy warns of a signalling NaN
        x = x.astype(np.float32, copy=False)
    rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
    for i, row in enumerate(rows):
        if not np.isfinite(row).all():
            step, feature = np.argwhere(~np.isfinite(row))[0]
            raise file.refuse(
                key,
                f"sequence {i}, step {step}, feature {feature} (from 0) is {row[step, feature]}; fill in such values, "
                f"or cut them off with {lengths_key}",
            )
    return rows


def _read_lengths(file: _File, key: str, x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    count, time = x.shape[:2]
    if key not in file.arrays:
        return np.full(count, time, np.int64)
    lengths = file[key]
    if lengths.shape != (count,) or lengths.dtype.kind not in "iu":
        raise file.refuse(key, f"should be {count} integers, one per sequence, not {lengths.dtype} {lengths.shape}")
    if (wrong := np.flatnonzero((lengths < 1) | (lengths > time))).size:
        raise file.refuse(key, f"{lengths[wrong[0]]} of sequence {wrong[0]} (from 0) should be in 1..{time}")
    return lengths.astype(np.int64)


def _read_targets(file: _File, key: str, task: SeriesTask, count: int) -> npt.NDArray[Any]:
    y = file[key]
    if y.shape[:1] != (count,):
        raise file.refuse(key, f"has shape {y.shape} for {count} sequences; it should have one entry for each")
    if task == "classification":
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            row = np.argwhere(~np.isfinite(y))[0][0]
            raise file.refuse(key, f"entry {row} (from 0) is {y[row]}, not a label; leave that sequence out")
        if y.dtype.kind == "f":
            raise file.refuse(key, "holds fractions, not labels; rnnx train --task regression predicts values")
        if y.dtype.kind not in "iubU" or y.ndim != 1:
            raise file.refuse(key, f"should be (count,) integers or strings, one label each, not {y.dtype} {y.shape}")
        return y
    if y.dtype.kind not in "iuf":
        raise file.refuse(key, f"should hold numbers, not {y.dtype}; for labels, train without --task regression")
    if y.ndim > 2 or not y.size:
        raise file.refuse(key, f"should be (count,) or (count, outputs), not {y.shape}")
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy warns of a signalling NaN
        values = y.astype(np.float32).reshape(count, -1)
    if not np.isfinite(values).all():
        row = np.argwhere(~np.isfinite(values))[0][0]
        raise file.refuse(key, f"entry {row} (from 0) is not finite in float32: {y[row]}; leave that sequence out")
    return values


def _to_ids(
    file: _File, y: npt.NDArray[Any], y_test: npt.NDArray[Any] | None
) -> tuple[tuple[str, ...], npt.NDArray[np.int32], npt.NDArray[np.int32] | None]:
    """The sorted labels (numbers by size, strings by name), and the label ids of `y` and `y_test`."""
    values, ids = np.unique(y, return_inverse=True)
    labels = tuple(str(value) for value in values)
    if what := describe_bad_label(labels):
        raise file.refuse("y", what)
    if y_test is None:
        return labels, ids.astype(np.int32), None
    by_label = {label: i for i, label in enumerate(labels)}
    names = [str(value) for value in y_test]
    if strange := sorted(set(names) - set(labels)):
        raise file.refuse("y_test", f"has labels that are not in y: {', '.join(strange)}")
    return labels, ids.astype(np.int32), np.array([by_label[name] for name in names], np.int32)
