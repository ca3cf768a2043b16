"""Tests the figures of labels and values against scikit-learn's, and accuracy by length by hand."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from rnnx.metrics.calibration import Calibration
from rnnx.metrics.figures import LENGTH_COUNT, LengthMetrics, measure, measure_lengths, measure_values

LABELS = ("a", "b", "c")
UNMEASURED = Calibration(0.0, None, None, ())
IDS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


@given(IDS)
def test_figures_of_labels_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    expected, actual = np.array(pairs).T
    figures = measure(expected, actual, LABELS, UNMEASURED)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        expected, actual, labels=range(3), zero_division=0
    )
    assert figures.accuracy == pytest.approx(metrics.accuracy_score(expected, actual))
    for i, label in enumerate(LABELS):
        ours = figures.labels[label]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx((precision[i], recall[i], f1[i]))
        assert ours.support == support[i]
    assert figures.macro_f1 == pytest.approx(metrics.f1_score(expected, actual, average="macro", zero_division=0))
    assert np.array_equal(metrics.confusion_matrix(expected, actual, labels=range(3)), figures.confusion)


@given(st.integers(2, 40), st.integers(1, 3), st.integers(0, 2**31))
def test_figures_of_values_are_those_of_scikit_learn(count: int, outputs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    expected = rng.normal(3, 2, (count, outputs))
    actual = expected + rng.normal(0, 1, (count, outputs))
    figures = measure_values(expected, actual)
    assert figures.count == count
    assert figures.mae == pytest.approx(metrics.mean_absolute_error(expected, actual))
    assert figures.rmse == pytest.approx(metrics.root_mean_squared_error(expected, actual))
    assert figures.r2 == pytest.approx(metrics.r2_score(expected, actual))
    each = metrics.r2_score(expected, actual, multioutput="raw_values")
    assert [output.r2 for output in figures.outputs] == pytest.approx(each.tolist())


def test_values_that_do_not_vary_have_no_share_of_variance() -> None:
    figures = measure_values(np.full((3, 1), 0.1), np.full((3, 1), 0.2))
    assert figures.r2 is None
    assert figures.mae == pytest.approx(0.1)


def test_accuracy_by_length_computed_by_hand() -> None:
    tokens = np.array([1, 2, 3, 4, 5, 6, 7, 8, 20, 10])
    is_right = np.array([1, 0, 1, 1, 1, 1, 0, 0, 0, 1], np.bool_)
    expected = (
        LengthMetrics(1, 2, False, 2, 0.5),
        LengthMetrics(3, 4, False, 2, 1.0),
        LengthMetrics(5, 6, False, 2, 1.0),
        LengthMetrics(7, 8, False, 2, 0.0),
        LengthMetrics(10, 20, False, 2, 0.5),
    )
    assert measure_lengths(tokens, tokens > 100, is_right) == expected
    cut = (*expected[:4], LengthMetrics(10, 10, False, 1, 1.0), LengthMetrics(20, 20, True, 1, 0.0))
    assert measure_lengths(tokens, tokens > 15, is_right) == cut
    assert measure_lengths(tokens, tokens > 0, is_right) == (LengthMetrics(1, 20, True, 10, 0.6),)


def test_equal_lengths_are_one_row() -> None:
    tokens = np.full(7, 16)
    assert measure_lengths(tokens, tokens > 16, tokens > 0) == (LengthMetrics(16, 16, False, 7, 1.0),)


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), min_size=1, max_size=80), st.integers(0, 50))
def test_every_text_is_in_the_row_of_its_length(texts: list[tuple[int, bool]], longest: int) -> None:
    tokens, is_right = np.array([t for t, _ in texts]), np.array([r for _, r in texts])
    rows = measure_lengths(tokens, tokens > longest, is_right)
    assert sum(row.count for row in rows) == len(texts)
    assert sum(row.count * row.accuracy for row in rows) == pytest.approx(is_right.sum())
    assert all(a.longest < b.shortest for a, b in pairwise(rows))
    assert [row.is_cut for row in rows] == sorted(row.is_cut for row in rows)
    assert len(rows) <= LENGTH_COUNT + 1
    for row in rows:
        chosen = (tokens >= row.shortest) & (tokens <= row.longest)
        assert row.count == chosen.sum()
        assert row.accuracy == pytest.approx(is_right[chosen].mean())
        assert (tokens[chosen] > longest).all() == row.is_cut
    # Without truncation, a row holds at most a fifth of the texts, rounded up, and further texts of its largest length.
    for row in measure_lengths(tokens, tokens < 0, is_right):
        assert row.count - (tokens == row.longest).sum() < np.ceil(len(texts) / LENGTH_COUNT)
