"""Tests calibration, against scikit-learn's figures and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from rnnx.metrics.calibration import (
    BIN_COUNT,
    MIN_PROBABILITY,
    expected_calibration_error,
    measure_calibration,
    measure_reliability,
)

# Multiples of 1/15 lie on an edge of a bin; multiples of 1/64 are exact in float64.
CONFIDENCES = st.one_of(
    st.floats(0, 1), st.integers(0, 15).map(lambda i: i / 15), st.integers(0, 64).map(lambda i: i / 64)
)
PREDICTIONS = st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=80)


@given(PREDICTIONS)
def test_the_bins_are_those_of_scikit_learn(predictions: list[tuple[float, bool]]) -> None:
    confidence, is_right = np.array([c for c, _ in predictions]), np.array([r for _, r in predictions])
    accuracy, mean = calibration_curve(is_right, confidence, n_bins=BIN_COUNT)
    bins = measure_reliability(confidence, is_right)
    assert [bin_.accuracy for bin_ in bins] == pytest.approx(accuracy.tolist())
    assert [bin_.confidence for bin_ in bins] == pytest.approx(mean.tolist())
    assert sum(bin_.count for bin_ in bins) == len(predictions)
    # Weight the bins by hand: each prediction counts with the distance of its bin.
    distances = [abs(bin_.accuracy - bin_.confidence) for bin_ in bins for _ in range(bin_.count)]
    assert expected_calibration_error(bins) == pytest.approx(float(np.mean(distances)))


@given(st.integers(1, 60), st.integers(2, 5), st.floats(0.1, 10), st.integers(0, 2**31))
def test_likelihood_and_brier_score_are_those_of_scikit_learn(
    count: int, labels: int, sharpness: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weights = np.exp(sharpness * rng.normal(size=(count, labels)).clip(-1.5, 1.5))  # at least e^-30: no clipping
    probs = np.maximum(weights / weights.sum(axis=1, keepdims=True), 1e-6)
    probs /= probs.sum(axis=1, keepdims=True)
    expected = rng.integers(0, labels, count)
    figures = measure_calibration(probs, expected, probs.argmax(axis=1))
    assert figures.negative_log_likelihood == pytest.approx(log_loss(expected, probs, labels=range(labels)))
    of_labels = [brier_score_loss(expected == i, probs[:, i], pos_label=True) for i in range(labels)]
    assert figures.brier_score == pytest.approx(sum(of_labels) / 2)
    if labels == 2:
        assert figures.brier_score == pytest.approx(of_labels[1])


def test_certain_and_right_answers_have_no_negative_zero() -> None:
    probs = np.eye(2)
    figures = measure_calibration(probs, np.arange(2), np.arange(2))
    assert f"{figures.negative_log_likelihood} {figures.brier_score}" == "0.0 0.0"


def test_calibration_computed_by_hand() -> None:
    """Measures 0.9 right, 0.9 wrong and 0.6 right: bins (13/15, 14/15] and (8/15, 9/15]."""
    probs = np.array([[0.1, 0.9], [0.9, 0.1], [0.4, 0.6]])
    figures = measure_calibration(probs, np.array([1, 1, 1]), np.array([1, 0, 1]))
    low, high = figures.bins
    assert (low.low, low.high, low.count) == pytest.approx((8 / 15, 9 / 15, 1))
    assert (low.confidence, low.accuracy) == pytest.approx((0.6, 1))
    assert (high.low, high.high, high.count) == pytest.approx((13 / 15, 14 / 15, 2))
    assert (high.confidence, high.accuracy) == pytest.approx((0.9, 0.5))
    assert figures.expected_calibration_error == pytest.approx((2 * 0.4 + 1 * 0.4) / 3)
    assert figures.negative_log_likelihood == pytest.approx(-(math.log(0.9) + math.log(0.1) + math.log(0.6)) / 3)
    assert figures.brier_score == pytest.approx((0.1**2 + 0.9**2 + 0.4**2) / 3)


def test_a_certain_mistake_costs_as_much_as_float32_can_resolve() -> None:
    figures = measure_calibration(np.array([[0.0, 1.0]], np.float32), np.array([0]), np.array([1]))
    assert figures.negative_log_likelihood == pytest.approx(25 * math.log(2))
    assert np.float32(1) - np.float32(MIN_PROBABILITY) == np.float32(1)
    assert np.float32(1) - np.float32(2 * MIN_PROBABILITY) < 1


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1])
def test_a_value_outside_0_to_1_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"all of them should be in 0\.\.1"):
        measure_calibration(np.array([[value, 0.5]]), np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match=r"all of them should be in 0\.\.1"):
        measure_reliability(np.array([value]), np.array([True]))


def test_an_empty_array_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        measure_calibration(np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0, np.int64))
