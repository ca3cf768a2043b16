"""The layers that work on each position by itself, in NumPy, in float64, written from their definitions.

A layer is called with a `Tensor`, values `(batch, time, features)` or `(batch, features)`, and returns one. Embedding
and Masking make a mask; the other layers pass the mask on unchanged, as Keras 3 does.

Layers that merge tensors are in `rnnx.reference.merging`. Those that pool or move positions are in `pooling` and
`reshaping`, and the recurrent layers are in `recurrent` and `gated`.

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
    """Replaces each token id by the row of a table.

    Ids `(batch, time)` give `(batch, time, features)`. Several ids at each position, `(batch, time, k)`, give
    `(batch, time, k, features)` and a mask `(batch, time, k)`.

    Attributes:
        table: `(vocabulary, features)`.
        mask_zero: Whether id 0 is padding: the mask of the output is False there. Otherwise the output has no mask.

    Raises:
        ValueError: If an id is not in 0..vocabulary - 1.
    """

    table: Array
    mask_zero: bool

    def __call__(self, ids: Tensor) -> Tensor:
        indices = ids.values.astype(np.int64)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self.table):
            raise ValueError(f"ids should be in 0..{len(self.table) - 1}")
        return Tensor(self.table[indices], indices != 0 if self.mask_zero else None)


@dataclass(frozen=True)
class Masking:
    """Masks the positions whose features are all equal to `mask_value`, and sets their features to zero.

    Attributes:
        mask_value: The value, rounded to float32, because Keras compares in float32.
    """

    mask_value: float

    def __call__(self, x: Tensor) -> Tensor:
        mask = (x.values != self.mask_value).any(axis=-1)
        return Tensor(np.where(mask[..., None], x.values, 0.0), mask)


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer: activation(V x + c), at every position or, after a summary of the states, once.

    Attributes:
        kernel: `(inputs, outputs)`, V transposed.
        bias: `(outputs,)`, c.
        activation: softmax in the article.
    """

    kernel: Array
    bias: Array
    activation: ActivationName

    def logits(self, x: Array) -> Array:
        """Returns V x + c, before the activation: `(..., inputs)` to `(..., outputs)`."""
        return x @ self.kernel + self.bias

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(activate(self.activation, self.logits(x.values)), x.mask)


@dataclass(frozen=True)
class Activation:
    """A layer that applies an activation and has no weights."""

    activation: ActivationName

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(activate(self.activation, x.values), x.mask)


@dataclass(frozen=True)
class LeakyReLU:
    """Returns x where x is positive, `negative_slope` * x elsewhere."""

    negative_slope: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(np.where(x.values > 0, x.values, self.negative_slope * x.values), x.mask)


@dataclass(frozen=True)
class ELU:
    """Returns x where x is positive, `alpha` * (exp(x) - 1) elsewhere."""

    alpha: float

    def __call__(self, x: Tensor) -> Tensor:
        below = self.alpha * np.expm1(np.minimum(x.values, 0.0))
        return Tensor(np.where(x.values > 0, x.values, below), x.mask)


@dataclass(frozen=True)
class Rescaling:
    """Returns x * `scale` + `offset`."""

    scale: float
    offset: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(x.values * self.scale + self.offset, x.mask)


@dataclass(frozen=True, eq=False)
class BatchNormalization:
    """Batch normalization at inference: (x - mean) / sqrt(variance + epsilon) * gamma + beta, for each feature.

    Attributes:
        mean: `(features,)`, the moving average that training recorded.
        variance: `(features,)`, recorded in the same way; not negative.
        gamma: `(features,)`; None means ones.
        beta: `(features,)`; None means zeros.
        epsilon: A small number that is added to the variance.

    Source: S. Ioffe and C. Szegedy, "Batch normalization", 2015.
    """

    mean: Array
    variance: Array
    gamma: Array | None
    beta: Array | None
    epsilon: float

    @property
    def scale(self) -> Array:
        """The factor of x - mean: gamma / sqrt(variance + epsilon), `(features,)`."""
        scale = 1.0 / np.sqrt(self.variance + self.epsilon)
        return np.asarray(scale if self.gamma is None else scale * self.gamma)

    def __call__(self, x: Tensor) -> Tensor:
        values = (x.values - self.mean) * self.scale
        return Tensor(values if self.beta is None else values + self.beta, x.mask)


@dataclass(frozen=True, eq=False)
class LayerNormalization:
    """Layer normalization: (x - mean) / sqrt(variance + epsilon) * gamma + beta.

    Mean and variance are those of the features at each position.

    Attributes:
        gamma: `(features,)`; None means ones.
        beta: `(features,)`; None means zeros.
        epsilon: A small number that is added to the variance.

    Source: J. L. Ba et al., "Layer normalization", 2016.
    """

    gamma: Array | None
    beta: Array | None
    epsilon: float

    def normalized(self, x: Array) -> tuple[Array, Array]:
        """Normalizes without gamma and beta.

        Returns:
            (x - mean) / sqrt(variance + epsilon), the shape of `x`; and 1 / sqrt(variance + epsilon), the same shape
            with a last axis of 1.
        """
        centred = x - x.mean(axis=-1, keepdims=True)
        inverse = 1.0 / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self.epsilon)
        return centred * inverse, np.asarray(inverse)

    def __call__(self, x: Tensor) -> Tensor:
        values, _ = self.normalized(x.values)
        values = values if self.gamma is None else values * self.gamma
        return Tensor(values if self.beta is None else values + self.beta, x.mask)
