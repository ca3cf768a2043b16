"""Layers that merge several tensors into one, in NumPy, in float64. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), including the mask of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from rnnx.primitives import Array, Mask, concatenate, divide_by_count, exact, maximum, where
from rnnx.reference.tensor import Tensor

Operation = Literal["add", "subtract", "multiply", "average", "maximum", "minimum"]


@dataclass(frozen=True)
class AsMask:
    """Returns an input `(batch, time)` as its own mask: a position counts if its number is not 0.

    It represents a mask that is an input of the model. `TakeMask` gives it to the layers that are called with it.
    """

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values, np.asarray(exact(x.values) != 0))


@dataclass(frozen=True)
class TakeMask:
    """Returns the values of the first input with the mask of the second.

    It represents a mask that is passed as an argument in Keras, `layer(x, mask=mask)`, in place of the mask of x.

    Raises:
        ValueError: If the mask is one of other positions.
    """

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, masked = inputs
        if masked.mask is not None and masked.mask.shape != x.values.shape[: masked.mask.ndim]:
            raise ValueError(f"a mask of the shape {masked.mask.shape} does not fit values of {x.values.shape}")
        return Tensor(x.values, masked.mask)


@dataclass(frozen=True)
class Concatenate:
    """Concatenates the features of several inputs.

    A position counts if it counts in any input. If no input has a mask, neither has the result.
    """

    def __call__(self, *inputs: Tensor) -> Tensor:
        values = concatenate([x.values for x in inputs])
        masks = [x.mask for x in inputs]
        if all(mask is None for mask in masks):
            return Tensor(values)
        # If some inputs have a mask, Keras takes a mask of ones for each of the others.
        return Tensor(values, _any([np.ones(values.shape[:-1], bool) if mask is None else mask for mask in masks]))


@dataclass(frozen=True)
class ConcatenateAxis:
    """Concatenates several inputs along another axis than the features, as one sequence after the other.

    Sequences keep their masks: a position counts if it counts in the input that it comes from. Every position of an
    input without a mask counts. If no input has a mask, neither has the result.

    Attributes:
        axis: The axis; that of the batch is 0, and that of the time is 1.

    Raises:
        ValueError: If an input has a mask, and the axis is not the time of sequences `(batch, time, features)`.
    """

    axis: int

    def __call__(self, *inputs: Tensor) -> Tensor:
        arrays = [x.values for x in inputs]
        values = concatenate(arrays, self.axis - arrays[0].ndim)
        if all(x.mask is None for x in inputs):
            return Tensor(values)
        if self.axis != 1 or values.ndim != 3:
            raise ValueError(f"a mask of positions does not fit values that are concatenated along axis {self.axis}")
        masks = [np.ones(x.values.shape[:2], np.bool_) if x.mask is None else x.mask for x in inputs]
        return Tensor(values, np.concatenate(masks, axis=1))


@dataclass(frozen=True)
class Merge:
    """Combines inputs elementwise: sum, difference, product, mean, maximum or minimum.

    An axis of size 1 is repeated, as a single feature of one input for each feature of the others. An input of fewer
    axes has them with size 1 after the batch.

    A position counts if it counts in any input. If any input has no mask, neither has the result.

    At a masked position of one input, a product counts it as 1, and a maximum or minimum takes the other input alone. A
    product is 0 where all inputs are masked. A sum, a difference and a mean ignore masks.

    Attributes:
        operation: How to combine them; `subtract` takes two inputs.
    """

    operation: Operation

    def __call__(self, *inputs: Tensor) -> Tensor:
        masks = [x.mask for x in inputs if x.mask is not None]
        mask = _any(masks) if len(masks) == len(inputs) else None
        rank = max(x.values.ndim for x in inputs)
        given = [x if x.values.ndim == rank else Tensor(_with_axes(x.values, rank)) for x in inputs]
        values = [x.values for x in given]
        match self.operation:
            case "add":
                return Tensor(reduce(lambda a, b: a + b, values), mask)
            case "subtract":
                return Tensor(values[0] - values[1], mask)
            case "multiply":
                product = reduce(lambda a, b: a * b, [_or_one(x) for x in given])
                return Tensor(product if mask is None else where(mask[..., None], product, 0.0), mask)
            case "average":
                return Tensor(divide_by_count(reduce(lambda a, b: a + b, values), float(len(values))), mask)
            case "maximum":
                return Tensor(_largest(given), mask)
            case "minimum":
                return Tensor(-_largest([Tensor(-x.values, x.mask) for x in given]), mask)
        raise ValueError(f"operation {self.operation!r} is not supported")


def _or_one(x: Tensor) -> Array:
    return x.values if x.mask is None else where(x.mask[..., None], x.values, 1.0)


def _largest(inputs: Sequence[Tensor]) -> Array:
    """Takes the larger number of two inputs after the other; at a masked position, the number of the other one."""
    first, *others = inputs
    largest, mask = first.values, first.mask
    for other in others:
        values = other.values if other.mask is None else where(other.mask[..., None], other.values, largest)
        largest = largest if mask is None else where(mask[..., None], largest, values)
        mask = None if mask is None or other.mask is None else mask | other.mask
        largest = maximum(largest, values)
    return largest


def _with_axes(values: Array, rank: int) -> Array:
    if values.ndim == rank:
        return values
    return values.reshape(len(values), *[1] * (rank - values.ndim), *values.shape[1:])


def _any(masks: list[Mask]) -> Mask:
    return reduce(np.logical_or, masks)
