"""The primitives that multiply: product, folded product, quotient, roots, and the mix of a GRU.

If the errors of a and b are e_a and e_b, that of their product is at most |a| e_b + e_a |b| + e_a e_b, and one rounding
more.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2 and 3.3.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnx.primitives.arrays import Array
from rnnx.primitives.operands import both, error_of, exact, links_to, settle, terms_of, tracked
from rnnx.primitives.tracked import Count, Link, OpenSum, Tracked

# The error of a runtime's 1 / sqrt. OpenCL, the least strict specification, allows 2 units in the last place, so 4 u.
_RSQRT_ROUNDOFFS = 4
# That of its square root: IEEE 754 asks for one rounding, OpenCL allows 3 units in the last place.
_SQRT_ROUNDOFFS = 6


def multiply(a: Any, b: Any) -> Array:
    """Multiplies elementwise two rounded numbers; at least one of the operands is tracked."""
    settle(a, b)
    return _product(a, b)


def fold(x: Array, scale: Array) -> Array:
    """Returns x * scale, where a runtime may multiply an open sum out, term by term: (a + b) s = a s + b s."""
    return x * scale if tracked(x, scale) is None else _product(x, scale)


def _product(a: Any, b: Any) -> Array:
    va, vb, error_a, error_b = exact(a), exact(b), error_of(a), error_of(b)
    first, second = terms_of(a), terms_of(b)
    error = None if error_a is None else error_a * np.abs(vb)
    if error_b is not None:
        error = both(error, (np.abs(va) if error_a is None else np.abs(va) + error_a) * error_b)
    terms = OpenSum(
        first.mass * second.mass,
        first.additions + second.additions,
        first.products + second.products + 1,
        _scaled(first.operations, second.mass) + _scaled(second.operations, first.mass) + 1,
    )
    links = links_to((a, Link(a, vb)), (b, Link(b, va)))
    return links[0].operand.result(va * vb, error, links=links, terms=terms)


def _scaled(operations: Count, size: Array) -> Count:
    return 0 if isinstance(operations, int) and operations == 0 else operations * size


def divide(a: Any, b: Any) -> Array:
    """Divides elementwise; at least one of the operands is tracked."""
    settle(a, b)
    va, vb, error_a, error_b = exact(a), exact(b), error_of(a), error_of(b)
    quotient = va / vb
    error = both(error_a, None if error_b is None else np.abs(quotient) * error_b)
    if error is not None:
        least = np.abs(vb) - (0.0 if error_b is None else error_b)
        error = np.where(least > 0, error / np.where(least > 0, least, 1.0), np.inf)
    size = np.abs(quotient) if error is None else np.abs(quotient) + error
    links = links_to((a, Link(a, 1.0 / vb)), (b, Link(b, -quotient / vb)))
    return links[0].operand.result(quotient, error, links=links, terms=OpenSum(size, products=1, operations=1))


def rsqrt(x: Array) -> Array:
    """Returns 1 / sqrt(x) of positive numbers.

    If x is off by less than itself, the result is off by at most 1 / sqrt(x - error) - 1 / sqrt(x), which holds
    exactly; otherwise there is no bound.
    """
    operand = tracked(x)
    if operand is None:
        with np.errstate(invalid="ignore", divide="ignore"):  # NaN and infinity, without a warning
            return np.asarray(1.0 / np.sqrt(x))
    operand.settle()
    with np.errstate(invalid="ignore", divide="ignore"):
        value, error = 1.0 / np.sqrt(operand.value), None
    if operand.error is not None:
        least = operand.value - operand.error
        with np.errstate(invalid="ignore", divide="ignore"):
            error = np.where(least > 0, 1.0 / np.sqrt(least), np.inf) - value
    size = value if error is None else value + error
    link = Link(operand, -0.5 * value / operand.value)
    return operand.result(value, error, links=[link], terms=OpenSum(size, products=_RSQRT_ROUNDOFFS))


def sqrt(x: Array) -> Array:
    """Returns the square root of numbers that are not negative.

    If x is off by at most itself, the result is off by at most sqrt(x) - sqrt(x - error), which holds exactly;
    otherwise there is no bound.
    """
    operand = tracked(x)
    if operand is None:
        with np.errstate(invalid="ignore"):  # NaN, without a warning
            return np.sqrt(x)
    operand.settle()
    with np.errstate(invalid="ignore", divide="ignore"):
        value, error = np.sqrt(operand.value), None
        if operand.error is not None:
            least = operand.value - operand.error
            error = np.where(least >= 0, value - np.sqrt(np.maximum(least, 0.0)), np.inf)
        link = Link(operand, 0.5 / value)
    size = value if error is None else value + error
    return operand.result(value, error, links=[link], terms=OpenSum(size, products=_SQRT_ROUNDOFFS))


def mix(z: Any, a: Any, b: Any) -> Array:
    """Returns z a + (1 - z) b, which a runtime may also compute as b + z (a - b).

    Three roundings of (|z| + |1 - z|) (|a| + |b|) cover both. An error e of z changes it by e |a - b| only.
    """
    if tracked(z, a, b) is None:
        return np.asarray(z * a + (1.0 - z) * b)
    settle(z, a, b)
    vz, va, vb = exact(z), exact(a), exact(b)
    error_z, error_a, error_b = (error_of(operand) for operand in (z, a, b))
    error, mass = None, np.abs(vz) + np.abs(1.0 - vz)
    size_a, size_b = (np.abs(v) if e is None else np.abs(v) + e for v, e in ((va, error_a), (vb, error_b)))
    if error_z is not None:
        ends = both(error_a, error_b)
        error = error_z * (np.abs(va - vb) if ends is None else np.abs(va - vb) + ends)
        mass = mass + 2 * error_z
    error = both(error, None if error_a is None else np.abs(vz) * error_a)
    error = both(error, None if error_b is None else np.abs(1.0 - vz) * error_b)
    links = links_to((z, Link(z, va - vb)), (a, Link(a, vz)), (b, Link(b, 1.0 - vz)))
    terms = OpenSum(mass * (size_a + size_b), additions=1, products=2, operations=4)
    return links[0].operand.result(vz * va + (1.0 - vz) * vb, error, links=links, terms=terms)


def weights(values: Array, x: Array) -> Array:
    """Returns weights for a computation that a runtime may do with weights alone, before they meet the input `x`."""
    operand = tracked(x)
    return values if operand is None else _constant(operand, values)


def _constant(operand: Tracked, values: Array) -> Any:
    return type(operand)(operand.trace, values, None, is_followed=False)
