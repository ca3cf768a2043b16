"""Tests the figures of ratings against plain definitions."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

from rnnx.metrics.rating_errors import measure_ratings


def test_the_figures_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(5)
    expected = rng.integers(1, 6, (50, 1)).astype(np.float64)
    actual = expected + rng.normal(size=(50, 1))
    figures = measure_ratings(expected, actual, 3.25)
    true, given = expected[:, 0].tolist(), actual[:, 0].tolist()
    errors = [g - t for t, g in zip(true, given, strict=True)]
    assert figures.mae == pytest.approx(sum(map(abs, errors)) / 50)
    assert figures.rmse == pytest.approx(math.sqrt(sum(e * e for e in errors) / 50))
    assert figures.pearson == pytest.approx(statistics.correlation(true, given))
    spread = sum((t - statistics.mean(true)) ** 2 for t in true)
    assert figures.r2 == pytest.approx(1 - sum(e * e for e in errors) / spread)
    assert figures.baseline == 3.25
    assert figures.baseline_mae == pytest.approx(sum(abs(t - 3.25) for t in true) / 50)
    assert figures.baseline_rmse == pytest.approx(math.sqrt(sum((t - 3.25) ** 2 for t in true) / 50))


def test_equal_numbers_have_no_correlation() -> None:
    figures = measure_ratings(np.full((4, 1), 2.0), np.array([[1.0], [2.0], [3.0], [4.0]]))
    assert (figures.r2, figures.pearson, figures.baseline) == (None, None, 2.0)
