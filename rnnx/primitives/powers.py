"""The primitives that take powers and logarithms of single numbers.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section 2.2; "The OpenCL C Specification",
section on relative error as ULPs (the laxest specification of the functions).
"""

from __future__ import annotations

import numpy as np

from rnnx.primitives.arrays import Array
from rnnx.primitives.operands import tracked
from rnnx.primitives.tracked import Link, OpenSum

# OpenCL allows 3 units in the last place for a logarithm, and 16 for a power.
LOG_ROUNDOFFS = 6
_POWER_ROUNDOFFS = 32


def log(x: Array) -> Array:
    """Returns the natural logarithm of positive numbers.

    If x is off by less than itself, the result is off by at most log(x) - log(x - error), which holds exactly;
    otherwise there is no bound.
    """
    operand = tracked(x)
    if operand is None:
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN and infinity, without a warning
            return np.log(x)
    operand.settle()
    with np.errstate(invalid="ignore", divide="ignore"):
        value, error = np.log(operand.value), None
        if operand.error is not None:
            least = operand.value - operand.error
            error = np.where(least > 0, value - np.log(np.where(least > 0, least, 1.0)), np.inf)
        link = Link(operand, 1.0 / operand.value)
    size = np.abs(value) if error is None else np.abs(value) + error
    return operand.result(value, error, links=[link], terms=OpenSum(size, products=LOG_ROUNDOFFS, operations=1))


def power(x: Array, exponent: float) -> Array:
    """Returns x to a power: of any number if the power is whole, of positive ones otherwise.

    The slope is steepest at the end of the interval of x that is farther from 0, or at the nearer end if the exponent
    is below 1. There, an interval that reaches 0 has no bound, except that a root of numbers that are off by e is off
    by at most the root of e. A power that is not whole has no bound where x may be negative.
    """
    operand = tracked(x)
    if operand is None:
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN and infinity, without a warning
            return np.asarray(np.power(x, exponent))
    operand.settle()
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        value, error = np.power(operand.value, exponent), None
        if (by := operand.error) is not None:
            size = np.abs(operand.value)
            if exponent >= 1:
                error = exponent * (size + by) ** (exponent - 1) * by
            else:
                least = np.where(size > by, size - by, 0.0)
                error = np.where(least > 0, np.abs(exponent) * least ** (exponent - 1) * by, np.inf)
                if exponent > 0:
                    error = np.minimum(error, by**exponent)
            if not float(exponent).is_integer():
                error = np.where((operand.value < by) & (by > 0), np.inf, error)
        link = Link(operand, exponent * np.power(operand.value, exponent - 1))
    whole = np.abs(value) if error is None else np.abs(value) + error
    return operand.result(value, error, links=[link], terms=OpenSum(whole, products=_POWER_ROUNDOFFS, operations=1))
