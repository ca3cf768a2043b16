"""Layers that rearrange numbers and compute nothing, in NumPy, in float64. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), including the mask of the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from rnnx.primitives import pad, repeat, swap, windows
from rnnx.reference.tensor import Tensor


@dataclass(frozen=True)
class Reverse:
    """Reverses the values in time, after the backward half of a Bidirectional.

    The mask stays as it is, because the backward half passes it on unreversed.
    """

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, ::-1], x.mask)


@dataclass(frozen=True)
class ZeroPadding1D:
    """Adds positions of zeros at both ends; the result has no mask.

    Attributes:
        before: Positions added before the first one.
        after: Positions added after the last one.
    """

    before: int
    after: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(pad(x.values, self.before, self.after))


@dataclass(frozen=True)
class ZeroPadding2D:
    """Adds zeros around images `(batch, height, width, features)`.

    Attributes:
        rows: Rows added above and below.
        columns: Columns added on the left and on the right.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]

    def __call__(self, x: Tensor) -> Tensor:
        if x.values.ndim != 4:
            raise ValueError(f"the input has {x.values.ndim} axes, and an image has 4")
        turned = swap(pad(x.values, *self.rows), -3, -2)
        return Tensor(swap(pad(turned, *self.columns), -3, -2))


@dataclass(frozen=True)
class UpSampling1D:
    """Repeats each position `size` times; the result has no mask."""

    size: int

    def __call__(self, x: Tensor) -> Tensor:
        index = np.repeat(np.arange(x.values.shape[1]), self.size)[:, None]
        return Tensor(windows(x.values, index, np.ones(index.shape, np.bool_))[:, :, 0])


@dataclass(frozen=True)
class UpSampling2D:
    """Repeats each place of images `(batch, height, width, features)`.

    Attributes:
        sizes: How often rows, and columns, are repeated.
    """

    sizes: tuple[int, int]

    def __call__(self, x: Tensor) -> Tensor:
        batch, rows, columns, features = x.values.shape
        down, across = np.repeat(np.arange(rows), self.sizes[0]), np.repeat(np.arange(columns), self.sizes[1])
        index = (down[:, None] * columns + across).reshape(-1, 1)
        flat = x.values.reshape(batch, rows * columns, features)
        taken = windows(flat, index, np.ones(index.shape, np.bool_))[:, :, 0]
        return Tensor(taken.reshape(batch, len(down), len(across), features))


@dataclass(frozen=True)
class RepeatVector:
    """Repeats the features `(batch, features)` at each of `count` positions, `(batch, count, features)`."""

    count: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(repeat(x.values, self.count))


@dataclass(frozen=True)
class Reshape:
    """Gives the numbers of each row another shape, in the same order; the result has no mask.

    Attributes:
        shape: The new shape without the batch axis. One size may be -1; it follows from the others. If it is the first,
            and there are others, each position is given another shape.
    """

    shape: tuple[int, ...]

    @property
    def position_size(self) -> int | None:
        """The numbers of a position, if each of them is given another shape."""
        return prod(self.shape[1:]) if self.shape[0] == -1 and len(self.shape) > 1 else None

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values.reshape(len(x.values), *self.shape))


@dataclass(frozen=True)
class FoldTime:
    """Makes each position of a sequence a row of its own: `(batch, time, ...)` to `(batch * time, ...)`.

    So does a TimeDistributed, which applies its layers to each position alone. The mask of the positions is none of
    the rows.
    """

    def __call__(self, x: Tensor) -> Tensor:
        batch, time, *sizes = x.values.shape
        return Tensor(x.values.reshape(batch * time, *sizes))


@dataclass(frozen=True)
class UnfoldTime:
    """Makes the rows positions again, `(batch, time, ...)`, after the layers of a TimeDistributed.

    The second input is the sequence that was folded; it gives the time and the mask.
    """

    def __call__(self, *inputs: Tensor) -> Tensor:
        rows, sequence = inputs
        batch, time = sequence.values.shape[:2]
        return Tensor(rows.values.reshape(batch, time, *rows.values.shape[1:]), sequence.mask)
