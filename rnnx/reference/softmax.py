"""The softmax along other axes than the last one, in NumPy, in float64. Imports numpy only.

Source: as Keras 3 defines it (`keras.layers.Softmax`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnx.primitives import Array, activate, exact, softmax, where
from rnnx.reference.items import require_axes
from rnnx.reference.operations import Reduce
from rnnx.reference.tensor import Tensor

# What Keras replaces masked numbers by.
_MASKED_NUMBER = -1e9


@dataclass(frozen=True)
class Softmax:
    """Returns exp(x) / sum(exp(x)) along any axis.

    Attributes:
        axis: The axis; that of the batch is 0.
    """

    axis: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(softmax(x.values, axis=self.axis), x.mask)


@dataclass(frozen=True)
class AxesSoftmax:
    """Returns exp(x) / sum(exp(x)) over one or several axes, of all numbers or of those that a mask leaves.

    The mask is a second input, which fits the first one: a number counts where it is above 1/2, and gives 0 elsewhere.
    It is exact, as the result of a comparison.

    Attributes:
        axes: The axes, in order; that of the batch is 0.
    """

    axes: tuple[int, ...]

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, *masks = inputs
        require_axes(x, *self.axes)
        if not masks:
            return Tensor(self._softmax(x.values), x.mask)
        given = np.broadcast_to(exact(masks[0].values), x.values.shape)
        counts, is_unknown = given > 0.5, np.isnan(given)
        numbers = where(counts, x.values, _MASKED_NUMBER)
        if is_unknown.any():  # what is not a number stays visible
            numbers, counts = where(is_unknown, np.nan, numbers), counts | is_unknown
        return Tensor(where(counts, self._softmax(numbers), 0.0), x.mask)

    def _softmax(self, x: Array) -> Array:
        if len(self.axes) == 1:
            return softmax(x, axis=self.axes[0])
        # Keras computes it in this way, which rounds more if the numbers are large.
        sums = Reduce("log_sum_exp", self.axes, keepdims=True)(Tensor(x)).values
        return activate("exponential", x - sums)
