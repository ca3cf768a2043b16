"""The operations of functional models that compute with single numbers, in NumPy, in float64. Imports numpy only.

Keras writes `a + b` and `ops.mean(x, axis=1)` into a model as operations between its layers. They read no mask, and
their results have none. Axes are counted from the batch, which is axis 0. `items` has the operations that move numbers,
and `matrices` those that multiply matrices.

Source: as Keras 3 defines them (`keras.ops`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from math import sqrt as sqrt_of
from typing import Any, Literal

import numpy as np

from rnnx.primitives import (
    ActivationName,
    Array,
    activate,
    divide_by_count,
    exact,
    largest,
    log,
    log_softmax,
    maximum,
    norm,
    power,
    rsqrt,
    softmax,
    sqrt,
    swap,
    where,
)
from rnnx.reference.items import require_axes
from rnnx.reference.pointwise import ELU, LeakyReLU
from rnnx.reference.tensor import Tensor

Arithmetic = Literal["add", "subtract", "multiply", "divide", "maximum", "minimum"]
Relation = Literal["equal", "not_equal", "greater", "greater_equal", "less", "less_equal"]


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
    """Combines each row of its input with constants; an axis of size 1 is repeated.

    Attributes:
        operation: How.
        constants: Those of a row, `(features,)` or `(time, features)` for example.
        is_first: Whether the constants are the first operand.
    """

    operation: Arithmetic
    constants: Array
    is_first: bool

    @property
    def position_size(self) -> int | None:
        """How many numbers a position has, if the constants say it."""
        return self.constants.shape[-1] if self.constants.shape[-1] > 1 else None

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
            return _divide(a, b)
        case "maximum":
            return maximum(a, b)
        case "minimum":
            return -maximum(-a, -b)
    raise ValueError(f"operation {operation!r} is not supported")


def _divide(a: Any, b: Any) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):  # by 0: NaN and infinity, without a warning
        quotient: Array = a / b
        return quotient


@dataclass(frozen=True)
class ApplyFunction:
    """Applies a function to each element: an activation but softmax, or one of those below.

    `gelu_tanh` is the approximation of gelu that `keras.ops.gelu` computes unless it is told otherwise.
    """

    function: Literal[
        ActivationName, "absolute", "gelu_tanh", "log", "log1p", "negative", "reciprocal", "rsqrt", "sqrt", "square",
    ]  # fmt: skip

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(self._apply(x.values))

    def _apply(self, x: Array) -> Array:
        match self.function:
            case "absolute":
                return maximum(x, -x)
            case "gelu_tanh":
                inner = (x + 0.044715 * power(x, 3.0)) * np.sqrt(2 / pi)
                return 0.5 * x * (1.0 + activate("tanh", inner))
            case "log":
                return log(x)
            case "log1p":
                return log(1.0 + x)
            case "negative":
                return -x
            case "reciprocal":
                return _divide(1.0, x)
            case "rsqrt":
                return rsqrt(x)
            case "sqrt":
                return sqrt(x)
            case "square":
                return x * x
        return activate(self.function, x)


@dataclass(frozen=True)
class ApplyWithNumber:
    """Applies a function that has a parameter to each element: `elu`, `leaky_relu`, or a power.

    Attributes:
        function: Which.
        number: The scale of the exponential, the slope below zero, or the exponent.
    """

    function: Literal["elu", "leaky_relu", "power"]
    number: float

    def __call__(self, x: Tensor) -> Tensor:
        match self.function:
            case "elu":
                return Tensor(ELU(self.number)(x).values)
            case "leaky_relu":
                return Tensor(LeakyReLU(self.number)(x).values)
            case "power":
                return Tensor(power(x.values, self.number))
        raise ValueError(f"function {self.function!r} is not supported")


@dataclass(frozen=True)
class Clip:
    """Replaces smaller numbers by `least`, and larger ones by `most`."""

    least: float
    most: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(_clip(x.values, self.least, self.most))


def _clip(x: Array, least: Any, most: Any) -> Array:
    return _combine("minimum", maximum(x, least), most)


@dataclass(frozen=True)
class Compare:
    """Compares each element of its input with a number, or with the elements of a second input: 1 if true, 0 if not.

    The inputs are exact, so that no rounding decides.

    Attributes:
        comparison: How.
        number: The number; None if there are two inputs.
    """

    comparison: Relation
    number: float | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        a, *others = (exact(x.values) for x in inputs)
        b = others[0] if others else np.float64(self.number or 0.0)
        compare = getattr(np, self.comparison)
        # What is not a number stays visible.
        return Tensor(np.where(np.isnan(a) | np.isnan(b), np.nan, compare(a, b).astype(np.float64)))


@dataclass(frozen=True)
class Choose:
    """Takes numbers where a condition, its first input, is 1, and others where it is 0.

    The condition is exact, as the result of a comparison.

    Attributes:
        first: The number that is taken where the condition is 1; None if it is an input.
        second: The number that is taken elsewhere; None if it is an input.
    """

    first: float | None = None
    second: float | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        condition, *others = (x.values for x in inputs)
        given = exact(condition)
        rest = iter(others)
        a, b = (next(rest) if number is None else np.float64(number) for number in (self.first, self.second))
        chosen = where(given != 0, a, b)
        return Tensor(where(np.isnan(given), np.nan, chosen) if np.isnan(given).any() else chosen)


@dataclass(frozen=True)
class ChooseByConstants:
    """Takes the numbers of its input where a constant is 1, and a number where it is 0, as a causal mask does.

    Attributes:
        condition: The constants of a row, one after the other.
        sizes: Their shape; an axis of size 1 is repeated.
        number: The number.
        is_first: Whether the number is taken where the constant is 1 instead.
    """

    condition: tuple[int, ...]
    sizes: tuple[int, ...]
    number: float
    is_first: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        is_taken = (np.reshape(self.condition, self.sizes) != 0) != self.is_first
        return Tensor(where(np.broadcast_to(is_taken, x.values.shape), x.values, self.number))


@dataclass(frozen=True)
class Fill:
    """Replaces each element by a number."""

    number: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(where(np.ones(x.values.shape, np.bool_), self.number, x.values))


@dataclass(frozen=True)
class Reduce:
    """Combines the numbers over some axes; a mask is ignored.

    Attributes:
        operation: The mean, the sum, the largest, the least, the variance (of the numbers themselves, not of a sample),
            its root, the root of the sum of squares, or log(sum(exp(x))).
        axes: The axes, none of which is the batch.
        keepdims: Whether they stay, with size 1.
    """

    operation: Literal["mean", "sum", "max", "min", "variance", "deviation", "norm", "log_sum_exp"]
    axes: tuple[int, ...]
    keepdims: bool

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, *self.axes)
        values = self._reduce(x.values)
        if not self.keepdims:
            values = values[tuple(0 if axis in self.axes else slice(None) for axis in range(values.ndim))]
        return Tensor(values)

    def _reduce(self, x: Array) -> Array:
        match self.operation:
            case "mean":
                return self._mean(x)
            case "sum":
                return self._sum(x)
            case "max":
                return self._largest(x)
            case "min":
                return -self._largest(-x)
            case "variance":
                centred = x - self._mean(x)
                return self._mean(centred * centred)
            case "deviation":
                return self._norm(x - self._mean(x)) * (1.0 / sqrt_of(self._count(x)))
            case "norm":
                return self._norm(x)
            case "log_sum_exp":
                most = self._largest(x)
                return log(self._sum(activate("exponential", x - most))) + most
        raise ValueError(f"operation {self.operation!r} is not supported")

    def _sum(self, x: Array) -> Array:
        for axis in self.axes:
            x = x.sum(axis=axis, keepdims=True)
        return x

    def _mean(self, x: Array) -> Array:
        return divide_by_count(self._sum(x), self._count(x))

    def _norm(self, x: Array) -> Array:
        for axis in self.axes:
            x = norm(x, axis)
        return x

    def _count(self, x: Array) -> float:
        return float(np.prod([x.shape[axis] for axis in self.axes]))

    def _largest(self, x: Array) -> Array:
        for axis in self.axes:
            x = largest(x, axis, keepdims=True)
        return x


@dataclass(frozen=True)
class ApplyAlong:
    """Applies a function to the numbers along an axis.

    Attributes:
        function: `softmax`, `log_softmax`, `cumsum` for running sums, or `normalize`, which divides by the root of the
            sum of squares.
        axis: The axis.
        least: The least number by which `normalize` divides.
    """

    function: Literal["softmax", "log_softmax", "cumsum", "normalize"]
    axis: int
    least: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, self.axis)
        values, axis = x.values, self.axis
        match self.function:
            case "softmax":
                return Tensor(softmax(values, axis=axis))
            case "log_softmax":
                return Tensor(log_softmax(values, axis=axis))
            case "cumsum":
                size, back = values.shape[axis], axis - values.ndim
                last = swap(values, back, -1) if back < -1 else values
                sums = last @ np.triu(np.ones((size, size)))
                return Tensor(swap(sums, back, -1) if back < -1 else sums)
            case "normalize":
                squares = (values * values).sum(axis=axis, keepdims=True)
                least = np.full(squares.shape, self.least**2)
                return Tensor(values * rsqrt(maximum(squares, least)))
        raise ValueError(f"function {self.function!r} is not supported")
