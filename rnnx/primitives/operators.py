"""Arrays that track their operations: NumPy's operators and methods, as far as layers use them."""

from __future__ import annotations

from typing import Any, cast

from rnnx.primitives.arrays import Array
from rnnx.primitives.moves import reshape, select
from rnnx.primitives.products import divide, multiply
from rnnx.primitives.sums import add, mean, multiply_matrices, negate, subtract, total
from rnnx.primitives.tracked import Trace, Tracked


class TrackedArray(Tracked):
    """A tracked value with the operators of an array; what layers do not use is missing, and raises."""

    __slots__ = ()

    def __add__(self, other: Any) -> Array:
        return add(self, other)

    def __radd__(self, other: Any) -> Array:
        return add(other, self)

    def __sub__(self, other: Any) -> Array:
        return subtract(self, other)

    def __rsub__(self, other: Any) -> Array:
        return subtract(other, self)

    def __neg__(self) -> Array:
        return negate(self)

    def __mul__(self, other: Any) -> Array:
        return multiply(self, other)

    def __rmul__(self, other: Any) -> Array:
        return multiply(other, self)

    def __truediv__(self, other: Any) -> Array:
        return divide(self, other)

    def __rtruediv__(self, other: Any) -> Array:
        return divide(other, self)

    def __matmul__(self, other: Any) -> Array:
        return multiply_matrices(self, other)

    def __rmatmul__(self, other: Any) -> Array:
        return multiply_matrices(other, self)

    def __getitem__(self, key: Any) -> Array:
        return select(self, key)

    def reshape(self, *shape: int) -> Array:
        """Gives the numbers another shape, as NumPy does."""
        return reshape(self, shape)

    def sum(self, axis: int, *, keepdims: bool = False) -> Array:
        """Sums over an axis, as NumPy does."""
        return total(self, axis, keepdims=keepdims)

    def mean(self, axis: int, *, keepdims: bool = False) -> Array:
        """Averages over an axis, as NumPy does."""
        return mean(self, axis, keepdims=keepdims)


def track(trace: Trace, value: Array, error: Array | None = None, *, has_state: bool = False) -> Array:
    """Returns an array whose further operations are tracked.

    Args:
        trace: Where the operations are recorded.
        value: The exact value.
        error: How far the runtime's value may be from it; None means that it is exact.
        has_state: Whether the value is a state before a step of a recurrence.

    Returns:
        A tracked value. For a layer, and for mypy, it is an array.
    """
    return cast(Array, TrackedArray(trace, value, error, is_followed=True, has_state=has_state))
