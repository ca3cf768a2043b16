"""The layers that work on each position by itself, in NumPy, in float64, written from their definitions.

A layer takes tensors and gives one, mask included: most hand the mask on as it came, as Keras 3 does. What moves, joins
or pools positions is in `rnnx.reference.pooling`, the recurrence and the network in `rnnx.reference.network`.

Imports numpy and the activations only.

Source: as Keras 3 defines them (`keras.layers`, `keras.ops.nn`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnx.reference.activations import ActivationName, activate
from rnnx.reference.tensor import Array, Tensor


@dataclass(frozen=True, eq=False)
class Embedding:
    """Looks up one row of `table` (vocabulary, features) per id; with `mask_zero`, id 0 is masked from here on.

    Ids (batch, time, k) give (batch, time, k, features) and a mask (batch, time, k).
    """

    table: Array
    mask_zero: bool

    def __call__(self, ids: Tensor) -> Tensor:
        indices = ids.values.astype(np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self.table):
            raise ValueError(f"ids should lie in 0..{len(self.table) - 1}")
        return Tensor(self.table[indices], indices != 0 if self.mask_zero else None)


@dataclass(frozen=True)
class Masking:
    """Masks the positions whose features are all equal to `mask_value`, and puts zeros there.

    Attributes:
        mask_value: As float32 has it.
    """

    mask_value: float

    def __call__(self, x: Tensor) -> Tensor:
        mask = (x.values != self.mask_value).any(axis=-1)
        return Tensor(np.where(mask[..., None], x.values, 0.0), mask)


@dataclass(frozen=True, eq=False)
class Dense:
    """activation(x kernel + bias); the article's V (transposed) and c, at every position or once.

    Attributes:
        kernel: (inputs, outputs).
        bias: (outputs,).
    """

    kernel: Array
    bias: Array
    activation: ActivationName

    def logits(self, x: Array) -> Array:
        """What the activation is applied to."""
        return x @ self.kernel + self.bias

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(activate(self.activation, self.logits(x.values)), x.mask)


@dataclass(frozen=True)
class Activation:
    """An activation as a layer of its own."""

    activation: ActivationName

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(activate(self.activation, x.values), x.mask)


@dataclass(frozen=True)
class LeakyReLU:
    """x above zero, `negative_slope` x below."""

    negative_slope: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(np.where(x.values > 0, x.values, self.negative_slope * x.values), x.mask)


@dataclass(frozen=True)
class ELU:
    """x above zero, `alpha` (exp(x) - 1) below."""

    alpha: float

    def __call__(self, x: Tensor) -> Tensor:
        below = self.alpha * np.expm1(np.minimum(x.values, 0.0))
        return Tensor(np.where(x.values > 0, x.values, below), x.mask)


@dataclass(frozen=True)
class Rescaling:
    """x scale + offset."""

    scale: float
    offset: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values * self.scale + self.offset, x.mask)


@dataclass(frozen=True, eq=False)
class BatchNormalization:
    """(x - mean) / sqrt(variance + epsilon) gamma + beta, by the moving statistics.

    Attributes:
        mean: (features,).
        variance: (features,), not negative.
        gamma: (features,); None for ones.
        beta: (features,); None for zeros.
        epsilon: Added to the variance.

    Source: S. Ioffe and C. Szegedy, "Batch normalization", 2015.
    """

    mean: Array
    variance: Array
    gamma: Array | None
    beta: Array | None
    epsilon: float

    @property
    def scale(self) -> Array:
        """What x is multiplied by, (features,)."""
        scale = 1.0 / np.sqrt(self.variance + self.epsilon)
        return np.asarray(scale if self.gamma is None else scale * self.gamma)

    def __call__(self, x: Tensor) -> Tensor:
        values = (x.values - self.mean) * self.scale
        return Tensor(values if self.beta is None else values + self.beta, x.mask)


@dataclass(frozen=True, eq=False)
class LayerNormalization:
    """(x - mean) / sqrt(variance + epsilon) gamma + beta, mean and variance over the features of each position.

    Attributes:
        gamma: (features,); None for ones.
        beta: (features,); None for zeros.
        epsilon: Added to the variance.

    Source: J. L. Ba et al., "Layer normalization", 2016.
    """

    gamma: Array | None
    beta: Array | None
    epsilon: float

    def normalized(self, x: Array) -> tuple[Array, Array]:
        """(x - mean) / sqrt(variance + epsilon), and 1 / sqrt(variance + epsilon)."""
        centred = x - x.mean(axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        return centred * inverse, np.asarray(inverse)

    def __call__(self, x: Tensor) -> Tensor:
        values, _ = self.normalized(x.values)
        values = values if self.gamma is None else values * self.gamma
        return Tensor(values if self.beta is None else values + self.beta, x.mask)
