"""Tests the attention layers of the reference against formulas that are written in another way."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.reference import (
    AdditiveAttention,
    AdditiveWeights,
    Array,
    Attention,
    AttentionWeights,
    Dot,
    Softmax,
    Tensor,
    Transpose,
)
from rnnx.reference.attention import MaskEffect
from rnnx.rounding.layer_bounds import output_error

RNG = np.random.default_rng(3)
QUERY, VALUE, KEY = RNG.normal(size=(2, 4, 6)), RNG.normal(size=(2, 5, 6)), RNG.normal(size=(2, 5, 6))
MASK = np.array([[True, True, False, True, False], [False, True, True, True, True]])


def softmax(scores: list[float]) -> list[float]:
    total = sum(np.exp(scores))
    return [float(np.exp(score) / total) for score in scores]


def test_a_transpose_moves_axes_as_numpy_does() -> None:
    x = RNG.normal(size=(2, 3, 4, 5))
    for order in ((1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1), (1, 3, 2)):
        np.testing.assert_array_equal(x.transpose(0, *order), Transpose((0, *order))(Tensor(x, MASK)).values)
    assert Transpose((0, 2, 1, 3))(Tensor(x, MASK)).mask is None


def test_a_softmax_sums_to_one_along_its_axis() -> None:
    values = Softmax(1)(Tensor(QUERY)).values
    np.testing.assert_allclose(np.ones((2, 6)), values.sum(axis=1))


@pytest.mark.parametrize(
    ("axes", "shapes", "equation"),
    [
        ((2, 2), ((2, 4, 6), (2, 5, 6)), "abc,adc->abd"),
        ((1, 1), ((2, 4, 3), (2, 4, 5)), "abc,abd->acd"),
        ((2, 1), ((2, 4, 5), (2, 5)), "abc,ac->ab"),
        ((1, 2), ((2, 5), (2, 4, 5)), "ac,abc->ab"),
        ((3, 1), ((2, 3, 4, 5), (2, 5, 6)), "abcd,ade->abce"),
    ],
)
def test_a_dot_is_an_einsum(axes: tuple[int, int], shapes: tuple[tuple[int, ...], ...], equation: str) -> None:
    x, y = (RNG.normal(size=shape) for shape in shapes)
    np.testing.assert_allclose(np.einsum(equation, x, y), Dot(axes)(Tensor(x), Tensor(y)).values)


def test_a_dot_of_rows_has_one_number_and_may_be_a_cosine() -> None:
    x, y = RNG.normal(size=(2, 3, 6))
    product = Dot((1, 1))(Tensor(x), Tensor(y)).values
    np.testing.assert_allclose((x * y).sum(axis=1, keepdims=True), product)
    sizes = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    cosine = Dot((1, 1), normalize=True)(Tensor(x), Tensor(y)).values
    np.testing.assert_allclose(product[:, 0] / sizes, cosine[:, 0])
    assert Dot((1, 1), normalize=True)(Tensor(0 * x), Tensor(y)).values.tolist() == [[0.0]] * 3


def attend(row: int, t: int, *, heads: int = 1, scale: float = 1.0, read: npt.NDArray[np.intp]) -> Array:
    """Computes the attention of one query with loops."""
    size = 6 // heads
    parts = []
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = [scale * float(QUERY[row, t, part] @ KEY[row, s, part]) for s in read]
        parts.append(sum(p * VALUE[row, s, part] for p, s in zip(softmax(scores), read, strict=True)))
    return np.concatenate(parts)


@pytest.mark.parametrize(("heads", "masking"), [(1, "subtract"), (1, "replace"), (3, "replace"), (2, "remove")])
@pytest.mark.parametrize("is_causal", [False, True])
def test_an_attention_is_a_mean_of_the_values_that_count(heads: int, masking: MaskEffect, *, is_causal: bool) -> None:
    layer = Attention(0.4, heads, masking, is_causal)
    output = layer(Tensor(QUERY), Tensor(VALUE, MASK), Tensor(KEY))
    for row in range(2):
        for t in range(4):
            read = np.flatnonzero(MASK[row] & (np.arange(5) <= t) if is_causal else MASK[row])
            if len(read):
                expected = attend(row, t, heads=heads, scale=0.4, read=read)
                np.testing.assert_allclose(expected, output.values[row, t])
    assert output.mask is None


def test_a_query_without_keys_reads_all_of_them_or_none() -> None:
    masked = Tensor(VALUE, np.zeros((2, 5), bool))
    masking: MaskEffect
    for masking in ("subtract", "replace"):
        output = Attention(1.0, masking=masking)(Tensor(QUERY), masked).values
        np.testing.assert_allclose(np.repeat(VALUE.mean(axis=1, keepdims=True), 4, axis=1), output)
    assert not Attention(1.0, masking="remove")(Tensor(QUERY), masked).values.any()


def test_the_bound_of_a_masked_attention_is_small() -> None:
    inputs = [Tensor(QUERY, MASK[:, :4]), Tensor(VALUE, MASK)]
    errors = [np.full(x.values.shape, 1e-7) for x in inputs]
    for layer in (Attention(1.0), Attention(1.0, 2, "replace"), AdditiveAttention(None), AttentionWeights(1.0)):
        bound = output_error(layer, inputs, errors, layer(*inputs))
        assert bound.max() < 1e-4
    bound = output_error(AttentionWeights(1.0), inputs, errors, AttentionWeights(1.0)(*inputs))
    assert (bound[~np.broadcast_to(MASK[:, None], bound.shape)] < 1e-30).all()


def test_an_additive_score_is_a_sum_over_the_features() -> None:
    scale = RNG.normal(size=6)
    probs = AdditiveWeights(scale, 0.7, 1.3)(Tensor(QUERY), Tensor(VALUE), Tensor(KEY)).values
    scores = [1.3 * float(scale @ np.tanh(0.7 * (QUERY[1, 2] + KEY[1, s]))) for s in range(5)]
    np.testing.assert_allclose(softmax(scores), probs[1, 2])
    mean = AdditiveAttention(scale, 0.7, 1.3)(Tensor(QUERY, MASK[:, 1:]), Tensor(VALUE), Tensor(KEY))
    np.testing.assert_allclose(probs[0, 0] @ VALUE[0], mean.values[0, 0])
    assert not mean.values[0, 1].any()  # a masked query
    np.testing.assert_array_equal(MASK[:, 1:], mean.mask)
