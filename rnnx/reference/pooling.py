"""Layers that pool positions, in NumPy, in float64. Imports numpy only.

Each takes values `(batch, time, features)`, or images `(batch, height, width, features)`, and returns no mask.

Source: as Keras 3 defines them (`keras.layers`), including their use of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Array, Mask, divide_by_count, largest, where, windows
from rnnx.reference.tensor import Tensor


@dataclass(frozen=True)
class LastPosition:
    """Selects the last position, `(batch, features)`.

    After a recurrent layer that returns all states, this is its last state.
    """

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, -1])


@dataclass(frozen=True)
class GlobalAveragePooling1D:
    """Averages each feature over the positions that count; NaN, as in Keras, if none does.

    Attributes:
        keepdims: Whether the result is `(batch, 1, features)`; otherwise it is `(batch, features)`.
    """

    keepdims: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        mask = np.ones((1, x.values.shape[1], 1), np.bool_) if x.mask is None else x.mask[:, :, None]
        total = (x.values if x.mask is None else where(mask, x.values, 0.0)).sum(axis=1, keepdims=self.keepdims)
        return Tensor(divide_by_count(total, mask.sum(axis=1, keepdims=self.keepdims)))


@dataclass(frozen=True)
class GlobalMaxPooling1D:
    """Takes the maximum of each feature over all positions, including masked ones: Keras ignores the mask here.

    Attributes:
        keepdims: Whether the result is `(batch, 1, features)`; otherwise it is `(batch, features)`.
    """

    keepdims: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(largest(x.values, axis=1, keepdims=self.keepdims))


@dataclass(frozen=True)
class Windows:
    """The positions that each pooling window covers.

    Attributes:
        index: `(windows, size)`, positions of the sequence; those outside are clipped to its ends.
        is_there: bool `(windows, size)`, False where the window reaches beyond the sequence.
    """

    index: npt.NDArray[np.intp]
    is_there: Mask


def in_grid(down: Windows, across: Windows, columns: int) -> Windows:
    """Returns the windows of an image whose rows follow each other, from those of its rows and of its columns.

    Args:
        down: The windows over the rows.
        across: The windows over the columns.
        columns: The columns of the image.
    """
    index = down.index[:, None, :, None] * columns + across.index[None, :, None, :]
    is_there = down.is_there[:, None, :, None] & across.is_there[None, :, None, :]
    count, size = len(down.index) * len(across.index), down.index.shape[1] * across.index.shape[1]
    return Windows(index.reshape(count, size), is_there.reshape(count, size))


@dataclass(frozen=True)
class Pooling1D:
    """Takes the maximum or the mean of each feature over windows of positions; the mask is ignored.

    Attributes:
        operation: The mean is taken over the positions inside the sequence, without the padding.
        size: Positions in a window.
        stride: Positions from the start of one window to the start of the next.
        is_padded: Whether the sequence is padded at both ends (Keras's `same`): there are ceil(time / stride) windows,
            and an odd padding is longer at the end. Otherwise (`valid`) there is no padding, and an incomplete window
            at the end is dropped.
    """

    operation: Literal["average", "maximum"]
    size: int
    stride: int
    is_padded: bool

    def windows(self, time: int) -> Windows:
        """Returns the windows of a sequence of `time` positions."""
        return _place(time, self.size, self.stride, is_padded=self.is_padded)

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(_pool(self.operation, x.values, self.windows(x.values.shape[1])))


@dataclass(frozen=True)
class Pooling2D:
    """Takes the maximum or the mean of each feature over windows of images `(batch, height, width, features)`.

    Attributes:
        operation: As in `Pooling1D`.
        sizes: Rows and columns of a window.
        strides: Rows, and columns, from the start of one window to the start of the next.
        is_padded: As in `Pooling1D`, for both axes.
    """

    operation: Literal["average", "maximum"]
    sizes: tuple[int, int]
    strides: tuple[int, int]
    is_padded: bool

    def __call__(self, x: Tensor) -> Tensor:
        batch, rows, columns, features = x.values.shape
        down, across = (
            _place(length, size, stride, is_padded=self.is_padded)
            for length, size, stride in zip((rows, columns), self.sizes, self.strides, strict=True)
        )
        pooled = _pool(
            self.operation, x.values.reshape(batch, rows * columns, features), in_grid(down, across, columns)
        )
        return Tensor(pooled.reshape(batch, len(down.index), len(across.index), features))


@dataclass(frozen=True)
class AdaptivePooling1D:
    """Takes the maximum or the mean of each feature over a fixed number of windows, which cover the whole sequence.

    Window i of n begins at position floor(i time / n), and ends in front of position ceil((i + 1) time / n). So windows
    may overlap by a position, and one may be a position longer than another.

    Attributes:
        operation: What is taken of a window.
        count: The number of windows.
    """

    operation: Literal["average", "maximum"]
    count: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(_pool(self.operation, x.values, _divide(x.values.shape[1], self.count)))


@dataclass(frozen=True)
class AdaptivePooling2D:
    """Pools images `(batch, height, width, features)` to a fixed size: as `AdaptivePooling1D`, over two axes.

    Attributes:
        operation: What is taken of a window.
        counts: The numbers of windows over the rows, and over the columns.
    """

    operation: Literal["average", "maximum"]
    counts: tuple[int, int]

    def __call__(self, x: Tensor) -> Tensor:
        batch, rows, columns, features = x.values.shape
        down, across = _divide(rows, self.counts[0]), _divide(columns, self.counts[1])
        flat = x.values.reshape(batch, rows * columns, features)
        pooled = _pool(self.operation, flat, in_grid(down, across, columns))
        return Tensor(pooled.reshape(batch, *self.counts, features))


def _divide(time: int, count: int) -> Windows:
    """Returns windows that divide an axis of `time` positions, each as long as the longest one."""
    first = np.arange(count) * time // count
    end = -(-(np.arange(count) + 1) * time // count)  # rounded up
    index = first[:, None] + np.arange((end - first).max())
    return Windows(np.clip(index, 0, time - 1), index < end[:, None])


def _place(time: int, size: int, stride: int, *, is_padded: bool) -> Windows:
    """Returns the windows over an axis of `time` positions."""
    # -(-a // b) is a / b, rounded up.
    count = -(-time // stride) if is_padded else max((time - size) // stride + 1, 0)
    padding = max((count - 1) * stride + size - time, 0) // 2 if is_padded else 0
    index = np.arange(count)[:, None] * stride + np.arange(size)[None] - padding
    return Windows(np.clip(index, 0, time - 1), (index >= 0) & (index < time))


def _pool(operation: str, x: Array, places: Windows) -> Array:
    """Pools each window of a sequence, `(batch, windows, features)`."""
    if operation == "maximum":
        return largest(windows(x, places.index, places.is_there, fill=-np.inf), axis=2)
    parts = windows(x, places.index, places.is_there)
    return divide_by_count(parts.sum(axis=2), places.is_there.sum(axis=1)[None, :, None])
