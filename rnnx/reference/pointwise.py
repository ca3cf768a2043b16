"""The layers that work on each position by itself, in NumPy, in float64, written from their definitions.

A layer is called with a `Tensor`, values `(batch, time, features)` or `(batch, features)`, and returns one. Embedding
and Masking make a mask; the other layers pass the mask on unchanged, as Keras 3 does.

Layers that merge tensors are in `rnnx.reference.merging`. Those that pool or move positions are in `pooling` and
`reshaping`, and the recurrent layers are in `recurrent` and `gated`.

Imports numpy and the primitives only.

Source: as Keras 3 defines them (`keras.layers`, `keras.ops.nn`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rnnx.primitives import (
    ACTIVATIONS,
    ActivationFunction,
    ActivationName,
    Array,
    activate,
    apply,
    exact,
    fold,
    maximum,
    rsqrt,
    unit,
    variance,
    weights,
    where,
)
from rnnx.primitives.float32 import gamma, roundoffs
from rnnx.reference.tensor import Tensor
from rnnx.strict_json import OMIT_DEFAULT


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
        indices = exact(ids.values).astype(np.int64)
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
        mask = np.asarray((exact(x.values) != self.mask_value).any(axis=-1))
        return Tensor(where(mask[..., None], x.values, 0.0), mask)


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

    @property
    def function(self) -> ActivationFunction:
        """The function; a runtime rounds the slope and the product."""
        slope = self.negative_slope
        return ActivationFunction(
            lambda x: np.where(x > 0, x, slope * x),
            lambda x: np.where(x > 0, 1.0, slope),
            slope=max(1.0, abs(slope)),
            absolute=0,
            relative=roundoffs(2),
        )

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(apply(self.function, x.values), x.mask)


@dataclass(frozen=True)
class CappedReLU:
    """Returns x between 0 and `most`, `negative_slope` * x below, and `most` above."""

    most: float
    negative_slope: float = field(default=0.0, metadata=OMIT_DEFAULT)

    def __call__(self, x: Tensor) -> Tensor:
        slope = self.negative_slope
        values = apply(LeakyReLU(slope).function, x.values) if slope else activate("relu", x.values)
        return Tensor(-maximum(-values, np.full((), -self.most)), x.mask)


@dataclass(frozen=True)
class ELU:
    """Returns x where x is positive, `alpha` * (exp(x) - 1) elsewhere."""

    alpha: float

    @property
    def function(self) -> ActivationFunction:
        """The function: a runtime's elu, whose own error is multiplied by a rounded alpha, with one rounding more.

        Above zero the result is exact, but Keras adds the branch below zero to it, which is then a product with 0.
        """
        alpha, elu = self.alpha, ACTIVATIONS["elu"]
        return ActivationFunction(
            lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
            lambda x: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0))),
            slope=max(1.0, abs(alpha)),
            absolute=abs(alpha) * elu.absolute * (1 + gamma(2.0)),
            relative=roundoffs(2),
        )

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(apply(self.function, x.values), x.mask)


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

    def __call__(self, x: Tensor) -> Tensor:
        scale = rsqrt(weights(self.variance, x.values) + self.epsilon)
        scale = scale if self.gamma is None else scale * self.gamma
        values = fold(x.values - self.mean, scale)
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

    def __call__(self, x: Tensor) -> Tensor:
        mean = x.values.mean(axis=-1, keepdims=True)
        inverse = rsqrt(variance(x.values, mean) + self.epsilon)
        values = fold(x.values - mean, inverse)
        values = values if self.gamma is None else fold(values, self.gamma)
        return Tensor(values if self.beta is None else values + self.beta, x.mask)


@dataclass(frozen=True, eq=False)
class PReLU:
    """Returns x where x is positive, alpha * x elsewhere.

    Attributes:
        negated: `(features,)` or `(1,)`, -alpha: Keras multiplies with it, and files hold it. With a slope for each
            position, it is `(time, features)` or `(time, 1)`.

    Source: K. He et al., "Delving deep into rectifiers", 2015.
    """

    negated: Array

    @property
    def position_size(self) -> int:
        """The numbers of a position."""
        return int(self.negated.shape[-1])

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(activate("relu", x.values) + activate("relu", -x.values) * self.negated, x.mask)


@dataclass(frozen=True, eq=False)
class Normalization:
    """Returns (x - mean) / deviation, with statistics that were computed before the training.

    Attributes:
        mean: `(features,)` or `(1,)`.
        inverse: As mean: 1 / deviation in float32, to one unit in the last place. The deviation is the square root of
            the variance, at least 1e-7. Files hold its inverse, because TensorFlow turns a division by constants into
            a product.
    """

    mean: Array
    inverse: Array

    def __call__(self, x: Tensor) -> Tensor:
        # Keras divides. Of the inverse, a unit in the last place is two roundings.
        return Tensor(fold(x.values - self.mean, weights(self.inverse, x.values) * 1.0 * 1.0), x.mask)


@dataclass(frozen=True)
class UnitNormalization:
    """Divides the features of each position by the root of the sum of their squares."""

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(unit(x.values), x.mask)


@dataclass(frozen=True, eq=False)
class RMSNormalization:
    """Root mean square normalization: x / sqrt(mean(x^2) + epsilon) * scale; the result has no mask, as in Keras.

    Attributes:
        scale: `(features,)`.
        epsilon: A small number that is added to the mean of the squares.

    Source: B. Zhang and R. Sennrich, "Root mean square layer normalization", 2019.
    """

    scale: Array
    epsilon: float

    def __call__(self, x: Tensor) -> Tensor:
        inverse = rsqrt((x.values * x.values).mean(axis=-1, keepdims=True) + self.epsilon)
        return Tensor(x.values * inverse * self.scale)
