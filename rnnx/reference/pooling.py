"""The layers that move, join and pool positions and features, in NumPy, in float64, written from their definitions.

Imports numpy only, and the tensors of `rnnx.reference.pointwise`.

Source: as Keras 3 defines them (`keras.layers`), what becomes of a mask included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnnx.reference.activations import Array
from rnnx.reference.pointwise import Mask, Tensor

Operation = Literal["add", "subtract", "multiply", "average", "maximum", "minimum"]


@dataclass(frozen=True)
class Reverse:
    """Turns the time around, behind the backward half of a Bidirectional; the mask was never turned and stays."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, ::-1], x.mask)


@dataclass(frozen=True)
class TakeMask:
    """The values of the first input with the mask of the second: a mask handed to a layer beside what it reads."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, masked = inputs
        return Tensor(x.values, masked.mask)


@dataclass(frozen=True)
class LastPosition:
    """What stands at the last position: behind a recurrence that puts all states out, its state at the end."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, -1])


@dataclass(frozen=True)
class Concatenate:
    """Joins the features of several inputs; a position counts where it counts in any of them."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        values = np.concatenate([x.values for x in inputs], axis=-1)
        masks = [x.mask for x in inputs]
        if all(mask is None for mask in masks):
            return Tensor(values)
        # Without a mask, everything counts; Keras hands on a mask that says so.
        return Tensor(values, _any([np.ones(values.shape[:-1], bool) if mask is None else mask for mask in masks]))


@dataclass(frozen=True)
class Merge:
    """One number of several inputs of one shape: their sum, difference, product, mean, maximum or minimum.

    A position counts where it counts in any of them; if one has no mask, neither has the result.
    """

    operation: Operation

    def __call__(self, *inputs: Tensor) -> Tensor:
        masks = [x.mask for x in inputs if x.mask is not None]
        mask = _any(masks) if len(masks) == len(inputs) else None
        return Tensor(self.combine(np.stack([x.values for x in inputs])), mask)

    def combine(self, stacked: Array) -> Array:
        """The result from (inputs, ...)."""
        match self.operation:
            case "add":
                return np.asarray(stacked.sum(axis=0))
            case "subtract":
                return np.asarray(stacked[0] - stacked[1])
            case "multiply":
                return np.asarray(stacked.prod(axis=0))
            case "average":
                return np.asarray(stacked.mean(axis=0))
            case "maximum":
                return np.asarray(stacked.max(axis=0))
            case "minimum":
                return np.asarray(stacked.min(axis=0))
        raise ValueError(f"operation {self.operation!r} is not modelled")


def _any(masks: list[Mask]) -> Mask:
    return reduce(np.logical_or, masks)


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


@dataclass(frozen=True)
class ZeroPadding1D:
    """Positions of zeros in front and at the end; the mask is not handed on."""

    before: int
    after: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(np.pad(x.values, ((0, 0), (self.before, self.after), (0, 0))))


@dataclass(frozen=True)
class RepeatVector:
    """The same features (batch, features) at `count` positions."""

    count: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(np.repeat(x.values[:, None], self.count, axis=1))


@dataclass(frozen=True)
class Reshape:
    """The numbers of each row in another shape, in the same order; the mask is not handed on.

    Attributes:
        shape: Without the batch; one of its entries may be -1, for what is left.
    """

    shape: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values.reshape(len(x.values), *self.shape))
