"""Layers that move positions or numbers, and compute nothing. Imports numpy only.

Source: as Keras 3 defines them (`keras.layers`), what becomes of a mask included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnx.reference.tensor import Tensor


@dataclass(frozen=True)
class Reverse:
    """Turns the time around, behind the backward half of a Bidirectional; the mask was never turned and stays."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values[:, ::-1], x.mask)


@dataclass(frozen=True)
class ZeroPadding1D:
    """Positions of zeros in front and at the end; the mask is not handed on."""

    before: int
    after: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(np.pad(x.values, ((0, 0), (self.before, self.after), (0, 0))))


@dataclass(frozen=True)
class RepeatVector:
    """The same features (batch, features) at `count` positions."""

    count: int

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(np.repeat(x.values[:, None], self.count, axis=1))


@dataclass(frozen=True)
class Reshape:
    """The numbers of each row in another shape, in the same order; the mask is not handed on.

    Attributes:
        shape: Without the batch; one of its entries may be -1, for what is left.
    """

    shape: tuple[int, ...]

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values.reshape(len(x.values), *self.shape))
