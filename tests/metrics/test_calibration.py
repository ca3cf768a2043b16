"""Calibration, against scikit-learn's figures and by hand."""

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
    LEAST_PROBABILITY,
    expected_calibration_error,
    measure_calibration,
    measure_reliability,
)

# Multiples of 1/15 and of 1/64 among them: values that lie on an edge.
CONFIDENCES = st.one_of(
    st.floats(0, 1), st.integers(0, 15).map(lambda i: i / 15), st.integers(0, 64).map(lambda i: i / 64)
)
SAID = st.lists(st.tuples(CONFIDENCES, st.booleans()), min_size=1, max_size=80)


@given(SAID)
def test_reliability_is_that_of_scikit_learn(said: list[tuple[float, bool]]) -> None:
    confidence, is_right = np.array([c for c, _ in said]), np.array([r for _, r in said])
    accuracy, mean = calibration_curve(is_right, confidence, n_bins=BIN_COUNT)
    bins = measure_reliability(confidence, is_right)
    assert [one.accuracy for one in bins] == pytest.approx(accuracy.tolist())
    assert [one.confidence for one in bins] == pytest.approx(mean.tolist())
    assert sum(one.count for one in bins) == len(said)
    # The bins weighted by hand: each text by the distance of its own bin.
    distances = [abs(one.accuracy - one.confidence) for one in bins for _ in range(one.count)]
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


def test_a_case_by_hand() -> None:
    """0.9 right, 0.9 wrong, 0.6 right: bins (13/15, 14/15] and (8/15, 9/15]."""
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


def test_a_certain_mistake_costs_what_float32_can_tell() -> None:
    figures = measure_calibration(np.array([[0.0, 1.0]], np.float32), np.array([0]), np.array([1]))
    assert figures.negative_log_likelihood == pytest.approx(25 * math.log(2))
    assert np.float32(1) - np.float32(LEAST_PROBABILITY) == np.float32(1)
    assert np.float32(1) - np.float32(2 * LEAST_PROBABILITY) < 1


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.1])
def test_what_is_no_probability_fails(value: float) -> None:
    with pytest.raises(ValueError, match=r"all of them in 0\.\.1"):
        measure_calibration(np.array([[value, 0.5]]), np.array([0]), np.array([1]))
    with pytest.raises(ValueError, match=r"all of them in 0\.\.1"):
        measure_reliability(np.array([value]), np.array([True]))


def test_nothing_has_no_calibration() -> None:
    with pytest.raises(ValueError, match="at least one"):
        measure_calibration(np.zeros((0, 2)), np.zeros(0, np.int64), np.zeros(0, np.int64))
