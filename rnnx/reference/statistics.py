"""Layers that scale by statistics of other axes than the features, in NumPy, in float64. Imports numpy only.

Each passes its mask on unchanged, as Keras 3 does; a mask does not change the statistics.

Source: as Keras 3 defines them (`keras.layers`); Y. Wu and K. He, "Group normalization", 2018.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rnnx.primitives import Array, fold, rsqrt, swap, unit, variance
from rnnx.reference.items import in_order, require_axes
from rnnx.reference.operations import Reduce
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
        require_axes(x, *self.axes)
        sizes = x.values.shape
        values = _as_one(x.values, self.axes, lambda rows: _standardized(rows, self.epsilon))
        whole = [size if axis in self.axes else 1 for axis, size in enumerate(sizes)]
        values = values if self.gamma is None else fold(values, self.gamma.reshape(whole))
        return Tensor(values if self.beta is None else values + self.beta.reshape(whole), x.mask)


@dataclass(frozen=True, eq=False)
class DeviationNormalization:
    """Divides by the deviation over some axes and subtracts no mean: x / sqrt(variance + epsilon) * gamma.

    So does Keras's LayerNormalization with `rms_scaling=True`. Its variance is that around the mean.

    Attributes:
        axes: The axes, in order, all of a fixed size; that of the batch is 0.
        gamma: The factors, in the shape of these axes.
        epsilon: A small number that is added to the variance.
    """

    axes: tuple[int, ...]
    gamma: Array
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, *self.axes)
        values = _as_one(x.values, self.axes, lambda rows: _over_deviation(rows, self.epsilon))
        whole = [size if axis in self.axes else 1 for axis, size in enumerate(x.values.shape)]
        return Tensor(fold(values, self.gamma.reshape(whole)), x.mask)


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
class AxisGroupNormalization(GroupNormalization):
    """A group normalization of another axis than the last one; its weights are `(size of the axis,)`.

    Attributes:
        axis: The axis that is split into groups; that of the batch is 0.
    """

    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        back = self.axis - x.values.ndim
        values = super().__call__(Tensor(swap(x.values, back, -1))).values
        return Tensor(swap(values, back, -1), x.mask)


@dataclass(frozen=True)
class AxesUnitNormalization:
    """Divides the numbers over some axes by the root of the sum of their squares.

    Attributes:
        axes: The axes, in order; that of the batch is 0.
    """

    axes: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        require_axes(x, *self.axes)
        return Tensor(_as_one(x.values, self.axes, unit), x.mask)


@dataclass(frozen=True, eq=False)
class AxesRMSNormalization:
    """Root mean square normalization over some axes: x / sqrt(mean(x^2) + epsilon) * scale.

    The result has no mask, as in Keras.

    Attributes:
        axes: The axes, in order; that of the batch is 0.
        scale: The factors. Keras repeats them over the axes in front, as NumPy does: those of axis 1, which are one for
            each position, are multiplied with the features.
        epsilon: A small number that is added to the mean of the squares.
    """

    axes: tuple[int, ...]
    scale: Array
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        mean = Reduce("mean", self.axes, keepdims=True)(Tensor(x.values * x.values)).values
        return Tensor(x.values * rsqrt(mean + self.epsilon) * self.scale)


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


def _as_one(x: Array, axes: tuple[int, ...], function: Callable[[Array], Array]) -> Array:
    """Applies a function of the last axis to some axes, as if they were one."""
    rank = x.ndim
    order = (*(axis for axis in range(rank) if axis not in axes), *axes)
    turned = in_order(x, order)
    shape = turned.shape
    values = function(turned.reshape(*shape[: -len(axes)], -1)).reshape(*shape)
    return in_order(values, tuple(order.index(axis) for axis in range(rank)))


def _over_deviation(x: Array, epsilon: float) -> Array:
    return x * rsqrt(variance(x, x.mean(axis=-1, keepdims=True)) + epsilon)


def _standardized(x: Array, epsilon: float) -> Array:
    return LayerNormalization(None, None, epsilon)(Tensor(x)).values
