"""Layers that merge several tensors into one, in NumPy, in float64. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), including the mask of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import numpy as np

from rnnx.primitives import Array, Mask, concatenate, divide_by_count, exact, maximum
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
class Merge:
    """Combines inputs of the same shape elementwise: sum, difference, product, mean, maximum or minimum.

    A single feature of one input is combined with each feature of the others.

    A position counts if it counts in any input. If any input has no mask, neither has the result.

    Attributes:
        operation: How to combine them; `subtract` takes two inputs.
    """

    operation: Operation

    def __call__(self, *inputs: Tensor) -> Tensor:
        masks = [x.mask for x in inputs if x.mask is not None]
        mask = _any(masks) if len(masks) == len(inputs) else None
        return Tensor(self.combine([x.values for x in inputs]), mask)

    def combine(self, values: Sequence[Array]) -> Array:
        """Combines arrays of the same shape.

        Raises:
            ValueError: If the operation is not supported.
        """
        match self.operation:
            case "add":
                return reduce(lambda a, b: a + b, values)
            case "subtract":
                return values[0] - values[1]
            case "multiply":
                return reduce(lambda a, b: a * b, values)
            case "average":
                return divide_by_count(reduce(lambda a, b: a + b, values), float(len(values)))
            case "maximum":
                return reduce(maximum, values)
            case "minimum":
                return -reduce(maximum, [-x for x in values])
        raise ValueError(f"operation {self.operation!r} is not supported")


def _any(masks: list[Mask]) -> Mask:
    return reduce(np.logical_or, masks)
