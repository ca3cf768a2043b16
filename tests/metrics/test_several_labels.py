"""Tests the figures and the thresholds of several labels against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.metrics.several_labels import best_threshold, fit_thresholds, measure_label_sets


def plain_f1(true: list[bool], given: list[bool]) -> float:
    """F1 by its definition: the harmonic mean of precision and recall, 0 if there is neither."""
    right = sum(t and g for t, g in zip(true, given, strict=True))
    precision = right / sum(given) if sum(given) else 0.0
    recall = right / sum(true) if sum(true) else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def test_the_figures_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(1)
    expected, actual = rng.random((60, 4)) < 0.3, rng.random((60, 4)) < 0.3
    expected[:, 3] = actual[:, 3] = False  # a label that never occurs
    figures = measure_label_sets(expected, actual, ("a", "b", "c", "d"))
    f1s = [plain_f1(list(expected[:, i]), list(actual[:, i])) for i in range(4)]
    assert [m.f1 for m in figures.labels.values()] == pytest.approx(f1s)
    assert figures.macro_f1 == pytest.approx(sum(f1s) / 4)
    assert figures.micro_f1 == pytest.approx(plain_f1(list(expected.ravel()), list(actual.ravel())))
    right = int((expected & actual).sum())
    assert figures.micro_precision == pytest.approx(right / actual.sum())
    assert figures.micro_recall == pytest.approx(right / expected.sum())
    assert figures.exact == pytest.approx(np.mean([list(e) == list(a) for e, a in zip(expected, actual, strict=True)]))
    assert figures.without_label_count == sum(not any(row) for row in expected)
    assert [m.support for m in figures.labels.values()] == expected.sum(axis=0).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    is_true = rng.random(40) < 0.3
    probs = np.round(np.clip(rng.random(40) * 0.6 + 0.3 * is_true, 0, 1), 1 if seed % 2 else 6)  # with ties
    chosen = best_threshold(probs, is_true)
    assert 0 < chosen < 1
    best = max(plain_f1(list(is_true), list(probs >= t)) for t in [*probs, 0.0, 1.0])
    assert plain_f1(list(is_true), list(probs >= chosen)) == pytest.approx(best)
    assert not (probs == chosen).any(), "no probability is at the threshold itself"


def test_a_threshold_is_short_and_between_two_probabilities() -> None:
    assert best_threshold(np.array([0.9, 0.7, 0.31, 0.2]), np.array([True, True, False, False])) == 0.505
    near = np.array([0.50000001, 0.50000000])
    assert near[1] < best_threshold(near, np.array([True, False])) < near[0]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_thresholds_are_never_0_or_1(value: float) -> None:
    assert 0 < best_threshold(np.full(3, value), np.array([True, True, True])) < 1
    assert best_threshold(np.full(3, value), np.zeros(3, np.bool_)) == 0.5


def test_labels_with_few_texts_share_the_common_threshold() -> None:
    rng = np.random.default_rng(3)
    has_label = rng.random((200, 3)) < (0.4, 0.3, 0.02)
    probs = np.clip(0.3 * rng.random((200, 3)) + has_label * (0.5, 0.2, 0.1), 0, 1)
    thresholds = fit_thresholds(probs, has_label, least_texts=20)
    assert has_label[:, 2].sum() < 20
    assert thresholds[:2] == tuple(best_threshold(probs[:, i], has_label[:, i]) for i in (0, 1))
    assert thresholds[2] == best_threshold(probs.ravel(), has_label.ravel())
