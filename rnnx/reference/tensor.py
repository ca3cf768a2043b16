"""The values that pass between layers, and the mask that belongs to them. Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy.typing as npt

from rnnx.primitives import Array, Mask

# Inputs or outputs of a file by name: ids, numbers, or the bytes of texts, of any dtype.
NamedArrays: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Tensor:
    """Values and their mask, as a layer receives and returns them.

    Attributes:
        values: float64 `(batch, time, features)`; `(batch, features)` after a layer that removes the time axis; token
            ids `(batch, time)` before an Embedding.
        mask: bool `(batch, time)`, True where a position counts and False where it is padding. None if every position
            counts.
    """

    values: Array
    mask: Mask | None = None
