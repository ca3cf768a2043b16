"""Layers that turn numbers into ids, and ids into counts, in NumPy, in float64. Imports numpy only.

They decide by their inputs, which are exact unless they say otherwise, and give whole numbers: nothing is rounded.
Keras drops the fraction of a number that it takes for a whole one. What is not a number stays visible.

Source: as Keras 3 defines them (`keras.layers.Discretization`, `IntegerLookup` and `CategoryEncoding`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from rnnx.primitives import Array, compare, exact
from rnnx.primitives.float32 import SMALLEST_NORMAL
from rnnx.reference.tensor import Tensor
from rnnx.strict_json import OMIT_DEFAULT

# The largest float32 number, and the last whole number up to which float32 has all.
_LARGEST = float(np.finfo(np.float32).max)
_WHOLE = 2.0**24


@dataclass(frozen=True)
class FindBin:
    """Returns the number of the bin that each number falls into: how many boundaries are not above it.

    Attributes:
        boundaries: The boundaries in ascending order, rounded to float32.
        is_whole: Whether the input is one of whole numbers, so that fractions are dropped.
    """

    boundaries: tuple[float, ...]
    is_whole: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        values = np.trunc(exact(x.values)) if self.is_whole else exact(x.values)
        bins = np.searchsorted(np.array(self.boundaries), values, side="right").astype(np.float64)
        return Tensor(_visible(values, bins))

    @property
    def landmarks(self) -> Array:
        """The numbers at which a wrong layer would differ: the boundaries and their neighbours in float32."""
        near = np.array(self.boundaries, np.float32)
        below, above = (np.nextafter(near, np.float32(end)) for end in (-np.inf, np.inf))
        largest = _WHOLE if self.is_whole else _LARGEST
        others = [0.0, SMALLEST_NORMAL, -SMALLEST_NORMAL, 1.0, -1.0, largest, -largest]
        every = np.unique(np.concatenate([near, below, above, others]).astype(np.float64))
        # A runtime may take a number below the smallest normal one for 0.
        return np.asarray(every[(every == 0) | (np.abs(every) >= SMALLEST_NORMAL)])


@dataclass(frozen=True)
class LookUp:
    """Returns the id of each whole number in a vocabulary.

    Attributes:
        tokens: The whole numbers of the vocabulary.
        first_id: The id of the first one; the others follow.
        unknown_id: The id of unknown numbers, if there is one; otherwise the first of their ids.
        unknown_count: How many ids they have; an unknown number has that of its rest by division.
        masked: The number whose positions are masked; None if there is none.
        masked_id: Its id; -1 is the id of nothing.
    """

    tokens: tuple[float, ...]
    first_id: int
    unknown_id: int
    unknown_count: int
    masked: float | None = None
    masked_id: int = 0

    def __call__(self, x: Tensor) -> Tensor:
        values = np.trunc(exact(x.values))
        tokens = np.array(self.tokens)
        order = np.argsort(tokens)
        place = np.minimum(np.searchsorted(tokens[order], values), len(tokens) - 1)
        unknown = self.unknown_id + np.mod(np.where(np.isfinite(values), values, 0.0), self.unknown_count)
        ids = np.where(tokens[order][place] == values, self.first_id + order[place], unknown)
        ids = ids if self.masked is None else np.where(values == self.masked, self.masked_id, ids)
        return Tensor(_visible(values, ids))

    @property
    def landmarks(self) -> Array:
        """The numbers at which a wrong layer would differ: the vocabulary, its neighbours, fractions and extremes."""
        known = np.array([*self.tokens, *([] if self.masked is None else [self.masked])])
        others = [0.0, 0.5, -0.5, _WHOLE, -_WHOLE, 2.0**30, -(2.0**30)]
        return np.unique(np.concatenate([known, known + 1, known - 1, known + 0.5 * np.sign(known), others]))


@dataclass(frozen=True)
class OneHot:
    """Replaces each id by a vector that is 1 at its place and 0 elsewhere; other ids than 0..depth - 1 give zeros.

    Attributes:
        depth: The size of the vectors.
        is_squeezed: Whether the last axis, of size 1, is removed first.
        is_computed: Whether the ids are those that a layer has decided about, as an index of a largest number, which
            are whole numbers. Rounding may then have decided.
    """

    depth: int
    is_squeezed: bool = False
    is_computed: bool = field(default=False, metadata=OMIT_DEFAULT)

    def __call__(self, x: Tensor) -> Tensor:
        if self.is_computed:
            return Tensor(compare("equal", x.values[..., None], np.arange(float(self.depth))))
        ids = np.trunc(exact(x.values))
        return Tensor(_one_hot(ids[..., 0] if self.is_squeezed else ids, self.depth))

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns the vectors, which are all that it decides."""
        return self(*inputs)

    @property
    def landmarks(self) -> Array:
        """The numbers at which a wrong layer would differ: all ids, and some that are out of range."""
        return _ids_and_others(self.depth)


@dataclass(frozen=True)
class CountIds:
    """Counts how often each id is in a row, `(batch, ids)` to `(batch, depth)`; ids from `depth` on count nowhere.

    Attributes:
        depth: The number of ids.
        is_binary: Whether the result is 1 for each id that is there at all.
    """

    depth: int
    is_binary: bool

    def __call__(self, x: Tensor) -> Tensor:
        vectors = _one_hot(np.trunc(exact(x.values)), self.depth)
        return Tensor(vectors.max(axis=-2) if self.is_binary else vectors.sum(axis=-2))

    @property
    def landmarks(self) -> Array:
        """The numbers at which a wrong layer would differ: all ids, and some that are out of range."""
        return _ids_and_others(self.depth)


# The layers of this module. They round nothing, and a wrong id shows in the next layer that is compared.
IdLayer: TypeAlias = FindBin | LookUp | OneHot | CountIds


def _one_hot(ids: Array, depth: int) -> Array:
    vectors = (ids[..., None] == np.arange(depth)).astype(np.float64)
    return _visible(np.broadcast_to(ids[..., None], vectors.shape), vectors)


def _visible(given: Array, result: Array) -> Array:
    return np.asarray(np.where(np.isnan(given), np.nan, result))


def _ids_and_others(depth: int) -> Array:
    return np.concatenate([np.arange(depth + 1.0), [0.5, depth + 0.5, _WHOLE]])
