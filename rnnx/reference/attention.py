"""Attention, and the layers of which people build it by hand, in NumPy, in float64. Imports numpy only.

For each query q_t, an attention gives the mean of the values v_s, weighted by how well q_t fits the key k_s:

```
p_t = softmax over s of score(q_t, k_s)        a_t = sum over s of p_ts v_s
```

Source: D. Bahdanau et al., "Neural machine translation by jointly learning to align and translate", 2015 (the additive
score); A. Vaswani et al., "Attention is all you need", 2017 (the product, and several heads). The masks are those of
Keras 3 (`keras.layers.Attention`, `AdditiveAttention`, `MultiHeadAttention`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from rnnx.primitives import Array, Mask, activate, exact, fold, maximum, rsqrt, softmax, swap, where
from rnnx.reference.tensor import Tensor
from rnnx.strict_json import OMIT_DEFAULT

# What Keras's Attention subtracts from the score of a masked key. Float32 numbers of this size are 64 apart, so the
# difference is -1e9 itself unless the score is large; a computed score is not off by as much as the rest.
_MASKED_BY = 1e9
_ABSORBED = 16.0
# What the scores of masked keys are replaced by in Keras's MultiHeadAttention: far below any score.
_MASKED_SCORE = -1e30
# A comparison gives 0 or 1.
_TRUE = 0.5
# The smallest norm by which Keras divides.
_SMALLEST_NORM = 1e-7

# What becomes of the score of a masked key. "subtract": 1e9 is subtracted from it. "replace": it is replaced by a large
# negative number, so that a query all of whose keys are masked reads all of them alike. "remove": such a query reads
# nothing.
MaskEffect = Literal["subtract", "replace", "remove"]


@dataclass(frozen=True)
class Dot:
    """Returns the products of two inputs, summed over one axis of each; the result has no mask.

    Its axes are those of the first input without the summed one, then those of the second without the summed one.

    Attributes:
        axes: The axis of each input; that of the batch is 0. Both have the same size.
        normalize: Whether each input is divided by its norm along its axis, which gives the cosine of the angle.
    """

    axes: tuple[int, ...]
    normalize: bool = False

    def __call__(self, *inputs: Tensor) -> Tensor:
        (x, rest_of_x), (y, rest_of_y) = (self._rows(*pair) for pair in zip(inputs, self.axes, strict=True))
        products = x @ swap(y)
        return Tensor(products.reshape(len(products), *(rest_of_x + rest_of_y or (1,))))

    def _rows(self, tensor: Tensor, axis: int) -> tuple[Array, tuple[int, ...]]:
        """Returns the numbers as `(batch, others, summed)`, and the sizes of the other axes."""
        x = tensor.values
        for i in range(axis - x.ndim, -1):
            x = swap(x, i, i + 1)
        sizes = x.shape
        x = x.reshape(len(x), int(np.prod(sizes[1:-1])), sizes[-1])
        if self.normalize:
            squares = (x * x).sum(axis=-1, keepdims=True)
            x = x * rsqrt(maximum(squares, np.full(squares.shape, _SMALLEST_NORM**2)))
        return x, sizes[1:-1]


@dataclass(frozen=True)
class AttentionWeights:
    """The weights p_ts of an attention whose score is a product: scale * (q_t . k_s), in one head or in several.

    It reads queries `(batch, queries, features)`, values `(batch, keys, features)`, and keys if they are not the
    values. The result is `(batch, queries, keys)`, or `(batch, heads, queries, keys)` if there are several heads.

    Attributes:
        scale: The factor of the products.
        heads: Into how many equal parts the features are split; each part has weights of its own.
        masking: What a mask does. With "subtract", it is that of the values; otherwise those of all inputs count.
        is_causal: Whether a query reads no key after its own position.
        has_pairs: Whether the last input says which keys each query reads, `(batch, queries, keys)`; an axis may have
            the size 1. It is exact, as the result of a comparison, and a query reads a key where it is above 1/2.
        pairs: The same for every row, as numbers 0 and 1, in the order of `pair_sizes`; empty for none.
        pair_sizes: The numbers of queries and of keys of `pairs`; an axis may have the size 1.
        window: A query reads the keys that are less than so many positions away; None for all.
    """

    scale: float
    heads: int = 1
    masking: MaskEffect = "subtract"
    is_causal: bool = False
    has_pairs: bool = field(default=False, metadata=OMIT_DEFAULT)
    pairs: tuple[int, ...] = field(default=(), metadata=OMIT_DEFAULT)
    pair_sizes: tuple[int, ...] = field(default=(), metadata=OMIT_DEFAULT)
    window: int | None = field(default=None, metadata=OMIT_DEFAULT)

    def __call__(self, *inputs: Tensor) -> Tensor:
        return Tensor(self.weights(*inputs))

    def weights(self, query: Tensor, value: Tensor, *others: Tensor) -> Array:
        """Computes the weights."""
        keys, given = (others[:-1], others[-1:]) if self.has_pairs else (others, ())
        (key,) = keys or (value,)
        scores = fold(self.split(query.values) @ swap(self.split(key.values)), np.asarray(self.scale))
        is_read = self.masks(query, value, key, *given)
        return masked_softmax(scores, is_read if self.heads == 1 or is_read is None else is_read[:, None], self.masking)

    def masks(self, query: Tensor, value: Tensor, key: Tensor, *given: Tensor) -> Mask | None:
        """Says which keys a query reads, in a shape that fits `(batch, queries, keys)`; None means all."""
        masks: list[Mask] = []
        if value.mask is not None:
            masks.append(value.mask[:, None, :])
        if self.masking != "subtract" and query.mask is not None:
            masks.append(query.mask[:, :, None])
        if self.masking != "subtract" and key.mask is not None:
            masks.append(key.mask[:, None, :])
        if self.is_causal:
            masks.append(np.tri(query.values.shape[1], key.values.shape[1], dtype=np.bool_)[None])
        masks += [np.asarray(exact(pairs.values) > _TRUE) for pairs in given]
        if self.pairs:
            masks.append(np.asarray(self.pairs, np.bool_).reshape(1, *self.pair_sizes))
        if self.window is not None:
            first, second = np.arange(query.values.shape[1]), np.arange(key.values.shape[1])
            masks.append((np.abs(first[:, None] - second) < self.window)[None])
        return np.asarray(np.logical_and.reduce(np.broadcast_arrays(*masks))) if masks else None

    def split(self, x: Array) -> Array:
        """Splits the features: `(batch, time, features)` to `(batch, heads, time, features / heads)`."""
        return x if self.heads == 1 else swap(x.reshape(len(x), x.shape[1], self.heads, -1), -2, -3)

    def join(self, x: Array) -> Array:
        """Joins the features of all heads again."""
        return x if self.heads == 1 else swap(x, -2, -3).reshape(len(x), x.shape[-2], -1)


@dataclass(frozen=True)
class Attention(AttentionWeights):
    """The mean of the values under the weights; the mask is that of the queries.

    With `masking="subtract"`, the result is zero at masked queries.
    """

    def __call__(self, *inputs: Tensor) -> Tensor:
        query, value, *_ = inputs
        mean = self.join(self.weights(*inputs) @ self.split(value.values))
        return zero_at_masked(mean, query.mask) if self.masking == "subtract" else Tensor(mean, query.mask)


@dataclass(frozen=True, eq=False)
class AdditiveWeights:
    """The weights p_ts of an attention whose score is a sum over the features: factor * (v . tanh(inner (q_t + k_s))).

    Its inputs, and what a mask does, are those of `AttentionWeights` with one head.

    Attributes:
        scale: `(features,)`, v; None means ones.
        inner: A factor inside of tanh.
        factor: A factor of the score.
        is_causal: Whether a query reads no key after its own position.
    """

    scale: Array | None
    inner: float = 1.0
    factor: float = 1.0
    is_causal: bool = False

    def __call__(self, *inputs: Tensor) -> Tensor:
        return Tensor(self.weights(*inputs))

    def weights(self, query: Tensor, value: Tensor, *keys: Tensor) -> Array:
        """Computes the weights."""
        (key,) = keys or (value,)
        (batch, queries, features), count = query.values.shape, key.values.shape[1]
        sums = query.values.reshape(batch, queries, 1, features) + key.values.reshape(batch, 1, count, features)
        fits = activate("tanh", sums if self.inner == 1 else sums * self.inner)
        scores = (fits if self.scale is None else fits * self.scale).sum(axis=-1)
        is_read = AttentionWeights(1.0, is_causal=self.is_causal).masks(query, value, key)
        return masked_softmax(scores if self.factor == 1 else scores * self.factor, is_read, "subtract")


@dataclass(frozen=True, eq=False)
class AdditiveAttention(AdditiveWeights):
    """The mean of the values under the weights, zero at masked queries; the mask is that of the queries."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        query, value, *_ = inputs
        return zero_at_masked(self.weights(*inputs) @ value.values, query.mask)


def masked_softmax(scores: Array, is_read: Mask | None, masking: MaskEffect) -> Array:
    """Returns the softmax over the last axis of scores, some of which are masked.

    Args:
        scores: The scores.
        is_read: False at masked keys, in a shape that fits the scores; None if no key is masked.
        masking: What becomes of masked keys.
    """
    if is_read is None:
        return softmax(scores)
    counts: Mask = np.broadcast_to(is_read, scores.shape)
    if masking == "subtract":
        is_absorbed = np.abs(exact(scores)) < _ABSORBED
        return softmax(where(counts, scores, where(is_absorbed, -_MASKED_BY, scores - _MASKED_BY)))
    probs = softmax(where(counts, scores, _MASKED_SCORE))
    return where(counts, probs, 0.0) if masking == "remove" else probs


def zero_at_masked(x: Array, mask: Mask | None) -> Tensor:
    """Sets the numbers of masked positions to zero."""
    return Tensor(x, None) if mask is None else Tensor(where(mask[:, :, None], x, 0.0), mask)
