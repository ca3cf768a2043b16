"""What an operation asks of its operands, each of which is tracked or a plain array."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from rnnx.primitives.arrays import Array
from rnnx.primitives.tracked import Link, OpenSum, Tracked


def tracked(*operands: Any) -> Tracked | None:
    """Returns the first operand that is tracked; None if all are plain."""
    for operand in operands:
        if isinstance(operand, Tracked):
            return operand
    return None


def settle(*operands: Any) -> None:
    """Rounds the operands that are open sums."""
    for operand in operands:
        if isinstance(operand, Tracked):
            operand.settle()


def rounded(result: Any) -> Tracked:
    """Returns the result of a layer with tracked inputs, rounded."""
    assert isinstance(result, Tracked)  # noqa: S101  # it depends on the inputs
    result.settle()
    return result


def exact(x: Any) -> Array:
    """Returns the plain value of an operand: what a layer decides by it, such as a mask, is decided exactly."""
    return cast(Array, x.value if isinstance(x, Tracked) else x)


def error_of(x: Any) -> Array | None:
    """Returns how far the runtime's operand may be off; None if it is exact."""
    return x.error if isinstance(x, Tracked) else None


def size_of(x: Any) -> Array:
    """Returns the largest absolute value that the runtime's operand may have."""
    return x.size if isinstance(x, Tracked) else np.abs(x)


def terms_of(x: Any) -> OpenSum:
    """Returns the terms of an open sum, or a rounded operand as the only term."""
    if isinstance(x, Tracked):
        return x.terms or OpenSum(x.size)
    # A number of the code, such as 0.3, is rounded to float32; weights already are.
    is_rounded = isinstance(x, float) and float(np.float32(x)) != x
    return OpenSum(np.abs(x), products=int(is_rounded))


def both(a: Array | None, b: Array | None) -> Array | None:
    """Adds two errors, of which None is zero."""
    return b if a is None else a if b is None else a + b


def links_to(*pairs: tuple[Any, Link | None]) -> list[Link]:
    """Returns the links of the operands that are tracked."""
    return [link for operand, link in pairs if isinstance(operand, Tracked) and link is not None]
