"""Layers that join tensors, and one that hands a mask over. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), what becomes of a mask included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from rnnx.reference.tensor import Array, Mask, Tensor

Operation = Literal["add", "subtract", "multiply", "average", "maximum", "minimum"]


@dataclass(frozen=True)
class TakeMask:
    """The values of the first input with the mask of the second: a mask handed to a layer beside what it reads."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, masked = inputs
        return Tensor(x.values, masked.mask)


@dataclass(frozen=True)
class Concatenate:
    """Joins the features of several inputs; a position counts where it counts in any of them."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        values = np.concatenate([x.values for x in inputs], axis=-1)
        masks = [x.mask for x in inputs]
        if all(mask is None for mask in masks):
            return Tensor(values)
        # Without a mask, everything counts; Keras hands on a mask that says so.
        return Tensor(values, _any([np.ones(values.shape[:-1], bool) if mask is None else mask for mask in masks]))


@dataclass(frozen=True)
class Merge:
    """One number of several inputs of one shape: their sum, difference, product, mean, maximum or minimum.

    A position counts where it counts in any of them; if one has no mask, neither has the result.
    """

    operation: Operation

    def __call__(self, *inputs: Tensor) -> Tensor:
        masks = [x.mask for x in inputs if x.mask is not None]
        mask = _any(masks) if len(masks) == len(inputs) else None
        return Tensor(self.combine(np.stack([x.values for x in inputs])), mask)

    def combine(self, stacked: Array) -> Array:
        """The result from (inputs, ...)."""
        match self.operation:
            case "add":
                return np.asarray(stacked.sum(axis=0))
            case "subtract":
                return np.asarray(stacked[0] - stacked[1])
            case "multiply":
                return np.asarray(stacked.prod(axis=0))
            case "average":
                return np.asarray(stacked.mean(axis=0))
            case "maximum":
                return np.asarray(stacked.max(axis=0))
            case "minimum":
                return np.asarray(stacked.min(axis=0))
        raise ValueError(f"operation {self.operation!r} is not modelled")


def _any(masks: list[Mask]) -> Mask:
    return reduce(np.logical_or, masks)
