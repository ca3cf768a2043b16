"""Layers that rearrange numbers and compute nothing, in NumPy, in float64. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), including the mask of the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnx.primitives import pad, repeat, swap
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
class RepeatVector:
    """Repeats the features `(batch, features)` at each of `count` positions, `(batch, count, features)`."""

    count: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(repeat(x.values, self.count))


@dataclass(frozen=True)
class Reshape:
    """Gives the numbers of each row another shape, in the same order; the result has no mask.

    Attributes:
        shape: The new shape without the batch axis. One size may be -1; it follows from the others.
    """

    shape: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values.reshape(len(x.values), *self.shape))


@dataclass(frozen=True)
class Permute:
    """Puts the axes into another order; the result has no mask.

    Attributes:
        order: For each axis of the result, after that of the batch, the axis of the input; the batch is 0.
    """

    order: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        values, places = x.values, [0, *self.order]
        for i in range(1, len(places)):
            # Moves the axis that belongs here to this place, one exchange at a time.
            current = sorted(places[i:]).index(places[i]) + i
            for k in range(current, i, -1):
                values = swap(values, k - len(places), k - 1 - len(places))
        return Tensor(values)
