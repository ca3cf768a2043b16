"""Layers that pool positions, in NumPy, in float64. Imports numpy only.

Each takes values `(batch, time, features)` and returns no mask.

Source: as Keras 3 defines them (`keras.layers`), including their use of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Mask, divide_by_count, largest, where, windows
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
        # -(-a // b) is a / b, rounded up.
        count = -(-time // self.stride) if self.is_padded else max((time - self.size) // self.stride + 1, 0)
        padding = max((count - 1) * self.stride + self.size - time, 0) // 2 if self.is_padded else 0
        index = np.arange(count)[:, None] * self.stride + np.arange(self.size)[None] - padding
        return Windows(np.clip(index, 0, time - 1), (index >= 0) & (index < time))

    def __call__(self, x: Tensor) -> Tensor:
        places = self.windows(x.values.shape[1])
        if self.operation == "maximum":
            return Tensor(largest(windows(x.values, places.index, places.is_there, fill=-np.inf), axis=2))
        parts = windows(x.values, places.index, places.is_there)
        return Tensor(divide_by_count(parts.sum(axis=2), places.is_there.sum(axis=1)[None, :, None]))
