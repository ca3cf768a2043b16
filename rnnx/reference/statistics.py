"""Layers that scale by statistics of other axes than the features, in NumPy, in float64. Imports numpy only.

Each passes its mask on unchanged, as Keras 3 does; a mask does not change the statistics.

Source: as Keras 3 defines them (`keras.layers`); Y. Wu and K. He, "Group normalization", 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnx.primitives import Array, fold, swap
from rnnx.reference.items import in_order
from rnnx.reference.pointwise import BatchNormalization, LayerNormalization
from rnnx.reference.tensor import Tensor


@dataclass(frozen=True, eq=False)
class AxesNormalization:
    """A layer normalization whose mean and variance are those of some axes, which all have a fixed size.

    Attributes:
        axes: The axes, in order; that of the batch is 0.
        gamma: The factors, in the shape of these axes; None means ones.
        beta: The offsets, in the same shape; None means zeros.
        epsilon: A small number that is added to the variance.
    """

    axes: tuple[int, ...]
    gamma: Array | None
    beta: Array | None
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        rank, sizes = x.values.ndim, x.values.shape
        if max(self.axes) >= rank:
            raise ValueError(f"the input has no axis {max(self.axes)}")
        order = (*(axis for axis in range(rank) if axis not in self.axes), *self.axes)
        turned = in_order(x.values, order)
        shape = turned.shape
        values = _standardized(turned.reshape(*shape[: -len(self.axes)], -1), self.epsilon).reshape(*shape)
        values = in_order(values, tuple(order.index(axis) for axis in range(rank)))
        whole = [size if axis in self.axes else 1 for axis, size in enumerate(sizes)]
        values = values if self.gamma is None else fold(values, self.gamma.reshape(whole))
        return Tensor(values if self.beta is None else values + self.beta.reshape(whole), x.mask)


@dataclass(frozen=True, eq=False)
class AxisBatchNormalization(BatchNormalization):
    """A batch normalization of another axis than the last one; its weights are `(size of the axis,)`.

    Attributes:
        axis: The axis; that of the batch is 0.
    """

    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        back = self.axis - x.values.ndim
        values = super().__call__(Tensor(swap(x.values, back, -1))).values
        return Tensor(swap(values, back, -1), x.mask)


@dataclass(frozen=True, eq=False)
class GroupNormalization:
    """Splits the features into groups, and normalizes the numbers of each group, those of all positions together.

    Attributes:
        groups: How many; the features are split into equal parts.
        gamma: `(features,)`; None means ones.
        beta: `(features,)`; None means zeros.
        epsilon: A small number that is added to the variance.
    """

    groups: int
    gamma: Array | None
    beta: Array | None
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        shape = x.values.shape
        positions, width = int(np.prod(shape[1:-1])), shape[-1] // self.groups
        split = swap(x.values.reshape(len(x.values), positions, self.groups, width), -2, -3)
        values = _standardized(split.reshape(len(x.values), self.groups, positions * width), self.epsilon)
        values = swap(values.reshape(len(x.values), self.groups, positions, width), -2, -3).reshape(*shape)
        values = values if self.gamma is None else fold(values, self.gamma)
        return Tensor(values if self.beta is None else values + self.beta, x.mask)


@dataclass(frozen=True, eq=False)
class FeatureRescaling:
    """Returns x * `scale` + `offset`, with a number for each feature; also a Normalization that is inverted.

    Attributes:
        scale: `(features,)` or `(1,)`.
        offset: `(features,)` or `(1,)`.
    """

    scale: Array
    offset: Array

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(fold(x.values, self.scale) + self.offset, x.mask)


def _standardized(x: Array, epsilon: float) -> Array:
    return LayerNormalization(None, None, epsilon)(Tensor(x)).values
