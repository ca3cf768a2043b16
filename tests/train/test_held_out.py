"""Tests the figures of the held-out part; they need no TensorFlow."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.train.held_out import HeldOut, measure_held_out


def test_the_figures_are_those_of_the_definition() -> None:
    found = HeldOut.of(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]))
    assert (found.accuracy, found.majority, found.majority_id) == (0.75, 0.75, 0)
    assert found.macro_f1 == pytest.approx((6 / 7 + 0) / 2)
    assert found.is_no_better
    assert not HeldOut.of(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 1])).is_no_better


def test_a_label_that_only_the_network_gives_counts_as_wrong() -> None:
    assert HeldOut.of(np.array([0, 0]), np.array([0, 2])).macro_f1 == pytest.approx((2 / 3 + 0) / 2)


class Words:
    """Two sentences of one and two words, with tags and padding."""

    lengths = (2, 1)

    def stack(self, chosen: npt.NDArray[np.intp]) -> tuple[object, ...]:
        """Returns the rows, and the tags and weights of their words."""
        tags, weights = np.array([[1, 0], [1, 0]], np.int32), np.array([[1, 1], [1, 0]], np.float32)
        return chosen, tags[chosen], weights[chosen]


class Model:
    """Gives every word the second tag."""

    def predict_on_batch(self, chosen: npt.NDArray[np.intp]) -> object:
        """Returns probabilities of two tags for two words of each row."""
        return np.tile(np.array([0.1, 0.9], np.float32), (len(chosen), 2, 1))


def test_padding_is_not_measured() -> None:
    found = measure_held_out(Model(), Words(), 1)  # type: ignore[arg-type]
    assert [found.accuracy, found.majority] == pytest.approx([2 / 3, 2 / 3])
    assert found.majority_id == 1
