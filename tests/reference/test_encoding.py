"""Tests the layers that turn numbers into ids and counts, against values worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.export.landmarks import find_landmarks
from rnnx.export.probes import make_array_probes
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import (
    CountIds,
    Dense,
    Embedding,
    FindBin,
    GetItem,
    Input,
    LookUp,
    Network,
    Node,
    OneHot,
    Selection,
    SimpleRNN,
    Tensor,
)

NAN = float("nan")


def call(layer: FindBin | LookUp | OneHot | CountIds, *rows: list[float]) -> Any:
    return layer(Tensor(np.array(rows))).values.tolist()


def test_a_number_on_a_boundary_is_in_the_bin_above_it() -> None:
    bins = FindBin((-1.0, 0.5, 0.5, 7.0))
    assert call(bins, [-3e38, -1.0, np.nextafter(-1.0, -2.0), 0.0, 0.5, 6.9, 7.0, 3e38]) == [[0, 1, 0, 1, 3, 3, 4, 4]]


def test_the_fraction_of_a_whole_number_is_dropped_before_it_is_put_into_a_bin() -> None:
    values = [-0.9, 0.9, 1.9]
    assert call(FindBin((-0.5, 0.5, 1.5)), values) == [[0, 2, 3]]
    assert call(FindBin((-0.5, 0.5, 1.5), is_whole=True), values) == [[1, 1, 2]]


def test_a_vocabulary_gives_the_place_of_a_number() -> None:
    lookup = LookUp((30.0, -7.0, 12.0), 1, 0, 1)
    assert call(lookup, [30, -7, 12, 0, -30, 12.9, -7.9, 13, 2.0**30]) == [[1, 2, 3, 0, 0, 3, 2, 0, 0]]


def test_unknown_numbers_are_spread_over_their_ids_and_a_mask_has_its_own() -> None:
    """The rest by division is never negative."""
    lookup = LookUp((30.0, 12.0), 4, 1, 3, -9.0)
    assert call(lookup, [30, 12, -9, 0, 1, 2, 3, -1, -2, -3]) == [[4, 5, 0, 1, 2, 3, 1, 3, 2, 1]]


def test_ids_become_vectors_and_counts() -> None:
    assert call(OneHot(3), [0, 2, 3, -1]) == [[[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]]
    assert call(OneHot(2, is_squeezed=True), [1.0]) == [[0, 1]]
    assert call(CountIds(3, is_binary=False), [0, 2, 2, 5]) == [[1, 0, 2]]
    assert call(CountIds(3, is_binary=True), [0, 2, 2, 5]) == [[1, 0, 1]]


@pytest.mark.parametrize("layer", [FindBin((0.5,)), LookUp((3.0,), 1, 0, 1), OneHot(2)])
def test_what_is_not_a_number_stays_visible(layer: FindBin | LookUp | OneHot) -> None:
    assert np.isnan(layer(Tensor(np.array([[NAN]]))).values).all()


def network(*before: Node, read: str = "x") -> Network:
    rng = np.random.default_rng(0)
    nodes = [
        *before,
        Node("bins", FindBin((-2.5, 40.0)), (read,)),
        Node("table", Embedding(rng.normal(size=(3, 2)), mask_zero=False), ("bins",)),
        Node(
            "rnn", SimpleRNN(np.ones((2, 2)), np.ones((2, 2)), np.ones(2), "tanh", return_sequences=False), ("table",)
        ),
    ]
    return Network(nodes, (Input("x", "numbers", (None,)),))


def test_the_probes_of_bins_hit_each_boundary_and_its_neighbours() -> None:
    for found in (find_landmarks(network())["x"], np.concatenate([b.given["x"].ravel() for b in probes(network())])):
        for boundary in (-2.5, 40.0):
            near = np.float32(boundary)
            assert {near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf))} <= {*found}
        assert found.max() > 1e38
        assert found.min() < -1e38


def probes(network: Network) -> list[ProbeBatch]:
    return list(make_array_probes(network, ()).batches)


def test_an_input_that_is_computed_with_too_is_given_no_extreme_number() -> None:
    first = Node("first", GetItem((Selection("slice", 0, None),)), ("x",))
    assert find_landmarks(network(first, read="first"))["x"].max() > 1e38
    both = network(Node("dense", Dense(np.ones((1, 1)), np.ones(1), "linear"), ("x",)))
    assert find_landmarks(both)["x"].max() < 1e7
    assert 40.0 in find_landmarks(both)["x"]
