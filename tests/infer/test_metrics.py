from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from rnnx.infer.metrics import measure, measure_values

LABELS = ("a", "b", "c")
IDS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


@given(IDS)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    expected, actual = np.array(pairs).T
    figures = measure(expected, actual, LABELS)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        expected, actual, labels=range(3), zero_division=0
    )
    assert figures.accuracy == pytest.approx(metrics.accuracy_score(expected, actual))
    for i, label in enumerate(LABELS):
        ours = figures.labels[label]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx((precision[i], recall[i], f1[i]))
        assert ours.support == support[i]
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
    assert [one.r2 for one in figures.outputs] == pytest.approx(each.tolist())


def test_values_that_do_not_vary_have_no_share_of_variance() -> None:
    figures = measure_values(np.full((3, 1), 0.1), np.full((3, 1), 0.2))
    assert figures.r2 is None
    assert figures.mae == pytest.approx(0.1)
