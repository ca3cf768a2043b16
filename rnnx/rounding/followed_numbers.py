"""Chooses the numbers of an output that are followed end to end, and bounds how far rounding can move each of them.

Imports NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnnx.reference import Array, HeadKind
from rnnx.rounding.error_propagation import RoundingErrors

# Each number that is followed end to end costs one pass backwards over all steps. Of an output over the time, the
# first and the last position are followed, and two spread evenly between them: a wrong carry shows most at the last
# one. This bounds the time of the whole proof to a multiple of the number of steps. Every step of every position is
# still compared on its own (`rnnx.proof.compare`).
_MOST_POSITIONS = 4
# Numbers of one position. A label of a softmax is certain only if all its classes are followed.
_MOST_NUMBERS = 64
# Numbers of one position among several, where no label depends on them: 32 passes instead of 256.
_MOST_NUMBERS_OVER_TIME = 8
# The most numbers in the largest tensor while several passes run at once: more would leave the caches.
_MOST_AT_ONCE = 1 << 18


def followed_places(shape: tuple[int, ...], head: HeadKind) -> list[tuple[int, ...]]:
    """Chooses the numbers of a row that are followed end to end; the same ones for the same shape, always.

    Args:
        shape: Of the output, `(batch, ..., numbers)`.
        head: What decides labels in the output.

    Returns:
        Indices without the batch: all numbers, or some from the first to the last, spread evenly.
    """
    *between, last = shape[1:]
    position_count = int(np.prod(between))
    if position_count == 1 or head == "sigmoid" or (head == "softmax" and last <= _MOST_NUMBERS):
        most = _MOST_NUMBERS
    elif head == "softmax":
        # With more classes than can be followed no label is certain, and one number shows how far rounding reaches.
        most = 1
    else:
        most = _MOST_NUMBERS_OVER_TIME
    positions = [tuple(map(int, np.unravel_index(i, between))) for i in spread(position_count, _MOST_POSITIONS)]
    return [(*position, int(k)) for position in positions for k in spread(last, most)]


def spread(count: int, most: int) -> npt.NDArray[np.intp]:
    """Indices from the first to the last of `count`, evenly spread, at most `most` of them; rising."""
    indices = np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)
    return indices[np.diff(indices, prepend=-1) > 0]  # np.unique would import numpy.ma


def bound_places(
    errors: RoundingErrors, shape: tuple[int, ...], places: Sequence[tuple[int, ...]], start: str, slopes: Array
) -> Array:
    """Bounds each number that is followed, by a pass backwards from it; infinity for the others.

    Several passes run as one batch, which repeats the rows with a seed for each pass.

    Args:
        errors: Of the network.
        shape: Of the output, `(batch, ..., numbers)`.
        places: The numbers that are followed, from `followed_places`.
        start: The node where the passes begin; its output has the positions of `shape`.
        slopes: `(numbers, width)`, d(number) / d(output of `start` at the same position).

    Returns:
        The bounds, of `shape`.
    """
    bounds = np.full(shape, np.inf)
    together = max(1, min(len(places), _MOST_AT_ONCE // errors.largest))
    for first in range(0, len(places), together):
        chosen: list[tuple[slice | int, ...]] = [(slice(None), *at) for at in places[first : first + together]]
        seeds = np.zeros((len(chosen), *shape[:-1], slopes.shape[1]))
        for seed, (*position, number) in zip(seeds, chosen, strict=True):
            seed[tuple(position)] = slopes[number]
        carried = errors.carried(start, seeds.reshape(-1, *seeds.shape[2:])).reshape(len(chosen), -1)
        for bound, at in zip(carried, chosen, strict=True):
            bounds[at] = bound
    return np.asarray(np.nan_to_num(bounds, nan=np.inf, posinf=np.inf))


def bound_all_numbers(errors: RoundingErrors, name: str) -> Array | None:
    """Bounds every number of a node by a pass backwards; returns None if there are too many."""
    shape = errors.tensors[name].values.shape
    if not errors.is_rounded(name):
        return np.zeros(shape)
    if shape[0] != errors.row_count:  # a row in a TimeDistributed is a position
        return None
    if len(shape) == 1:
        return np.asarray(np.nan_to_num(errors.carried(name, np.ones(shape)), nan=np.inf, posinf=np.inf))
    if np.prod(shape[1:]) > _MOST_NUMBERS:
        return None
    places = [tuple(map(int, place)) for place in np.ndindex(*shape[1:])]
    return bound_places(errors, shape, places, name, np.eye(shape[-1]))
