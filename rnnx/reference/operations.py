"""The operations of functional models that are no layers, in NumPy, in float64. Imports numpy only.

Keras writes `x[:, -1]`, `a + b` and `ops.mean(x, axis=1)` into a model as operations between its layers. They read no
mask, and their results have none. Axes are counted from the batch, which is axis 0.

Source: as Keras 3 defines them (`keras.ops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rnnx.primitives import Array, concatenate, divide_by_count, largest, maximum, sqrt, swap
from rnnx.reference.tensor import Tensor

Arithmetic = Literal["add", "subtract", "multiply", "divide", "maximum", "minimum"]


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
class CombineTensors:
    """Combines two inputs elementwise; an axis of size 1 is repeated."""

    operation: Arithmetic

    def __call__(self, *inputs: Tensor) -> Tensor:
        first, second = inputs
        return Tensor(_combine(self.operation, first.values, second.values))


@dataclass(frozen=True)
class CombineNumber:
    """Combines each element of its input with a number.

    Attributes:
        operation: How.
        number: The number, rounded to float32, as Keras does.
        is_first: Whether the number is the first operand.
    """

    operation: Arithmetic
    number: float
    is_first: bool

    def __call__(self, x: Tensor) -> Tensor:
        if self.operation == "divide" and not self.is_first:
            return Tensor(x.values * (1.0 / self.number))  # a runtime may multiply by a rounded 1 / number
        operands: list[Any] = [self.number, x.values] if self.is_first else [x.values, self.number]
        return Tensor(_combine(self.operation, *operands))


@dataclass(frozen=True, eq=False)
class CombineConstants:
    """Combines each position of its input with constants.

    Attributes:
        operation: How.
        constants: `(features,)`.
        is_first: Whether the constants are the first operand.
    """

    operation: Arithmetic
    constants: Array
    is_first: bool

    def __call__(self, x: Tensor) -> Tensor:
        if self.operation == "divide" and not self.is_first:
            # As above: up to two roundings.
            return Tensor(divide_by_count(x.values * np.sign(self.constants), np.abs(self.constants)))
        operands = [self.constants, x.values] if self.is_first else [x.values, self.constants]
        return Tensor(_combine(self.operation, *operands))


def _combine(operation: Arithmetic, a: Array, b: Array) -> Array:
    match operation:
        case "add":
            return a + b
        case "subtract":
            return a - b
        case "multiply":
            return a * b
        case "divide":
            return a / b
        case "maximum":
            return maximum(a, b)
        case "minimum":
            return -maximum(-a, -b)
    raise ValueError(f"operation {operation!r} is not supported")


@dataclass(frozen=True)
class ApplyFunction:
    """Applies a function to each element."""

    function: Literal["absolute", "negative", "sqrt", "square"]

    def __call__(self, x: Tensor) -> Tensor:
        match self.function:
            case "absolute":
                return Tensor(maximum(x.values, -x.values))
            case "negative":
                return Tensor(-x.values)
            case "sqrt":
                return Tensor(sqrt(x.values))
            case "square":
                return Tensor(x.values * x.values)
        raise ValueError(f"function {self.function!r} is not supported")


@dataclass(frozen=True)
class Reduce:
    """Takes the mean, the sum, the maximum or the minimum over some axes; a mask is ignored.

    Attributes:
        operation: Which of them.
        axes: The axes, none of which is the batch.
        keepdims: Whether they stay, with size 1.
    """

    operation: Literal["mean", "sum", "max", "min"]
    axes: tuple[int, ...]
    keepdims: bool

    def __call__(self, x: Tensor) -> Tensor:
        _require_axes(x, *self.axes)
        values = -x.values if self.operation == "min" else x.values
        for axis in self.axes:
            if self.operation in ("mean", "sum"):
                values = values.sum(axis=axis, keepdims=True)
            else:
                values = largest(values, axis, keepdims=True)
        if self.operation == "mean":
            values = divide_by_count(values, float(np.prod([x.values.shape[axis] for axis in self.axes])))
        values = -values if self.operation == "min" else values
        if not self.keepdims:
            values = values[tuple(0 if axis in self.axes else slice(None) for axis in range(values.ndim))]
        return Tensor(values)


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
        values, rank = x.values, len(self.axes)
        if values.ndim != rank:
            raise ValueError(f"the input has {values.ndim} axes, not {rank}")
        order = list(range(rank))
        for place, axis in enumerate(self.axes):
            if (other := order.index(axis)) != place:
                values = swap(values, place - rank, other - rank)
                order[place], order[other] = order[other], order[place]
        return Tensor(values)


def _require_axes(x: Tensor, *axes: int) -> None:
    if max(axes) >= x.values.ndim:
        raise ValueError(f"the input has no axis {max(axes)}")
