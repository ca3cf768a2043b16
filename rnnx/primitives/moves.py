"""The primitives that move numbers to other places: nothing is rounded, and errors move with the numbers.

Source: the chain rule; each backward pass is the transposed move.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.primitives.arrays import Array, Mask
from rnnx.primitives.operands import error_of, exact, links_to, settle, tracked
from rnnx.primitives.tracked import Link, OpenSum, Tracked

# A move of an array.
_Move = Callable[[Array], Array]


def _moved(x: Tracked, move: _Move, link: Link) -> Array:
    terms, error = x.terms, None if x.error is None else move(x.error)
    if terms is not None and all(np.ndim(n) == 0 for n in (terms.additions, terms.products, terms.operations)):
        terms = OpenSum(move(terms.mass), terms.additions, terms.products, terms.operations)
    elif terms is not None:
        x.settle()
        return _moved(x, move, link)
    return x.result(move(x.value), error, links=[link], terms=terms)


def select(x: Tracked, key: Any) -> Array:
    """Returns `x[key]` for a key of slices and indices, none of which selects an element twice."""
    key = key if isinstance(key, tuple) else (key,)

    def transposed(g: Array) -> Array:
        whole = np.zeros((len(g), *x.shape))
        whole[(slice(None), *key)] = g
        return whole

    return _moved(x, lambda a: a[key], Link(x, transposed=transposed))


def reshape(x: Tracked, shape: tuple[int, ...]) -> Array:
    """Gives the numbers another shape, in the same order."""

    def transposed(g: Array) -> Array:
        # One step of a recurrence has fewer rows than all steps, which are recorded together.
        rows = g.shape[1] if shape[0] == x.shape[0] else x.shape[0]
        return g.reshape(len(g), rows, *x.shape[1:])

    return _moved(x, lambda a: a.reshape(shape), Link(x, transposed=transposed))


def swap(x: Array, first: int = -1, second: int = -2) -> Array:
    """Exchanges two axes, counted from the last one."""
    operand = tracked(x)
    if operand is None:
        return np.swapaxes(x, first, second)
    link = Link(operand, transposed=lambda g: np.swapaxes(g, first, second))
    return _moved(operand, lambda a: np.swapaxes(a, first, second), link)


def split(x: Array, count: int) -> list[Array]:
    """Splits the last axis into equal parts."""
    operand = tracked(x)
    if operand is None:
        return np.split(x, count, axis=-1)
    width = x.shape[-1] // count
    parts = [slice(i * width, (i + 1) * width) for i in range(count)]
    return [_moved(operand, _cut(-1, part), Link(operand, part=part)) for part in parts]


def _cut(axis: int, part: slice) -> _Move:
    """Returns the move that takes a part of an axis, counted from the last one."""
    key: Any = (Ellipsis, part, *[slice(None)] * (-axis - 1))
    return lambda a: np.asarray(a[key])


def concatenate(arrays: Sequence[Array], axis: int = -1) -> Array:
    """Concatenates along an axis, counted from the last one."""
    operand = tracked(*arrays)
    if operand is None:
        return np.concatenate(arrays, axis=axis)
    settle(*arrays)
    values = [exact(x) for x in arrays]
    ends = np.cumsum([v.shape[axis] for v in values])

    pairs: list[tuple[Any, Link | None]] = []
    for x, value, end in zip(arrays, values, ends, strict=True):
        part: Any = x
        pairs.append((part, Link(part, transposed=_cut(axis, slice(end - value.shape[axis], end)))))
    errors = [error_of(x) for x in arrays]
    error = None
    if any(e is not None for e in errors):
        filled = [np.zeros_like(v) if e is None else e for e, v in zip(errors, values, strict=True)]
        error = np.concatenate(filled, axis=axis)
    return operand.result(np.concatenate(values, axis=axis), error, links=links_to(*pairs))


def where(condition: Mask, a: Any, b: Any) -> Array:
    """Takes `a` where the condition is true and `b` elsewhere; the condition is exact, as a mask that ids make."""
    operand = tracked(a, b)
    if operand is None:
        return np.asarray(np.where(condition, a, b))
    settle(a, b)
    errors = [np.zeros(1) if (error := error_of(x)) is None else error for x in (a, b)]
    error = np.where(condition, *errors) if any(e.any() for e in errors) else None
    is_first = condition.astype(np.float64)
    links = links_to((a, Link(a, is_first)), (b, Link(b, 1.0 - is_first)))
    return operand.result(np.where(condition, exact(a), exact(b)), error, links=links)


def repeat(x: Array, count: int) -> Array:
    """Repeats rows along a new axis after the batch: `(batch, ...)` to `(batch, count, ...)`."""
    operand = tracked(x)
    if operand is None:
        return np.repeat(x[:, None], count, axis=1)
    link = Link(operand, transposed=lambda g: np.asarray(g.sum(axis=2)))
    return _moved(operand, lambda a: np.repeat(a[:, None], count, axis=1), link)


def pad(x: Array, before: int, after: int) -> Array:
    """Adds positions of zeros at both ends of the second axis."""
    operand = tracked(x)

    def move(a: Array) -> Array:
        return np.pad(a, [(0, 0), (before, after), *[(0, 0)] * (a.ndim - 2)])

    if operand is None:
        return move(x)
    time = x.shape[1]
    return _moved(operand, move, Link(operand, transposed=lambda g: g[:, :, before : before + time]))


def windows(x: Array, index: npt.NDArray[np.intp], is_there: Mask, fill: float = 0.0) -> Array:
    """Copies positions into windows: `(batch, time, features)` to `(batch, windows, size, features)`.

    Args:
        x: The sequence.
        index: `(windows, size)`, the position of each place of a window.
        is_there: `(windows, size)`, False where a window reaches beyond the sequence.
        fill: The number in those places.
    """
    operand, there = tracked(x), is_there[:, :, None]
    if operand is None:
        return np.where(there, x[:, index], fill)
    operand.settle()
    error = None if operand.error is None else np.where(there, operand.error[:, index], 0.0)

    def transposed(g: Array) -> Array:
        whole = np.zeros((*g.shape[:2], *operand.shape[1:]))
        np.add.at(np.moveaxis(whole, 2, 0), index, np.moveaxis(np.where(there, g, 0.0), (2, 3), (0, 1)))
        return whole

    value = np.where(there, operand.value[:, index], fill)
    return operand.result(value, error, links=[Link(operand, transposed=transposed)])
