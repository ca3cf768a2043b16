"""Tests the layers that work on each position, with numbers that can be checked on paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnnx.reference import (
    ELU,
    Activation,
    BatchNormalization,
    Embedding,
    LayerNormalization,
    LeakyReLU,
    Masking,
    Rescaling,
    Tensor,
)

MASK = np.array([[True, False]])


def pair(*rows: list[float]) -> Tensor:
    """Makes one row of two positions."""
    return Tensor(np.array([rows]), MASK)


def test_several_ids_at_each_position_are_embedded() -> None:
    layer = Embedding(np.array([[0.0], [1.0], [2.0]]), mask_zero=True)
    given = layer(Tensor(np.array([[[1.0, 0.0], [2.0, 2.0]]])))
    assert given.values.tolist() == [[[[1.0], [0.0]], [[2.0], [2.0]]]]
    assert given.mask is not None
    assert given.mask.tolist() == [[[True, False], [True, True]]]


def test_masking_compares_all_features() -> None:
    given = Masking(-1.0)(Tensor(np.array([[[-1.0, -1.0], [-1.0, 0.0], [0.0, 0.0]]])))
    assert given.mask is not None
    assert given.mask.tolist() == [[False, True, True]]
    assert given.values.tolist() == [[[0.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]]


def test_activation_layers_pass_the_mask_on() -> None:
    x = pair([-1.0], [2.0])
    for layer, expected in (
        (Activation("relu"), [0.0, 2.0]),
        (LeakyReLU(0.25), [-0.25, 2.0]),
        (ELU(2.0), [2 * (1 / math.e - 1), 2.0]),
        (Rescaling(3.0, 0.5), [-2.5, 6.5]),
    ):
        given = layer(x)
        np.testing.assert_allclose(expected, given.values[0, :, 0], rtol=1e-15)
        assert given.mask is MASK


def test_a_batch_normalization_computed_by_hand() -> None:
    """Compares with (x - 1) / sqrt(3 + 1) * 6 + 0.5."""
    layer = BatchNormalization(np.array([1.0]), np.array([3.0]), np.array([6.0]), np.array([0.5]), 1.0)
    given = layer(pair([1.0], [3.0]))
    assert given.values.tolist() == [[[0.5], [6.5]]]
    assert given.mask is MASK
    plain = BatchNormalization(np.array([1.0]), np.array([3.0]), None, None, 1.0)
    assert plain(pair([1.0], [3.0])).values.tolist() == [[[0.0], [1.0]]]


def test_a_layer_normalization_computed_by_hand() -> None:
    """The features (1, 5) have mean 3 and variance 4; with an epsilon of 5, the square root is 3."""
    given = LayerNormalization(np.array([3.0, 6.0]), np.array([0.0, 1.0]), 5.0)(pair([1.0, 5.0], [2.0, 2.0]))
    np.testing.assert_allclose([[[-2.0, 5.0], [0.0, 1.0]]], given.values, rtol=1e-15)
    assert given.mask is MASK
    plain = LayerNormalization(None, None, 5.0)(pair([1.0, 5.0], [2.0, 2.0])).values
    np.testing.assert_allclose([[[-2 / 3, 2 / 3], [0.0, 0.0]]], plain, rtol=1e-15)


def test_an_unknown_activation_raises() -> None:
    with pytest.raises(ValueError, match="glu"):
        Activation("glu")(pair([1.0], [2.0]))  # type: ignore[arg-type]  # wrong on purpose
