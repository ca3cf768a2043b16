"""Checks an HDF5 file before any of its numbers is read.

HDF5 can store numbers in other files, follow links to other files, read through filters that are plugins on disk, and
declare arrays that are far larger than the file. Keras uses none of that, so a file that does is refused. Imports h5py,
which comes with Keras.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rnnx.errors import ModelError, one_line

HDF5_MARK = b"\x89HDF\r\n\x1a\n"
# The limit of all numbers of a file, which is that of an `.onnx` file.
MAX_WEIGHT_BYTES = 1 << 30
_MAX_OBJECTS, _MAX_DEPTH = 100_000, 32
# The filters that are built into HDF5: deflate, shuffle and Fletcher's checksum. All others are plugins.
_FILTERS = frozenset({1, 2, 3})


@contextmanager
def open_hdf5(data: bytes, part: str) -> Iterator[Any]:
    """Opens the content of an HDF5 file, after all groups and arrays in it were checked.

    Args:
        data: The content of the file.
        part: What the file is, for the message: `its model.weights.h5`, or `the file`.

    Yields:
        The open `h5py.File`. Attributes are not checked: read them with `read_text`.

    Raises:
        ModelError: If the file is damaged, leads out of itself, or is too large.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            _require_size(part, sum(item.nbytes for item in _walk(h5py, file, part) if isinstance(item, h5py.Dataset)))
            yield file
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, ArithmeticError) as error:  # also impossible shapes
        raise ModelError(f"{part} is damaged ({one_line(error, 200)})") from error


def count_numbers(file: Any) -> int:
    """Counts the numbers in all arrays of an open `h5py.File`."""
    counts: list[int] = []
    file.visititems(lambda _, item: counts.append(getattr(item, "size", None) or 0))
    return sum(counts)


def read_text(file: Any, name: str) -> str | None:
    """Reads an attribute that is a single text; None if the file has no such attribute.

    An array of texts is never read: each of its elements may refer to the same long text, and HDF5 copies all of them.

    Raises:
        ModelError: If the attribute is something else.
    """
    import h5py

    if name not in file.attrs:
        return None
    attribute = h5py.h5a.open(file.id, name.encode())
    if attribute.shape != () or (h5py.check_string_dtype(attribute.dtype) is None and attribute.dtype.kind != "S"):
        raise ModelError(f"its attribute {name} is not a text")
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def _require_size(part: str, size: int) -> None:
    if size > MAX_WEIGHT_BYTES:
        raise ModelError(f"{part} declares {size:,} bytes; at most {MAX_WEIGHT_BYTES >> 20} MB are supported")


def _walk(h5py: Any, file: Any, part: str) -> Iterator[Any]:
    """Yields every group and array of an open HDF5 file. Links that could lead out of the file are refused."""
    waiting, count = [(file, 0)], 0
    while waiting:
        group, depth = waiting.pop()
        for name in group:
            count += 1
            if count > _MAX_OBJECTS or depth > _MAX_DEPTH:
                raise ModelError(f"{part} contains too many arrays, or too many nested groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"{part} has a link, {name!r:.60}, which is not followed")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((item, depth + 1))
            else:
                _check_array(h5py, item, name, part)
            yield item


def _check_array(h5py: Any, item: Any, name: str, part: str) -> None:
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiub" or item.shape is None:
        raise ModelError(f"{part} contains {name!r:.60}, which is not an array of numbers")
    if item.external or item.is_virtual:
        raise ModelError(f"{part} stores the numbers of {name!r:.60} in another file")
    created = item.id.get_create_plist()
    filters = {created.get_filter(i)[0] for i in range(created.get_nfilters())}
    if not filters <= _FILTERS:
        raise ModelError(f"{part} stores {name!r:.60} with a filter that is not part of HDF5; save it without")
    if item.chunks:
        # A chunk is unpacked as a whole, and may be larger than its array.
        size = item.dtype.itemsize
        for length in item.chunks:
            size *= length
        _require_size(part, size)
