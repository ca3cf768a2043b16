"""The primitives that jump: where the exact number is close to a jump, its rounding decides between two results.

The error of a result says so. It is 0 where no rounding within the errors of the operands decides, and as large as the
jump where it may. So the result of a jump is exactly the same one, or its error covers all that are possible. Nothing
here rounds, and every derivative is 0.

A runtime may take a number below the smallest normal one for 0, as TensorFlow does, and the argmax of Keras tells
-0.0 from 0.0: both count as errors of the operands.

Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from rnnx.primitives.arrays import Array, Mask
from rnnx.primitives.float32 import SMALLEST_NORMAL
from rnnx.primitives.operands import error_of, exact, links_to, settle, tracked
from rnnx.primitives.tracked import Link

Relation = Literal["equal", "not_equal", "greater", "greater_equal", "less", "less_equal"]
StepName = Literal["ceil", "floor", "round", "sign", "trunc"]

# Functions that never fall, and are constant between their jumps. Halves are rounded to even numbers.
_STEPS: Mapping[StepName, Callable[[Array], Array]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round": np.rint,
    "sign": np.sign,
    "trunc": np.trunc,
}


def step(name: StepName, x: Array) -> Array:
    """Applies a step function to each element. Its result lies between those for the smallest and the largest x."""
    function, operand = _STEPS[name], tracked(x)
    value = np.asarray(function(exact(x)))
    if operand is None:
        return value
    operand.settle()
    below, above = _interval(x)
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, without a warning
        error = np.maximum(function(above) - value, value - function(below))
    return operand.result(value, error if error.any() else None)


def compare(relation: Relation, a: Array, b: Any) -> Array:
    """Compares two numbers, elementwise: 1 if the relation holds, 0 if not. NaN stays visible.

    Rounding may decide if a and b are not farther apart than their errors together. Exact equal numbers are equal.
    """
    first: Any = a
    second: Any = b
    operand = tracked(first, second)
    settle(first, second)
    va, vb = exact(first), exact(second)
    value = np.asarray(np.where(np.isnan(va) | np.isnan(vb), np.nan, getattr(np, relation)(va, vb).astype(np.float64)))
    if operand is None:
        return value
    slack = _slack(first) + _slack(second)
    with np.errstate(invalid="ignore"):
        error = np.where((slack != 0) & ~(np.abs(va - vb) > slack), 1.0, 0.0)
    return operand.result(value, error if error.any() else None)


def choose(condition: Array, a: Any, b: Any) -> Array:
    """Takes `a` where the condition is not 0, and `b` elsewhere. Where it may be either, so may the result."""
    given: Any = condition
    operand = tracked(a, b, given)
    is_first = exact(given) != 0
    if operand is None:
        return np.asarray(np.where(is_first, a, b))
    settle(a, b, given)
    va, vb = exact(a), exact(b)
    value = np.asarray(np.where(is_first, va, vb))
    errors = [np.zeros(1) if (error := error_of(x)) is None else error for x in (a, b)]
    error = np.where(is_first, *errors)
    doubt = error_of(given)
    if doubt is not None:
        with np.errstate(invalid="ignore"):
            other = np.abs(np.subtract(va, vb)) + np.where(is_first, *errors[::-1])
        error = np.where(doubt > 0, np.maximum(error, other), error)
    slope = is_first.astype(np.float64)
    links = links_to((a, Link(a, slope)), (b, Link(b, 1.0 - slope)))
    return operand.result(value, error if error.any() else None, links=links)


def first_largest(x: Array, axis: int, *, is_least: bool = False) -> Array:
    """Returns the index of the largest number along an axis, which it keeps; the first one of equal numbers.

    An index is possible if the largest number that may be there reaches all that must be elsewhere. The error is the
    distance to the farthest index that is possible.

    Args:
        x: The numbers.
        axis: The axis.
        is_least: Whether it is the index of the smallest number instead.
    """
    operand, values = tracked(x), exact(x)
    turned = -values if is_least else values
    index = np.expand_dims(np.asarray(turned.argmax(axis=axis)), axis)
    is_nan = np.isnan(values).any(axis=axis, keepdims=True)
    value = np.asarray(np.where(is_nan, np.nan, index.astype(np.float64)))
    if operand is None:
        return value
    operand.settle()
    below, above = _interval(x, tells_zeros=True)
    if is_least:
        below, above = -above, -below
    below, above = np.moveaxis(below, axis, 0), np.moveaxis(above, axis, 0)
    none = np.full_like(below[:1], -np.inf)
    before = np.maximum.accumulate(np.concatenate([none, below[:-1]]), axis=0)
    after = np.maximum.accumulate(np.concatenate([none, below[:0:-1]]), axis=0)[::-1]
    # Of an index before, a number has to be larger; of one after it, as large.
    is_possible = np.moveaxis(((above > before) | (before == -np.inf)) & ~(above < after), 0, axis)
    places = np.arange(values.shape[axis]).reshape([-1 if i == axis % values.ndim else 1 for i in range(values.ndim)])
    error = np.where(is_possible, np.abs(places - index), 0.0).max(axis=axis, keepdims=True)
    return operand.result(value, error if error.any() else None)


def _slack(x: Any, *, tells_zeros: bool = False) -> Array:
    """Returns how far the number that a runtime decides by may be from the exact one."""
    values = exact(x)
    error = np.zeros(np.shape(values)) if (given := error_of(x)) is None else given
    is_exact_zero: Mask = (values == 0) & (error == 0)
    if tells_zeros:
        is_exact_zero = is_exact_zero & ~np.signbit(values)
    is_small = ~is_exact_zero & ~(np.abs(values) - error >= SMALLEST_NORMAL)
    return np.asarray(np.where(is_small, error + SMALLEST_NORMAL, error))


def _interval(x: Any, *, tells_zeros: bool = False) -> tuple[Array, Array]:
    """Returns the smallest and the largest number that a runtime may decide by; float64 rounds them outwards."""
    values, slack = exact(x), _slack(x, tells_zeros=tells_zeros)
    with np.errstate(invalid="ignore"):
        below, above = (np.where(slack == 0, values, np.nextafter(values + s, s * np.inf)) for s in (-slack, slack))
    return below, above
