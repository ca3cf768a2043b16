"""The primitives that add: sum, difference, matrix product, total and mean. Their results are open sums.

In any order, with or without fused multiply-adds, a sum of products differs from the exact one by at most gamma_n times
the sum of the absolute values, where n is the number of roundings that one term goes through.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 3.1 and 3.5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnx.primitives.arrays import Array
from rnnx.primitives.float32 import SMALLEST_NORMAL
from rnnx.primitives.operands import both, error_of, exact, links_to, settle, size_of, terms_of
from rnnx.primitives.tracked import Count, Link, OpenSum, Tracked


def add(a: Any, b: Any) -> Array:
    """Adds; at least one of the operands is tracked."""
    return _joined(a, b, exact(a) + exact(b), Link)


def subtract(a: Any, b: Any) -> Array:
    """Returns a - b; at least one of the operands is tracked."""
    return _joined(a, b, exact(a) - exact(b), lambda operand: Link(operand, -1.0))


def negate(x: Tracked) -> Array:
    """Returns -x, which does not round."""
    return x.result(-x.value, x.error, links=[Link(x, -1.0)], terms=x.terms)


def _joined(a: Any, b: Any, value: Array, link_b: Callable[[Tracked], Link]) -> Array:
    first, second = terms_of(a), terms_of(b)
    terms = OpenSum(
        first.mass + second.mass,
        first.additions + second.additions + 1,
        _most(first.products, second.products),
        first.operations + second.operations + 1,
    )
    links = links_to((a, Link(a)), (b, link_b(b)))
    return links[0].operand.result(value, both(error_of(a), error_of(b)), links=links, terms=terms)


def _most(a: Count, b: Count) -> Count:
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else np.maximum(a, b)


def multiply_matrices(a: Any, b: Any) -> Array:
    """Returns the matrix product; at least one of the operands is tracked, and a plain `b` is a matrix."""
    settle(a, b)
    (va, vb), (size_a, size_b) = (exact(a), exact(b)), (size_of(a), size_of(b))
    error_a, error_b = error_of(a), error_of(b)
    error = None if error_a is None else error_a @ size_b
    if error_b is not None:
        error = both(error, np.abs(va) @ error_b)
    # A runtime may take a weight below the smallest normal number for 0.
    flushed = np.where(size_b < SMALLEST_NORMAL, size_b, 0.0)
    if flushed.any():
        error = both(error, size_a @ flushed)
    count = va.shape[-1]
    terms = OpenSum(size_a @ size_b, count - 1, 1, 2 * count - 1)
    links = links_to((a, _link_left(a, vb)), (b, Link(b, transposed=lambda g: np.swapaxes(va, -1, -2) @ g)))
    return links[0].operand.result(va @ vb, error, links=links, terms=terms)


def _link_left(a: Any, b: Array) -> Link:
    if b.ndim > 2:
        return Link(a, transposed=lambda g: np.asarray(g @ np.swapaxes(b, -1, -2)))
    # One product of two matrices; NumPy would compute one per entry of `g`.
    return Link(a, transposed=lambda g: (g.reshape(-1, g.shape[-1]) @ b.T).reshape(*g.shape[:-1], len(b)))


def total(x: Tracked, axis: int, *, keepdims: bool) -> Array:
    """Sums over an axis, counted from the last one; adding an exact 0 does not round."""
    axis = axis % x.ndim - x.ndim
    terms = terms_of(x)
    count = np.maximum((terms.mass != 0).sum(axis=axis, keepdims=keepdims) - 1.0, 0.0)
    # The terms of one position were added first.
    inner = float(np.max(terms.additions))
    operations = np.broadcast_to(terms.operations, x.shape).sum(axis=axis, keepdims=keepdims) + count
    summed = OpenSum(
        terms.mass.sum(axis=axis, keepdims=keepdims), count + inner * (count + 1), np.max(terms.products), operations
    )
    size = x.shape[axis]

    def transposed(g: Array) -> Array:
        return np.repeat(g if keepdims else np.expand_dims(g, axis), size, axis=axis)

    error = None if x.error is None else x.error.sum(axis=axis, keepdims=keepdims)
    value = x.value.sum(axis=axis, keepdims=keepdims)
    return x.result(value, error, links=[Link(x, transposed=transposed)], terms=summed)


def mean(x: Tracked, axis: int, *, keepdims: bool) -> Array:
    """Averages over an axis, counted from the last one."""
    return divide_by_count(total(x, axis, keepdims=keepdims), float(x.shape[axis]))


def divide_by_count(x: Any, count: Any) -> Array:
    """Divides an open sum by whole numbers: one rounding, or two for a product with a rounded 1 / count."""
    if not isinstance(x, Tracked):
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, without a warning
            return np.asarray(x / count)
    terms = terms_of(x)
    with np.errstate(invalid="ignore", divide="ignore"):
        divided = OpenSum(terms.mass / count, terms.additions, terms.products + 2, terms.operations + 2)
        error = None if x.error is None else x.error / count
        return x.result(x.value / count, error, links=[Link(x, 1.0 / count)], terms=divided)
