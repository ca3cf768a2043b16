"""The operations of functional models that compute with single numbers, in NumPy, in float64. Imports numpy only.

Keras writes `a + b` and `ops.mean(x, axis=1)` into a model as operations between its layers. They read no mask, and
their results have none. Axes are counted from the batch, which is axis 0. `items` has the operations that move numbers,
`matrices` those that multiply matrices, and `choices` those that compare and choose.

Source: as Keras 3 defines them (`keras.ops`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, reduce
from math import log as log_of
from math import pi
from math import sqrt as sqrt_of
from typing import Any, Literal, cast

import numpy as np

from rnnx.primitives import (
    FUNCTIONS,
    ActivationName,
    Array,
    FunctionName,
    activate,
    apply,
    divide_by_count,
    largest,
    log,
    log_softmax,
    maximum,
    norm,
    power,
    rsqrt,
    softmax,
    sort,
    sqrt,
    swap,
)
from rnnx.reference.items import require_axes
from rnnx.reference.pointwise import ELU, LeakyReLU
from rnnx.reference.tensor import Tensor

Arithmetic = Literal["add", "subtract", "multiply", "divide", "maximum", "minimum", "log_add_exp"]


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
        case "log_add_exp":
            difference = a - b
            return maximum(a, b) + log(1.0 + activate("exponential", -maximum(difference, -difference)))
    raise ValueError(f"operation {operation!r} is not supported")


def _divide(a: Any, b: Any) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):  # by 0: NaN and infinity, without a warning
        quotient: Array = a / b
        return quotient


@dataclass(frozen=True)
class ApplyFunction:
    """Applies a function to each element: an activation but softmax, an elementary function, or one of those below.

    `gelu_tanh` is the approximation of gelu that `keras.ops.gelu` computes unless it is told otherwise.
    """

    function: Literal[
        ActivationName, FunctionName, "absolute", "cosh", "erfc", "expm1", "gelu_tanh", "log", "log10", "log1p", "log2",
        "negative", "reciprocal", "rsqrt", "sinh", "sqrt", "square", "tan",
    ]  # fmt: skip

    def __call__(self, x: Tensor) -> Tensor:
        apply_it = _FUNCTIONS.get(self.function)
        return Tensor(
            activate(cast(ActivationName, self.function), x.values) if apply_it is None else apply_it(x.values)
        )


def _gelu_tanh(x: Array) -> Array:
    inner = (x + 0.044715 * power(x, 3.0)) * np.sqrt(2 / pi)
    return 0.5 * x * (1.0 + activate("tanh", inner))


# The functions that are no activations.
_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    **{name: partial(apply, function) for name, function in FUNCTIONS.items()},
    "absolute": lambda x: maximum(x, -x),
    "cosh": lambda x: (activate("exponential", x) + activate("exponential", -x)) * 0.5,
    "erfc": lambda x: 1.0 - apply(FUNCTIONS["erf"], x),
    "expm1": lambda x: activate("exponential", x) - 1.0,
    "gelu_tanh": _gelu_tanh,
    "log": log,
    "log10": lambda x: log(x) * (1.0 / log_of(10.0)),
    "log1p": lambda x: log(1.0 + x),
    "log2": lambda x: log(x) * (1.0 / log_of(2.0)),
    "negative": lambda x: -x,
    "reciprocal": lambda x: _divide(1.0, x),
    "rsqrt": rsqrt,
    "sinh": lambda x: (activate("exponential", x) - activate("exponential", -x)) * 0.5,
    "sqrt": sqrt,
    "square": lambda x: x * x,
    "tan": lambda x: _divide(apply(FUNCTIONS["sin"], x), apply(FUNCTIONS["cos"], x)),
}


@dataclass(frozen=True)
class ApplyWithNumber:
    """Applies a function that has a parameter to each element, such as `elu`, `leaky_relu`, or a power.

    Attributes:
        function: Which.
        number: The scale of the exponential, the slope below zero, the exponent, what `squareplus` adds to the square,
            or half the width in which `soft_shrink` is 0.
    """

    function: Literal["celu", "elu", "leaky_relu", "power", "soft_shrink", "squareplus"]
    number: float

    def __call__(self, x: Tensor) -> Tensor:
        match self.function:
            case "celu":
                below = activate("exponential", -activate("relu", -x.values) * (1.0 / self.number)) - 1.0
                return Tensor(activate("relu", x.values) + below * self.number)
            case "elu":
                return Tensor(ELU(self.number)(x).values)
            case "leaky_relu":
                return Tensor(LeakyReLU(self.number)(x).values)
            case "power":
                return Tensor(power(x.values, self.number))
            case "soft_shrink":
                return Tensor(x.values - _clip(x.values, -self.number, self.number))
            case "squareplus":
                return Tensor((x.values + sqrt(x.values * x.values + self.number)) * 0.5)
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
class Reduce:
    """Combines the numbers over some axes; a mask is ignored.

    Attributes:
        operation: The mean, the sum, the largest, the least, the variance (of the numbers themselves, not of a sample),
            its root, the root of the sum of squares, log(sum(exp(x))), the product, or the largest less the least.
        axes: The axes, none of which is the batch.
        keepdims: Whether they stay, with size 1.
    """

    operation: Literal["mean", "sum", "max", "min", "variance", "deviation", "norm", "log_sum_exp", "product", "range"]
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
            case "product":
                return self._product(x)
            case "range":
                return self._largest(x) + self._largest(-x)
        raise ValueError(f"operation {self.operation!r} is not supported")

    def _sum(self, x: Array) -> Array:
        for axis in self.axes:
            x = x.sum(axis=axis, keepdims=True)
        return x

    def _product(self, x: Array) -> Array:
        # One after the other: no other order rounds more.
        for axis in self.axes:
            parts = [x[(*[slice(None)] * axis, slice(i, i + 1))] for i in range(x.shape[axis])]
            x = reduce(lambda a, b: a * b, parts)
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
        function: `softmax`, `log_softmax`, `cumsum` for running sums, `differences` of neighbours, `normalize`, which
            divides by the root of the sum of squares, `glu`, the first half times the sigmoid of the second one, or
            `sort`, in ascending order.
        axis: The axis.
        least: The least number by which `normalize` divides.
    """

    function: Literal["softmax", "log_softmax", "cumsum", "differences", "normalize", "glu", "sort"]
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
            case "differences":
                if values.shape[axis] < 2:
                    raise ValueError("an axis of one element has no differences")
                before = (slice(None),) * axis
                return Tensor(values[(*before, slice(1, None))] - values[(*before, slice(None, -1))])
            case "normalize":
                squares = (values * values).sum(axis=axis, keepdims=True)
                least = np.full(squares.shape, self.least**2)
                return Tensor(values * rsqrt(maximum(squares, least)))
            case "sort":
                return Tensor(sort(values, axis))
            case "glu":
                before, half = (slice(None),) * axis, values.shape[axis] // 2
                gate = activate("sigmoid", values[(*before, slice(half, None))])
                return Tensor(values[(*before, slice(half))] * gate)
        raise ValueError(f"function {self.function!r} is not supported")
