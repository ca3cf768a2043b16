"""A value that an operation returns, with what follows from the operation: its rounding bound and its derivative.

A layer computes with arrays. To bound its rounding, it is called with `Tracked` values instead: each operation then
also computes how far a float32 runtime may be from the exact result, and how to carry a derivative back.

**A sum stays open** until an operation that is not a sum reads it. Only its terms are recorded: the sum of their
absolute values, and how often a term may be rounded. So x W + h U + b is one sum, and its bound,
gamma_{additions + products} (|x| |W| + |h| |U| + |b|), holds for every order in which a runtime adds, and for all
operations that it fuses. Rounding each operation by itself would refuse a runtime that starts its sum with the bias.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 3.1 and 3.3 (running error
analysis); S. Linnainmaa, "Taylor expansion of the accumulated rounding error", 1976 (the backward pass).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np

from rnnx.primitives.arrays import Array
from rnnx.primitives.float32 import SMALLEST_NORMAL, gamma

# A number, or one for each element of a value.
Count: TypeAlias = Any


@dataclass(frozen=True, eq=False)
class OpenSum:
    """The terms of a sum that is not rounded yet.

    Attributes:
        mass: The sum of the absolute values of all terms, in the shape of the sum.
        additions: The most additions that a term goes through.
        products: The most other roundings of a term.
        operations: How many results may underflow, so that the sum loses at most the smallest normal number for each.
    """

    mass: Array
    additions: Count = 0
    products: Count = 0
    operations: Count = 0


@dataclass(frozen=True, eq=False)
class Link:
    """Says how to carry dz / d(result) back to one operand: multiply it, then map it linearly or write it into a part.

    Attributes:
        operand: The operand.
        factor: The derivative of an elementwise operation; None means 1.
        transposed: The transposed linear map; its argument has one leading axis for several z.
        recorded: What the map depends on at each row and position: its second argument. None if it has one argument.
        part: The part of the last axis of the operand that the result is; None means all of it.
        repeated: The axes along which an elementwise operation repeats the operand, counted from the last one.
    """

    operand: Tracked
    factor: Array | float | None = None
    transposed: Callable[..., Array] | None = None
    recorded: Array | None = None
    part: slice | None = None
    repeated: tuple[int, ...] = ()


class Trace:
    """The operations of one computation on tracked values.

    Attributes:
        keeps_operations: Whether the operations are kept for a backward pass. Each then keeps its own rounding, which
            is not added to that of its operands. Otherwise each value has the bound of everything before it.
        in_recurrence: Whether activations are those of the recurrent operators, which have functions of their own.
        disturb: For tests: takes the number of an operation and its rounding bound, and returns what to add to its
            result.
        operations: The results, in the order of the computation, if they are kept.
    """

    def __init__(
        self,
        *,
        keeps_operations: bool = False,
        in_recurrence: bool = False,
        disturb: Callable[[int, Array], Array] | None = None,
    ) -> None:
        self.keeps_operations, self.in_recurrence, self.disturb = keeps_operations, in_recurrence, disturb
        self.operations: list[Tracked] = []
        self.count = 0

    def take_operations(self) -> list[Tracked]:
        """Returns the operations and forgets them, when the computation is done.

        Each operation refers to its trace. If the trace referred to them as well, their arrays would stay in memory
        until Python looks for cycles: after 118 texts of 600 words these were hundreds of megabytes.
        """
        operations, self.operations = self.operations, []
        return operations


class Tracked:
    """A value with its rounding bound and its derivative.

    Attributes:
        value: The exact value, float64; its first axis is the batch.
        error: How far the runtime's value may be from it; None means that it is exact.
        own_error: What the operation adds to the error of its operands, if the operations are kept.
        terms: The terms of an open sum; None once it is rounded.
        links: How to carry a derivative back to the operands.
        is_followed: Whether a derivative by this value is of use; it is not for what depends on weights alone.
        has_state: Whether the value depends on the states before a step of a recurrence.
    """

    __slots__ = ("error", "has_state", "is_followed", "links", "number", "own_error", "terms", "trace", "value")
    # NumPy leaves `array + tracked` to this class.
    __array_ufunc__ = None

    def __init__(
        self, trace: Trace, value: Array, error: Array | None, *, is_followed: bool, has_state: bool = False
    ) -> None:
        self.trace, self.value, self.error = trace, value, error
        self.is_followed, self.has_state = is_followed, has_state
        self.own_error: Array | None = None
        self.terms: OpenSum | None = None
        self.links: tuple[Link, ...] = ()
        self.number = trace.count
        trace.count += 1

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """The number of axes of the value."""
        return self.value.ndim

    @property
    def size(self) -> Array:
        """The largest absolute value that the runtime's value may have."""
        return np.abs(self.value) if self.error is None else np.abs(self.value) + self.error

    def __len__(self) -> int:
        return len(self.value)

    def result(
        self, value: Array, inherited: Array | None, *, links: Sequence[Link] = (), terms: OpenSum | None = None
    ) -> Array:
        """Returns the result of an operation.

        Args:
            value: The exact result.
            inherited: How far the errors of the operands may move it; None means not at all.
            links: How to carry a derivative back, for each operand.
            terms: The terms, if the result is an open sum.
        """
        # The same class, because a subclass defines the operators.
        new = type(self)(self.trace, value, None, is_followed=any(link.operand.is_followed for link in links))
        new.terms = terms
        if inherited is not None:
            new.add_error(inherited if inherited.shape == value.shape else np.broadcast_to(inherited, value.shape))
        if self.trace.keeps_operations and new.is_followed:
            new.links = tuple(_spread(link, value.shape) for link in links if link.operand.is_followed)
            new.has_state = any(link.operand.has_state for link in new.links)
            self.trace.operations.append(new)
        return cast(Array, new)  # for a layer, and for mypy, a tracked value is an array

    def round_by(self, rounding: Array) -> None:
        """Adds the rounding of the operation itself to how far the runtime's value may be off."""
        self.disturb_by(rounding)
        self.add_error(rounding)

    def disturb_by(self, rounding: Array) -> None:
        """Moves the value as a test asks for."""
        if self.trace.disturb is not None:
            self.value = self.value + self.trace.disturb(self.number, rounding)

    def add_error(self, error: Array) -> None:
        """Adds to how far the runtime's value may be off, whether by rounding or by the errors of the operands."""
        if self.trace.keeps_operations and self.is_followed:
            self.own_error = error if self.own_error is None else self.own_error + error
        else:
            self.error = error if self.error is None else self.error + error

    def settle(self) -> None:
        """Rounds an open sum, because an operation that is not a sum reads it."""
        terms, self.terms = self.terms, None
        if terms is None:
            return
        roundings = terms.additions + terms.products
        if isinstance(roundings, int) and roundings == 0:
            return
        rounding = gamma(roundings) * terms.mass
        if np.ndim(terms.operations) == 0:
            rounding += terms.operations * SMALLEST_NORMAL
        else:
            rounding = rounding + terms.operations * SMALLEST_NORMAL
        self.round_by(rounding if rounding.shape == self.value.shape else np.broadcast_to(rounding, self.value.shape))


def _spread(link: Link, shape: tuple[int, ...]) -> Link:
    """Returns the link of an operand that an elementwise operation may have repeated to the shape of its result."""
    if link.transposed is not None or link.part is not None or link.operand.shape == shape:
        return link
    sizes = link.operand.shape
    axes = tuple(axis for axis in range(-len(sizes), 0) if sizes[axis] == 1 != shape[axis])
    return replace(link, repeated=axes)
