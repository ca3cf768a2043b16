"""Tests LSTM and GRU: steps computed by hand, masks, and the order of reading."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.reference import GRU, LSTM, Tensor
from tests.layers import CELLS, draw_cell


def row(*values: float) -> np.ndarray:
    return np.array([values], float)


def test_an_lstm_computed_by_hand() -> None:
    """Computes two steps of one unit with linear gates and a linear activation, so that they can be checked on paper.

    W = 1, 2, 3, 1 and U = 0, 1, 0, 1 for i, f, c, o; the biases are 0; x = 1, 2.
    i = 1, f = 2, candidate 3, o = 1:          c = 2 * 0 + 1 * 3 = 3,    h = 1 * 3 = 3
    i = 2, f = 4 + 3, candidate 6, o = 2 + 3:  c = 7 * 3 + 2 * 6 = 33,   h = 5 * 33 = 165
    """
    layer = LSTM(row(1, 2, 3, 1), row(0, 1, 0, 1), np.zeros(4), "linear", True, recurrent_activation="linear")
    h, c = layer.carried(Tensor(np.array([[[1.0], [2.0]]])))
    assert h.ravel().tolist() == [3, 165]
    assert c.ravel().tolist() == [3, 33]


def test_a_gru_computed_by_hand() -> None:
    """Computes two steps of one unit by hand, with `reset_after`.

    W = 1, 2, 1 and U = 0, 1, 2 for z, r, k; both biases of k are 1, that of the input and that of the state; x = 2, 0.
    z = 2, r = 4, k = 2 + 1 + 4 (0 + 1) = 7:                       h = 2 * 0 + (1 - 2) * 7 = -7
    z = 0, r = -7, k = 0 + 1 + -7 (2 * -7 + 1) = 92:               h = 0 * -7 + 1 * 92 = 92
    """
    bias = np.array([[0.0, 0, 1], [0, 0, 1]])
    layer = GRU(row(1, 2, 1), row(0, 1, 2), bias, "linear", True, recurrent_activation="linear")
    assert layer(Tensor(np.array([[[2.0], [0.0]]]))).values.ravel().tolist() == [-7, 92]


def test_a_gru_that_resets_before_the_product_computed_by_hand() -> None:
    """Computes two steps by hand with the same W and U and a bias of 1 for k.

    z = 2, r = 4, k = 2 + 1 + 2 (4 * 0) = 3:       h = 2 * 0 + (1 - 2) * 3 = -3
    z = 0, r = -3, k = 0 + 1 + 2 (-3 * -3) = 19:   h = 0 * -3 + 1 * 19 = 19
    """
    layer = GRU(
        row(1, 2, 1), row(0, 1, 2), np.array([0.0, 0, 1]), "linear", True,
        recurrent_activation="linear", reset_after=False,
    )  # fmt: skip
    assert layer(Tensor(np.array([[[2.0], [0.0]]]))).values.ravel().tolist() == [-3, 19]


@pytest.mark.parametrize("name", CELLS)
def test_a_masked_position_keeps_all_states(name: str) -> None:
    x = np.random.default_rng(1).normal(size=(1, 5, 3))
    mask = np.array([[False, True, False, True, False]])
    layer = draw_cell(name, 3, 4)
    masked, alone = layer.carried(Tensor(x, mask)), layer.carried(Tensor(x[:, mask[0]]))
    for values, expected in zip(masked, alone, strict=True):
        assert not values[0, 0].any()
        np.testing.assert_array_equal(expected[0, [0, 0, 1, 1]], values[0, 1:])


@pytest.mark.parametrize("name", CELLS)
def test_a_backward_layer_reads_from_the_end(name: str) -> None:
    x = np.random.default_rng(2).normal(size=(2, 4, 3))
    backwards = draw_cell(name, 3, 4, go_backwards=True)(Tensor(x)).values
    np.testing.assert_array_equal(draw_cell(name, 3, 4)(Tensor(x[:, ::-1])).values, backwards)


@pytest.mark.parametrize("name", CELLS)
def test_masked_outputs_are_zero_if_requested_also_the_last_one(name: str) -> None:
    x = Tensor(np.ones((1, 3, 3)), np.array([[True, True, False]]))
    for return_sequences in (True, False):
        layer = draw_cell(name, 3, 4, zero_output_for_mask=True, return_sequences=return_sequences)
        values = layer(x).values
        assert not (values[0, -1] if return_sequences else values[0]).any()
