"""Layers that pool positions, and one that picks the last one. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), what becomes of a mask included.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnnx.reference.tensor import Mask, Tensor


@dataclass(frozen=True)
class LastPosition:
    """What stands at the last position: behind a recurrence that puts all states out, its state at the end."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, -1])


@dataclass(frozen=True)
class GlobalAveragePooling1D:
    """The mean over the positions that are not masked; NaN, as in Keras, if all are.

    Attributes:
        keepdims: Whether a time of 1 is left.
    """

    keepdims: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        if x.mask is None:
            return Tensor(x.values.mean(axis=1, keepdims=self.keepdims))
        weights = x.mask[:, :, None].astype(np.float64)
        with np.errstate(invalid="ignore"):
            total = (x.values * weights).sum(axis=1, keepdims=self.keepdims)
            return Tensor(total / weights.sum(axis=1, keepdims=self.keepdims))


@dataclass(frozen=True)
class GlobalMaxPooling1D:
    """The maximum over all positions, the masked ones too: Keras's layer ignores the mask.

    Attributes:
        keepdims: Whether a time of 1 is left.
    """

    keepdims: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values.max(axis=1, keepdims=self.keepdims))


@dataclass(frozen=True)
class Windows:
    """Which positions each window of a pooling takes.

    Attributes:
        index: (windows, size), inside the sequence.
        is_there: (windows, size): whether that position is one, and not padding.
    """

    index: npt.NDArray[np.intp]
    is_there: Mask


@dataclass(frozen=True)
class Pooling1D:
    """The maximum or the mean of windows of positions; the mask is neither looked at nor handed on.

    Attributes:
        operation: The mean is one over the positions that are there.
        size: Of a window.
        stride: From one window to the next.
        is_padded: Whether windows reach beyond both ends, so that there is one for each `stride` positions begun
            (Keras's `same`), the odd one at the end; otherwise a rest is left out (`valid`).
    """

    operation: Literal["average", "maximum"]
    size: int
    stride: int
    is_padded: bool

    def windows(self, time: int) -> Windows:
        """The windows of a sequence of `time` positions."""
        count = -(-time // self.stride) if self.is_padded else max((time - self.size) // self.stride + 1, 0)
        padding = max((count - 1) * self.stride + self.size - time, 0) // 2 if self.is_padded else 0
        index = np.arange(count)[:, None] * self.stride + np.arange(self.size)[None] - padding
        return Windows(np.clip(index, 0, time - 1), (index >= 0) & (index < time))

    def __call__(self, x: Tensor) -> Tensor:
        windows = self.windows(x.values.shape[1])
        parts, is_there = x.values[:, windows.index], windows.is_there[None, :, :, None]
        if self.operation == "maximum":
            return Tensor(np.where(is_there, parts, -np.inf).max(axis=2))
        return Tensor(np.where(is_there, parts, 0.0).sum(axis=2) / is_there.sum(axis=2))
