"""Reads arrays in NumPy's format: first the header, then a block of rows at a time, so that few are in memory.

`np.load(mmap_mode="r")` would do the same for a `.npy` file, but not in a `.npz` file, whose arrays it reads whole.
Arrays of Python objects are refused, because only pickle could read them.

Source: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

# As many rows are read at a time as fit into this, at least one.
_BLOCK_BYTES = 1 << 20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class PythonObjectsError(ValueError):
    """Raised for an array of Python objects, which only pickle could read."""


@contextmanager
def _any_header() -> Iterator[None]:
    """Keeps numpy from warning of a header that an old Python wrote: it is slower to read, and not wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@dataclass(frozen=True)
class FileArray:
    """An array in an open file that has not been read yet.

    Attributes:
        shape: The shape in its header.
        dtype: The dtype in its header.
        file: The open file, positioned after the header.
        is_in_order: Whether the rows follow each other (C order).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    file: IO[bytes]
    is_in_order: bool

    def read(self) -> npt.NDArray[Any]:
        """Reads the whole array; nothing is unpickled.

        Raises:
            ValueError, EOFError: If the file is damaged, as numpy and zipfile raise them.
        """
        self.file.seek(0)
        with _any_header():
            array: npt.NDArray[Any] = np.lib.format.read_array(self.file, allow_pickle=False)
        return array

    def rows(self) -> Iterator[npt.NDArray[Any]]:
        """Reads the array row by row along its first axis.

        An array that was saved transposed (in Fortran order) is read whole, because its rows are interleaved.

        Raises:
            ValueError, EOFError: If the file is damaged, as numpy and zipfile raise them.
        """
        row_bytes = math.prod(self.shape[1:]) * self.dtype.itemsize
        if not self.is_in_order or not row_bytes:
            yield from self.read()
            return
        most, left = max(1, _BLOCK_BYTES // row_bytes), self.shape[0]
        while left:
            count = min(left, most)
            data = self.file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise EOFError("the file ends before the last row")
            yield from np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])
            left -= count


def open_array(file: IO[bytes], size: int) -> FileArray:
    """Reads the header of an array.

    Args:
        file: The file from its start; it must stay open until the array has been read.
        size: The size of the file in bytes.

    Raises:
        PythonObjectsError: If the array holds Python objects.
        ValueError: If it is not a `.npy` file, or shorter than its header says.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:  # 3.0 is for field names that are not Latin-1; numbers have no fields
        raise ValueError(f"format {version[0]}.{version[1]} is for tables with named columns")
    with _any_header():
        shape, is_turned, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise PythonObjectsError("the array holds Python objects")
    wanted, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if not 0 <= wanted <= there or any(length < 0 for length in shape):
        raise ValueError(f"the header promises {shape} of {dtype}, and {there:,} bytes follow")
    return FileArray(shape, dtype, file, is_in_order=not is_turned)
