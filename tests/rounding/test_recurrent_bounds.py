"""Tests the bound of one step of a gated cell: a right float32 computation keeps it, and a wrong one breaks it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnx.reference import GRU, LSTM, ActivationName, RecurrentLayer, Tensor, activate
from rnnx.rounding.recurrent_bounds import expect_steps
from tests.layers import CELLS, draw_cell

F = np.float32


def activated(name: ActivationName, x: np.ndarray) -> np.ndarray:
    return np.asarray(activate(name, x.astype(np.float64)).astype(F))


def run_float32(layer: RecurrentLayer, x: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Computes the states `(batch, time, units)` of a cell in float32, rounded after each operation."""
    w, u, b = (weights.astype(F) for weights in (layer.kernel, layer.recurrent_kernel, layer.bias))
    h = c = np.zeros((len(x), layer.units), F)
    states = []
    for t in range(x.shape[1]):
        x_t = x[:, t].astype(F)
        if isinstance(layer, LSTM):
            i, f, k, o = np.split((x_t @ w + h @ u) + b, 4, axis=1)
            s, g = layer.recurrent_activation, layer.activation
            new_c = activated(s, f) * c + activated(s, i) * activated(g, k)
            new = activated(s, o) * activated(g, new_c)
        else:
            assert isinstance(layer, GRU)
            new_c, new = c, _gru_step(layer, x_t @ w, h, u, b)
        is_present = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        h, c = np.where(is_present, new, h), np.where(is_present, new_c, c)
        states.append(h)
    return np.stack(states, axis=1)


def _gru_step(layer: GRU, x: np.ndarray, h: np.ndarray, u: np.ndarray, b: np.ndarray) -> np.ndarray:
    b, d = (b[0], b[1]) if layer.reset_after else (b, np.zeros_like(b))
    (x_z, x_r, x_k), (u_z, u_r, u_k), (d_z, d_r, d_k) = (
        np.split(v, 3, axis=-1) for v in (x + b, u, d)
    )  # fmt: skip
    z = activated(layer.recurrent_activation, x_z + (h @ u_z + d_z))
    r = activated(layer.recurrent_activation, x_r + (h @ u_r + d_r))
    recalled = r * (h @ u_k + d_k) if layer.reset_after else (r * h) @ u_k
    k = activated(layer.activation, x_k + recalled)
    return np.asarray(z * h + (F(1) - z) * k)


def ratio(layer: RecurrentLayer, x: np.ndarray, mask: np.ndarray | None, states: np.ndarray) -> float:
    expected, bound = expect_steps(layer, Tensor(x, mask), np.zeros_like(x), states.astype(np.float64))
    difference = np.abs(expected - states)
    return float(np.divide(difference, bound, out=np.where(difference == 0, 0.0, np.inf), where=bound > 0).max())


def inputs(seed: int, time: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, time, features)).astype(F).astype(np.float64)


@settings(deadline=None, max_examples=30)
@given(
    st.sampled_from(sorted(CELLS)), st.integers(0, 2**32 - 1), st.integers(1, 20), st.integers(1, 20), st.booleans(),
    st.sampled_from(["tanh", "relu", "softsign"]), st.sampled_from(["sigmoid", "hard_sigmoid"]),
)  # fmt: skip
def test_a_right_cell_keeps_the_bound(
    name: str, seed: int, features: int, units: int, masked: bool, activation: str, gate: str
) -> None:
    layer = draw_cell(name, features, units, seed, activation=activation, recurrent_activation=gate)
    x = inputs(seed, 12, features)
    mask = np.random.default_rng(seed).random((3, 12)) < 0.7 if masked else None
    assert ratio(layer, x, mask, run_float32(layer, x, mask)) <= 1


@pytest.mark.parametrize("name", CELLS)
def test_the_bound_stays_sharp_over_a_long_sequence(name: str) -> None:
    """The cell state is not an output, but even after a thousand steps its errors do not make the bound useless."""
    layer, x = draw_cell(name, 8, 16), inputs(0, 1000, 8)
    states = run_float32(layer, x, None)
    assert 0.001 < ratio(layer, x, None, states) < 0.5
    off = states.copy()
    off[0, 900, 3] += 1e-4
    assert ratio(layer, x, None, off) > 1


@pytest.mark.parametrize("weights", ["kernel", "recurrent_kernel", "bias"])
@pytest.mark.parametrize("name", CELLS)
def test_a_wrong_weight_breaks_the_bound(name: str, weights: str) -> None:
    layer, x = draw_cell(name, 8, 16), inputs(1, 60, 8)
    moved = getattr(layer, weights).copy()
    moved.flat[moved.size // 2] += 1e-3
    wrong = run_float32(dataclasses.replace(layer, **{weights: moved}), x, None)
    assert ratio(layer, x, None, wrong) > 1


@pytest.mark.parametrize("name", CELLS)
def test_a_masked_position_must_keep_the_state_bit_for_bit(name: str) -> None:
    layer, x = draw_cell(name, 4, 5), inputs(2, 6, 4)
    mask = np.ones((3, 6), bool)
    mask[1, 3] = False
    states = run_float32(layer, x, mask)
    assert ratio(layer, x, mask, states) <= 1
    states[1, 3] = np.nextafter(states[1, 3], F(2))
    assert ratio(layer, x, mask, states) == np.inf
