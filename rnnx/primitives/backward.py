"""The backward pass over tracked operations: derivatives of one or several numbers z, and what rounding does to them.

To first order, operations that may be off by their own roundings move z by at most the sum of |dz / d(result)| times
the rounding of each.

Source: P. Werbos, "Backpropagation through time", 1990; N. Higham, "Accuracy and Stability of Numerical Algorithms",
2nd ed., section 3.8.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from rnnx.primitives.arrays import Array
from rnnx.primitives.tracked import Link, Tracked

# Derivatives by the number of the tracked value, with a leading axis for several z.
Gradients: TypeAlias = dict[int, Array]
# Takes from a recorded array what a pass is about: all of it, or one step of a sequence.
Cut: TypeAlias = Callable[[Array], Array]

# The derivative of an elementwise operation; None means 1.
Factor: TypeAlias = Array | float | None


def merge(operations: Sequence[Tracked], results: Iterable[Tracked]) -> list[Tracked]:
    """Merges operations, so that a backward pass takes fewer steps; it gives the same, and can be repeated.

    If only one elementwise operation reads a result, its rounding moves z by |dz / d(result)| = |dz / d(read)| |factor|
    times as much, and counts as a rounding of the operation that reads it. If it has one operand, or is passed on
    unchanged, the operation that reads it carries the derivative to its operands as well.

    Args:
        operations: In the order of the computation; they are changed.
        results: Where a pass may start.

    Returns:
        The operations that remain, in the same order.
    """
    reads = Counter(link.operand.number for operation in operations for link in operation.links)
    reads.update(result.number for result in results for _ in range(2))
    merged: set[int] = set()
    for operation in reversed(operations):
        if operation.number in merged:
            continue
        open_links, links = list(operation.links), []
        while open_links:
            link = open_links.pop()
            inner = link.operand
            is_elementwise = link.transposed is None and link.part is None and not link.repeated
            if (
                not inner.links
                or reads[inner.number] > 1
                or not is_elementwise
                or inner.has_state != operation.has_state
            ):
                links.append(link)
                continue
            if inner.own_error is not None:
                factor = 1.0 if link.factor is None else np.abs(link.factor)
                operation.add_error(factor * inner.own_error)
                inner.own_error = None
            if link.factor is None or len(inner.links) == 1:
                merged.add(inner.number)
                open_links += [replace(after, factor=_times(link.factor, after.factor)) for after in inner.links]
            else:
                links.append(link)
        operation.links = tuple(links)
    return [operation for operation in operations if operation.number not in merged]


def _times(a: Factor, b: Factor) -> Factor:
    return b if a is None else a if b is None else a * b


def go_back(operations: Sequence[Tracked], gradients: Gradients, cut: Cut) -> Array | float:
    """Carries derivatives back over operations.

    Args:
        operations: In the order of the computation.
        gradients: dz / d(value) for the results where the pass starts. The derivatives of all other values are added;
            those of results that were passed are removed.
        cut: Takes the part of each recorded array that the gradients belong to.

    Returns:
        The sum of |dz / d(result)| times the own error over all operations, for each z and each row.
    """
    moved: Array | float = 0.0
    parts: set[int] = set()
    for operation in reversed(operations):
        gradient = gradients.pop(operation.number, None)
        if gradient is None:
            continue
        if operation.own_error is not None:
            products = np.abs(gradient) * cut(operation.own_error)
            moved = moved + products.sum(axis=tuple(range(2, products.ndim)))
        for link in operation.links:
            number = link.operand.number
            if link.part is not None:
                if number not in parts:  # from here on, the array is changed in place, so it needs to be its own
                    start = np.zeros((*gradient.shape[:-1], link.operand.shape[-1]))
                    gradients[number] = start + gradients.get(number, 0.0)
                    parts.add(number)
                gradients[number][..., link.part] += _pass(link, gradient, cut)
            else:
                passed, known = _pass(link, gradient, cut), gradients.get(number)
                gradients[number] = passed if known is None else known + passed
                parts.discard(number)
    return moved


def _pass(link: Link, gradient: Array, cut: Cut) -> Array:
    factor = link.factor
    if factor is not None:
        # Factors that are weights have fewer axes, and are the same at each step.
        is_recorded = isinstance(factor, np.ndarray) and factor.ndim > 1
        gradient = gradient * (cut(factor) if is_recorded else factor)  # type: ignore[arg-type]  # an array
    if link.transposed is not None:
        recorded = [] if link.recorded is None else [cut(link.recorded)]
        return link.transposed(gradient, *recorded)
    return gradient.sum(axis=link.repeated, keepdims=True) if link.repeated else gradient
