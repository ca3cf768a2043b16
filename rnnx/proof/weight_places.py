"""Finds the weights of a network in an exported file at the export, and reads them from the recorded places later.

A form may store a weight transposed, together with others in one tensor, with its gates in another order, or as
integers with a scale, those of 16 bits in two tensors. In every case the weight that is found and read has the same
bits as in Keras.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.onnx_file.messages import read_tensor
from rnnx.reference import Array
from rnnx.strict_json import OMIT_DEFAULT

_MOST_NUMBERS = 1 << 28  # in one weight
# The types other than float32 in which an embedding may be stored. Files have no int16 any more, but earlier ones do.
_STORED = tuple(np.dtype(name) for name in ("float16", "int16", "int8"))
_BYTE = 256  # the number of values of a byte


@dataclass(frozen=True)
class WeightRecord:
    """A weight of the network and its place in the file.

    Attributes:
        shape: The shape of the weight in Keras.
        sha256: The hash of its float32 numbers, little-endian, row by row.
        initializer: The tensor of the file that holds the weight; None for zeros, which the file may leave out.
        start: The index at which it begins in that tensor, without axes of size 1; one number for a matrix whose rows
            are stored one after the other, and for a vector that is stored as a matrix.
        is_transposed: Whether it is stored transposed, its axes in reverse order; the two axes of a window stay in
            theirs.
        scale: The tensor that the stored numbers are multiplied by; None if they are the weight itself.
        blocks: If the file has the blocks of the last axis (the gates) in another order, the number of Keras's block at
            each place.
        low: The tensor of the low bytes, if `initializer` has the high bytes of integers of 16 bits; else None. `scale`
            is then 256 times as large, because the file reads a low byte as a part of 256.
    """

    shape: tuple[int, ...]
    sha256: str
    initializer: str | None
    start: tuple[int, ...]
    is_transposed: bool
    scale: str | None
    blocks: tuple[int, ...] = ()
    low: str | None = dataclasses.field(default=None, metadata=OMIT_DEFAULT)


def find_weight(weight: Array, tensors: Mapping[str, npt.NDArray[Any]], blocks: tuple[int, ...]) -> WeightRecord | None:
    """Finds a weight in a file, bit for bit.

    Args:
        weight: The weight as Keras has it.
        tensors: The initializers of the file, by name.
        blocks: As in `WeightRecord`.

    Returns:
        Its place; None if the file does not hold it.
    """
    values = weight.astype("<f4")
    record = WeightRecord(values.shape, hashlib.sha256(values.tobytes()).hexdigest(), None, (), False, None, blocks)
    if not values.any():
        return record
    sought = _squeezed(_in_blocks(values, blocks))
    floats = {name: tensor for name, tensor in tensors.items() if tensor.dtype == np.float32}
    # First as it is: a network whose head has the transposed table of its Embedding stores both.
    for is_transposed in (False, True) if sought.ndim >= 2 else (False,):
        for name, tensor in floats.items():
            whole = _squeezed(_transposed(tensor) if is_transposed else tensor)
            # A bias may be a row of a matrix, so it is searched for as a row. A vector may hold two biases in a row.
            part = sought[None] if (sought.ndim, whole.ndim) == (1, 2) else sought
            part = sought.ravel() if whole.ndim == 1 else part
            if sought.ndim != whole.ndim > 1 and whole.size == sought.size:
                # The bias of several heads, which are an axis of their own, or weights of several axes as a matrix.
                part, whole = sought.ravel(), whole.ravel()
            start = _position(part, whole)
            if start is not None:
                return dataclasses.replace(record, initializer=name, start=start, is_transposed=is_transposed)
    for name, tensor in tensors.items():
        if tensor.shape != values.shape or tensor.dtype not in (*_STORED, np.uint8):
            continue
        scales = [None, *(n for n, t in tensors.items() if t.dtype == np.float32 and t.shape == (len(values), 1))]
        lows = [n for n, t in tensors.items() if t.dtype == np.uint8 and t.shape == tensor.shape]
        for scale, low in product(scales, lows if tensor.dtype == np.uint8 else [None]):
            others = (None if other is None else tensors[other] for other in (scale, low))
            if np.array_equal(_unpack(tensor, *others), values):
                return dataclasses.replace(record, initializer=name, start=(0,) * sought.ndim, scale=scale, low=low)
    return None


def _unpack(
    stored: npt.NDArray[Any], scale: npt.NDArray[Any] | None, low: npt.NDArray[Any] | None
) -> npt.NDArray[np.float32]:
    """Computes a weight from the stored numbers as the file does.

    The numbers are converted, and put together from their bytes, exactly. One product follows if they have a scale.
    """
    values = stored.astype(np.float32)
    if low is not None:
        values = stored.view(np.int8).astype(np.float32) + low.astype(np.float32) / np.float32(_BYTE)
    return values if scale is None else values * scale


def _position(part: npt.NDArray[Any], whole: npt.NDArray[Any]) -> tuple[int, ...] | None:
    """Returns the index at which an array begins as a block of another one; None if it is no block of it."""
    room = tuple(w - p + 1 for p, w in zip(part.shape, whole.shape, strict=False))
    if part.ndim != whole.ndim or min(room, default=1) < 1:
        return None
    corner = whole[tuple(slice(0, size) for size in room)]
    for start in np.argwhere(corner == part.flat[0]):
        if np.array_equal(whole[tuple(slice(s, s + n) for s, n in zip(start, part.shape, strict=True))], part):
            return tuple(int(s) for s in start)
    return None


def read_weight(layer: str, name: str, record: WeightRecord, tensors: Mapping[str, Any]) -> Array:
    """Reads a weight from a file.

    Args:
        layer: The name of the layer, for the message.
        name: The name of the weight, for the message.
        record: The place of the weight.
        tensors: The initializers of the file, by name.

    Returns:
        The weight as Keras had it, in float64.

    Raises:
        ModelError: If the file does not hold it, or if its hash is not the recorded one.
    """
    if min(record.shape, default=1) < 1 or np.prod(record.shape, dtype=object) > _MOST_NUMBERS:
        raise ModelError(f"layer {layer!r:.60}: the shape {record.shape!r:.60} of its {name!r:.40} is impossible")
    if record.initializer is None:
        values = np.zeros(record.shape, "<f4")
    else:
        stored = _read_stored(f"layer {layer!r:.60}", name, record, tensors)
        whole = _squeezed(_transposed(stored) if record.is_transposed else stored)
        whole = whole.ravel() if len(record.start) == 1 else whole
        sizes = [size for size in record.shape if size != 1]
        sizes = [int(np.prod(sizes))] if len(record.start) == 1 else sizes
        sizes = [1] * (len(record.start) - len(sizes)) + sizes
        block = whole[tuple(slice(s, s + n) for s, n in zip(record.start, sizes, strict=False))]
        if block.size != np.prod(record.shape):
            raise ModelError(f"layer {layer!r:.60}: its {name} of {record.shape} is not in {record.initializer!r:.80}")
        values = np.ascontiguousarray(_in_keras_order(layer, block.reshape(record.shape), record.blocks), "<f4")
    if hashlib.sha256(values.tobytes()).hexdigest() != record.sha256:
        raise ModelError(f"layer {layer!r:.60}: its {name} is not what Keras had at the export")
    return values.astype(np.float64)


def _read_stored(layer: str, name: str, record: WeightRecord, tensors: Mapping[str, Any]) -> npt.NDArray[Any]:
    """Reads the tensor that holds a weight, and computes what the file computes of it."""
    found: list[npt.NDArray[Any]] = []
    for part in filter(None, (record.initializer, record.scale, record.low)):
        if part not in tensors:
            raise ModelError(f"{layer}: the file has no {part!r:.80} for its {name}")
        found.append(read_tensor(tensors[part]))
    stored, *others = found
    if not others:
        return stored
    scale = None if record.scale is None else others.pop(0)
    low = None if record.low is None else others.pop(0)
    if scale is not None and scale.shape != (*stored.shape[:1], 1):
        raise ModelError(f"{layer}: {record.scale!r:.80} does not fit its {name}")
    if low is not None and (low.shape != stored.shape or {low.dtype, stored.dtype} != {np.dtype(np.uint8)}):
        raise ModelError(f"{layer}: {record.low!r:.80} does not fit its {name}")
    return _unpack(stored, scale, low)


def _in_blocks(values: npt.NDArray[Any], blocks: tuple[int, ...]) -> npt.NDArray[Any]:
    """Reorders the blocks of the last axis; without an order they stay as they are."""
    if not blocks:
        return values
    parts = np.split(values, len(blocks), axis=-1)
    return np.concatenate([parts[i] for i in blocks], axis=-1)


def _in_keras_order(layer: str, values: npt.NDArray[Any], blocks: tuple[int, ...]) -> npt.NDArray[Any]:
    if sorted(blocks) != list(range(len(blocks))) or (blocks and values.shape[-1] % len(blocks)):
        raise ModelError(f"layer {layer!r:.60}: the order of blocks {blocks!r:.60} is impossible")
    return _in_blocks(values, tuple(int(i) for i in np.argsort(blocks)))


def _transposed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Reverses the axes. Of a kernel with two sizes, `(outputs, inputs, height, width)` in ONNX, the last two stay."""
    return values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.T


def _squeezed(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.reshape([size for size in values.shape if size != 1])
