"""Tests that states are carried from chunk to chunk, with a fake file that adds up its inputs."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.reference import Concatenate, Dense, Embedding, LastPosition, NamedArrays, Network, Node, SimpleRNN
from rnnx.reference.streaming import CarriedState, by_layer, from_zero, in_chunks, with_time

STATE = CarriedState("sum", "h_in", "h_out", 1)
X = np.arange(1.0, 23.0, dtype=np.float32).reshape(2, 11, 1)


def add_up(given: NamedArrays) -> NamedArrays:
    """Returns the sum of the inputs so far, at each position and after the last one."""
    sums = given["h_in"][:, None] + np.cumsum(given["x"], axis=1)
    return {"sums": sums, "h_out": sums[:, -1], "length": np.array([given["x"].shape[1]])}


@pytest.mark.parametrize("size", [1, 3, 11, 500])
def test_outputs_of_chunks_are_concatenated(size: int) -> None:
    result = in_chunks(add_up, [STATE], {"sums": 1}, size)({"x": X})
    np.testing.assert_array_equal(np.cumsum(X, axis=1), result["sums"])
    np.testing.assert_array_equal(X.sum(axis=1), result["h_out"])
    assert result["length"].tolist() == [{1: 1, 3: 2, 11: 11, 500: 11}[size]]  # the length of the last chunk


def test_a_file_can_be_started_from_zero_states() -> None:
    np.testing.assert_array_equal(np.cumsum(X, axis=1), from_zero(add_up, [STATE])({"x": X})["sums"])


def test_states_of_a_layer_keep_their_order() -> None:
    lower = [CarriedState("lower", f"lower.{kind}_in", f"lower.{kind}_out", 3) for kind in "hc"]
    upper = CarriedState("upper", "upper.h_in", "upper.h_out", 2)
    assert by_layer([*lower, upper]) == {"lower": tuple(lower), "upper": (upper,)}


def test_with_time_names_the_nodes_with_a_time_axis() -> None:
    def rnn(*, return_sequences: bool) -> SimpleRNN:
        return SimpleRNN(np.ones((2, 2)), np.ones((2, 2)), np.ones(2), "tanh", return_sequences)

    network = Network(
        [
            Node("table", Embedding(np.ones((3, 2)), mask_zero=True), ("ids",)),
            Node("lower", rnn(return_sequences=True), ("table",)),
            Node("both", Concatenate(), ("table", "lower")),
            Node("last", rnn(return_sequences=False), ("lower",)),
            Node("state", LastPosition(), ("lower",)),
            Node("head", Dense(np.ones((2, 1)), np.ones(1), "sigmoid"), ("last",)),
        ]
    )
    assert with_time(network) == {"ids", "table", "lower", "both"}
