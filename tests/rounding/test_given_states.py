"""Tests recurrences that start from given states and whose last states are read: derivatives and the bound of c."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.reference import (
    LSTM,
    Array,
    Concatenate,
    Dense,
    Input,
    Mask,
    Network,
    Node,
    RecurrentLayer,
    Tensor,
    cell_state_of,
    last_state_of,
)
from rnnx.rounding.decisions import decide
from rnnx.rounding.recurrent_bounds import expect_cell_state, expect_steps
from rnnx.rounding.through_time import linearize, through_time_and_states
from tests.layers import CELLS, draw_cell

BY = 1e-6
MASK = np.array([[True, True, False, True, True, False], [False] * 6])
F = np.float32


def weighted(
    layer: RecurrentLayer, x: Array, first: list[Array], mask: Mask | None, gradient: Array, of_last: list[Array]
) -> Array:
    """Returns a weighted sum of all outputs and of the last states, by row."""
    tensor = Tensor(x, mask)
    total = layer(tensor, *map(Tensor, first)).values * gradient
    ends = [history[:, -1] for history in layer.carried(layer.in_order(tensor), first)]
    return np.asarray(
        total.reshape(len(x), -1).sum(axis=1) + sum((e * g).sum(axis=1) for e, g in zip(ends, of_last, strict=True))
    )


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("settings", [{}, {"return_sequences": False, "go_backwards": True}], ids=["all", "last"])
@pytest.mark.parametrize("name", CELLS)
def test_derivatives_by_inputs_and_first_states_equal_finite_differences(
    name: str, settings: dict[str, Any], masked: bool
) -> None:
    layer, rng, mask = draw_cell(name, 3, 4, **settings), np.random.default_rng(3), MASK if masked else None
    x = rng.normal(size=(2, 6, 3)) * 0.5
    first, of_last = ([rng.normal(size=(2, 4)) * 0.5 for _ in range(layer.carried_count)] for _ in range(2))
    gradient = rng.normal(size=layer(Tensor(x, mask), *map(Tensor, first)).values.shape)
    steps = linearize(layer, Tensor(x, mask), first)
    _, d_x, d_first = through_time_and_states(layer, Tensor(x, mask), gradient, steps, of_last)
    for arrays, derivatives in ([[x], [d_x]], [first, d_first]):
        for array, derivative in zip(arrays, derivatives, strict=True):
            for at in np.ndindex(array.shape[1:]):
                ends = []
                for by in (BY, -2 * BY):
                    array[(slice(None), *at)] += by
                    ends.append(weighted(layer, x, first, mask, gradient, of_last))
                array[(slice(None), *at)] += BY
                actual = derivative[(slice(None), *at)]
                np.testing.assert_allclose((ends[0] - ends[1]) / (2 * BY), actual, rtol=1e-5, atol=1e-7)


def run_float32(layer: LSTM, x: Array, first: list[Array], mask: Mask | None) -> tuple[Array, Array]:
    """Runs an LSTM in float32, rounded after each operation; returns all hidden states and the last cell state."""
    w, u, b = (weights.astype(F) for weights in (layer.kernel, layer.recurrent_kernel, layer.bias))
    h, c = (state.astype(F) for state in first)
    states = []
    for t in range(x.shape[1]):
        i, f, k, o = np.split((x[:, t].astype(F) @ w + h @ u) + b, 4, axis=1)
        i, f, o = (F(1) / (F(1) + np.exp(-gate)) for gate in (i, f, o))
        new_c = f * c + i * np.tanh(k)
        new = o * np.tanh(new_c)
        is_there = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        h, c = np.where(is_there, new, h), np.where(is_there, new_c, c)
        states.append(h)
    return np.stack(states, axis=1).astype(np.float64), c.astype(np.float64)


@pytest.mark.parametrize("mask", [None, MASK], ids=["no mask", "mask"])
def test_a_right_float32_run_from_given_states_keeps_its_bounds_and_a_wrong_one_does_not(mask: Mask | None) -> None:
    rng = np.random.default_rng(0)
    layer = draw_cell("lstm", 3, 8)
    assert isinstance(layer, LSTM)
    x = rng.normal(size=(2, 6, 3)).astype(F).astype(np.float64)
    first = [rng.normal(size=(2, 8)).astype(F).astype(np.float64) for _ in range(2)]
    states, cell = run_float32(layer, x, first, mask)
    exact = np.zeros_like(x)

    def largest(states: Array, cell: Array, first: list[Array]) -> tuple[float, float]:
        ratios = []
        start = [(state, np.zeros_like(state)) for state in first]
        for (expected, bound), actual in (
            (expect_steps(layer, Tensor(x, mask), exact, states, start), states),
            (expect_cell_state(layer, Tensor(x, mask), exact, states, start), cell),
        ):
            difference = np.abs(expected - actual)
            ratio = np.divide(difference, bound, out=np.where(difference == 0, 0.0, np.inf), where=bound > 0)
            ratios.append(float(ratio.max()))
        return ratios[0], ratios[1]

    of_h, of_c = largest(states, cell, first)
    assert of_h <= 1
    assert 0 < of_c <= 1
    assert largest(states, cell, [np.zeros_like(state) for state in first])[0] > 100  # it did not start at zero
    assert largest(states, cell, [first[0], first[1] + 1e-3])[0] > 1
    assert largest(states, cell + 1e-4, first)[1] > 1
    assert largest(states, states[:, -1], first)[1] > 100  # the hidden state in the place of the cell state


@pytest.mark.parametrize("mask", [None, ~MASK], ids=["no mask", "masked first position"])
@pytest.mark.parametrize("name", CELLS)
def test_the_error_of_first_states_enters_the_bound(name: str, mask: Mask | None) -> None:
    rng, layer = np.random.default_rng(2), draw_cell(name, 3, 8)
    x = Tensor(rng.normal(size=(2, 6, 3)), mask)
    first = [rng.normal(size=(2, 8)) * 0.5 for _ in range(layer.carried_count)]
    error = [rng.uniform(1e-5, 1e-4, size=(2, 8)) for _ in first]
    moved = [state + 0.999 * e * rng.choice([-1, 1], e.shape) for state, e in zip(first, error, strict=True)]
    states, *others = layer.carried(x, moved)

    def excess(error: list[Array]) -> list[float]:
        start = list(zip(first, error, strict=True))
        found = [(expect_steps(layer, x, np.zeros_like(x.values), states, start), states)]
        if isinstance(layer, LSTM):
            found.append((expect_cell_state(layer, x, np.zeros_like(x.values), states, start), others[0][:, -1]))
        return [float((np.abs(expected - actual) - bound).max()) for (expected, bound), actual in found]

    assert max(excess(error)) <= 0
    assert excess([np.zeros_like(e) for e in error])[0] > 0


def test_the_bound_of_a_network_covers_a_float32_run_through_its_last_and_first_states() -> None:
    """An encoder and its decoder: the rounding of the encoder reaches the output through h and c alone."""
    rng = np.random.default_rng(1)
    encoder, decoder = draw_cell("lstm", 3, 4, return_sequences=False), draw_cell("lstm", 2, 4, return_sequences=False)
    assert isinstance(encoder, LSTM)
    assert isinstance(decoder, LSTM)
    kernel = rng.normal(size=(4, 2))
    nodes = [
        Node("encoder", encoder, ("source",)),
        Node("c", Concatenate(), (cell_state_of("encoder"),)),
        Node("decoder", decoder, ("target", last_state_of("encoder"), "c")),
        Node("head", Dense(kernel, np.zeros(2), "linear"), ("decoder",)),
    ]
    inputs = (Input("source", "numbers", (None, 3)), Input("target", "numbers", (None, 2)))
    network = Network(nodes, inputs, {"values": "head"})
    given = {"source": rng.normal(size=(3, 9, 3)).astype(F), "target": rng.normal(size=(3, 2, 2)).astype(F)}
    assert network.shown_states == ("encoder", "decoder", "encoder.cell")
    zero = [np.zeros((3, 4))] * 2
    states, cell = run_float32(encoder, given["source"].astype(np.float64), zero, None)
    decoded, _ = run_float32(decoder, given["target"].astype(np.float64), [states[:, -1], cell], None)
    actual = decoded[:, -1].astype(F) @ kernel.astype(F)
    exact = dict(zip(("h", "c"), encoder.carried(Tensor(given["source"].astype(np.float64))), strict=True))
    alone = decoder(Tensor(given["target"].astype(np.float64)), Tensor(exact["h"][:, -1]), Tensor(exact["c"][:, -1]))
    decision = decide(network, given)["values"]
    np.testing.assert_allclose(decision.values, alone.values @ kernel, rtol=1e-12)
    assert (np.abs(actual - decision.values) <= decision.bounds).all()
    # Without the encoder's rounding the bound would be that of the decoder alone.
    short = Network(
        [nodes[2], nodes[3]],
        (inputs[1], *(Input(n, "numbers", (4,)) for n in (nodes[2].inputs[1:]))),
        {"values": "head"},
    )
    start = {nodes[2].inputs[1]: exact["h"][:, -1], "c": exact["c"][:, -1]}
    assert (decide(short, {"target": given["target"], **start})["values"].bounds < decision.bounds).all()
