"""Arrays in numpy's files, of which the header is read first: then row after row, in memory for a few of them.

`np.load(mmap_mode="r")` would do the same for a `.npy` file, but not inside a `.npz`: it reads each array as a whole.

Source: numpy.lib.format, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
import numpy.typing as npt

# Rows are read so many bytes at a time, or one at a time if one has more.
_BLOCK_BYTES = 1 << 20
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class PythonObjectsError(ValueError):
    """An array holds Python objects, which only pickle could read."""


@dataclass(frozen=True)
class FileArray:
    """An array that lies in a file, opened in its place.

    Attributes:
        shape: Its header's.
        dtype: Its header's.
        file: Behind the header.
        is_in_order: Whether rows lie one after the other.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    file: IO[bytes]
    is_in_order: bool

    def read(self) -> npt.NDArray[Any]:
        """Reads all of it.

        Raises:
            ValueError, EOFError: As numpy and zipfile raise them; nothing is unpickled.
        """
        self.file.seek(0)
        array: npt.NDArray[Any] = np.lib.format.read_array(self.file, allow_pickle=False)
        return array

    def rows(self) -> Iterator[npt.NDArray[Any]]:
        """Reads it along its first axis; at once if its rows lie interleaved (an array that was saved transposed).

        Raises:
            ValueError, EOFError: As numpy and zipfile raise them.
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
                raise EOFError("it ends before its last row")
            yield from np.frombuffer(data, self.dtype).reshape(count, *self.shape[1:])
            left -= count


def open_array(file: IO[bytes], size: int) -> FileArray:
    """Reads the header.

    Args:
        file: From its start, to be kept open as long as the array is read.
        size: The bytes in it.

    Raises:
        PythonObjectsError: If it holds Python objects.
        ValueError: If it is no `.npy` file, or shorter than its header says.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:  # 3.0: fields with names that are not Latin, which numbers do not have
        raise ValueError(f"format {version[0]}.{version[1]} is for tables with named columns")
    shape, is_turned, dtype = _HEADERS[version](file)
    if dtype.hasobject:
        raise PythonObjectsError("the array holds Python objects")
    wanted, there = math.prod(shape) * dtype.itemsize, size - file.tell()
    if not 0 <= wanted <= there or any(length < 0 for length in shape):
        raise ValueError(f"the header promises {shape} of {dtype}, and {there:,} bytes follow")
    return FileArray(shape, dtype, file, is_in_order=not is_turned)
