"""Tests that outputs become probabilities of labels, and which labels are chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.bundle.labels import choose_label_ids, per_label


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_single_sigmoid_is_the_probability_of_the_second_label(dtype: npt.DTypeLike) -> None:
    probs: npt.NDArray[Any] = np.array([[0.1], [0.75]], dtype)
    spelled_out = per_label(probs)
    assert spelled_out.dtype == dtype
    assert np.array_equal(spelled_out, np.array([[1 - probs[0, 0], 0.1], [0.25, 0.75]], dtype))
    assert np.array_equal(per_label(probs[1]), spelled_out[1])  # one row
    assert np.array_equal(per_label(probs[None]), spelled_out[None])  # one probability for each position
    assert per_label(probs[:0]).shape == (0, 2)


def test_one_output_for_each_label_is_not_changed() -> None:
    probs = np.array([[0.25, 0.5, 0.25]])
    assert per_label(probs) is probs


@pytest.mark.parametrize(
    ("probs", "threshold", "label_id"),
    [
        ([0.5, 0.5], None, 0),  # of equal probabilities, the first
        ([0.5, 0.5], 0.5, 1),
        ([0.2, 0.8], 0.9, 0),
        ([0.2, 0.7, 0.1], 0.9, 1),  # a threshold applies to two labels only
        ([np.nan, np.nan], 0.5, 0),
    ],
)
def test_the_likeliest_label_is_chosen_unless_a_threshold_decides(
    probs: list[float], threshold: float | None, label_id: int
) -> None:
    assert choose_label_ids(np.array([probs]), threshold).tolist() == [label_id]
    assert int(choose_label_ids(np.array(probs), threshold)) == label_id
