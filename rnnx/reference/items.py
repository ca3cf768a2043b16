"""The operations of functional models that move numbers to other places, in NumPy, in float64. Imports numpy only.

Keras writes `x[:, -1]` and `ops.concatenate([a, b], axis=1)` into a model as operations between its layers. They read
no mask, and their results have none. Axes are counted from the batch, which is axis 0.

Source: as Keras 3 defines them (`keras.ops`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Array, concatenate, swap, windows
from rnnx.reference.tensor import Tensor

_MOVES: dict[str, Callable[..., Any]] = {"repeat": np.repeat, "tile": np.tile, "roll": np.roll}


@dataclass(frozen=True)
class Selection:
    """What `GetItem` takes of one axis.

    Attributes:
        kind: `index` takes the element `start` and removes the axis, `slice` takes a part, and `new` adds an axis of
            size 1.
        start: As in a slice of Python.
        stop: As in a slice of Python.
        step: As in a slice of Python.
    """

    kind: Literal["index", "slice", "new"]
    start: int | None = None
    stop: int | None = None
    step: int | None = None

    @property
    def key(self) -> Any:
        """The selection as NumPy takes it."""
        return {"index": self.start, "slice": slice(self.start, self.stop, self.step), "new": None}[self.kind]


@dataclass(frozen=True)
class GetItem:
    """Takes a part of each row, as `x[:, -1]` or `x[..., 2:4]` do.

    Attributes:
        selections: What is taken of each axis after the batch. Further axes are taken whole.
    """

    selections: tuple[Selection, ...]

    def __call__(self, x: Tensor) -> Tensor:
        try:
            return Tensor(x.values[(slice(None), *(selection.key for selection in self.selections))])
        except IndexError as error:
            raise ValueError(f"the input has no such part: {error}") from error


@dataclass(frozen=True)
class Join:
    """Concatenates inputs along an axis, or stacks them along a new one.

    Attributes:
        axis: The axis of the result.
        is_stacked: Whether the axis is new, and its size the number of inputs.
    """

    axis: int
    is_stacked: bool

    def __call__(self, *inputs: Tensor) -> Tensor:
        arrays = [x.values for x in inputs]
        if self.is_stacked:
            arrays = [values[(*[slice(None)] * self.axis, None)] for values in arrays]
        return Tensor(concatenate(arrays, self.axis - arrays[0].ndim))


@dataclass(frozen=True)
class Transpose:
    """Puts the axes in another order.

    Attributes:
        axes: The axis of the input for each axis of the result; the batch stays the first.
    """

    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        if x.values.ndim != len(self.axes):
            raise ValueError(f"the input has {x.values.ndim} axes, not {len(self.axes)}")
        return Tensor(in_order(x.values, self.axes))


@dataclass(frozen=True)
class Rearrange:
    """Takes the elements of an axis in another order, some of them several times.

    Attributes:
        kind: `repeat` takes each element `count` times in a row, and `tile` all elements `count` times. `roll` moves
            them by `count` places, and those at the end to the beginning.
        axis: The axis.
        count: How often, or how far.
    """

    kind: Literal["repeat", "tile", "roll"]
    axis: int
    count: int

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, self.axis)
        index = _MOVES[self.kind](np.arange(x.values.shape[self.axis]), self.count)
        return Tensor(_take(x.values, self.axis, index, np.ones(len(index), np.bool_), 0.0))


@dataclass(frozen=True)
class TakePlaces:
    """Takes the elements of an axis at some places, in their order; a place may be taken several times.

    Attributes:
        axis: The axis.
        places: The places; negative ones are counted from the end.
    """

    axis: int
    places: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, self.axis)
        size = x.values.shape[self.axis]
        places = np.array(self.places)
        if (places >= size).any() or (places < -size).any():
            raise ValueError(f"the input has no such place: an axis of size {size}")
        index = np.where(places < 0, places + size, places)
        return Tensor(_take(x.values, self.axis, index, np.ones(len(index), np.bool_), 0.0))


@dataclass(frozen=True)
class Pad:
    """Adds elements at both ends of an axis.

    Attributes:
        axis: The axis.
        before: How many are added before the first one.
        after: How many are added after the last one.
        number: Their value.
    """

    axis: int
    before: int
    after: int
    number: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, self.axis)
        size = x.values.shape[self.axis]
        index = np.arange(-self.before, size + self.after)
        is_there = (index >= 0) & (index < size)
        return Tensor(_take(x.values, self.axis, np.where(is_there, index, 0), is_there, self.number))


def in_order(x: Array, axes: tuple[int, ...]) -> Array:
    """Puts the axes of an array in another order; `axes` has the axis of the array for each one of the result."""
    order, rank = list(range(len(axes))), len(axes)
    for place, axis in enumerate(axes):
        if (other := order.index(axis)) != place:
            x = swap(x, place - rank, other - rank)
            order[place], order[other] = order[other], order[place]
    return x


def require_axes(x: Tensor, *axes: int) -> None:
    """Makes sure that an input has some axes.

    Raises:
        ValueError: If it does not.
    """
    if max(axes) >= x.values.ndim:
        raise ValueError(f"the input has no axis {max(axes)}")


def _take(x: Array, axis: int, index: npt.NDArray[np.intp], is_there: npt.NDArray[np.bool_], fill: float) -> Array:
    """Returns the elements of an axis at some places, and `fill` where there is none."""
    rank = x.ndim
    x = swap(x, 1 - rank, axis - rank) if axis > 1 else x
    rest = x.shape[2:]
    x = x.reshape(len(x), x.shape[1], int(np.prod(rest)))
    x = windows(x, index[:, None], is_there[:, None], fill)[:, :, 0]
    x = x.reshape(len(x), x.shape[1], *rest)
    return swap(x, 1 - rank, axis - rank) if axis > 1 else x
