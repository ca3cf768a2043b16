"""Figures of models that give a text several labels, and the thresholds from which they give them. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.metrics.figures import LabelMetrics

# A threshold of its own is fitted for a label with at least so many texts. With fewer, the threshold that is best for
# them is mostly chance, and the common one is better (Y. Yang, A Study on Thresholding Strategies for Text
# Categorization, SIGIR 2001: thresholds of their own overfit rare categories).
LEAST_TEXTS = 20
_DIGITS = 4


@dataclass(frozen=True)
class LabelSetEvaluation:
    """The figures of a model that gives several labels, on one data set.

    Attributes:
        micro_f1: F1 over all pairs of a text and a label together, in 0..1: frequent labels count more.
        macro_f1: The mean of the labels' F1, in 0..1: every label counts the same.
        micro_precision: The share of the given labels that are right, in 0..1.
        micro_recall: The share of the true labels that are given, in 0..1.
        exact: The share of texts whose labels are all right, and no other is given, in 0..1.
        labels: The figures of each label, by name.
        without_label_count: Number of texts that have no label.
        count: Number of texts.
    """

    micro_f1: float
    macro_f1: float
    micro_precision: float
    micro_recall: float
    exact: float
    labels: dict[str, LabelMetrics]
    without_label_count: int
    count: int


def measure_label_sets(
    expected: npt.NDArray[np.bool_], actual: npt.NDArray[np.bool_], labels: Sequence[str]
) -> LabelSetEvaluation:
    """Computes precision, recall and F1 of each label and of all together.

    Args:
        expected: `(count, labels)`, whether a text has a label.
        actual: `(count, labels)`, whether a text is given a label.
        labels: The name of each label.
    """
    right, true, given = (expected & actual).sum(axis=0), expected.sum(axis=0), actual.sum(axis=0)
    precision, recall, f1 = _shares(right, true, given)
    all_precision, all_recall, all_f1 = _shares(right.sum(), true.sum(), given.sum())
    return LabelSetEvaluation(
        float(all_f1),
        float(f1.mean()),
        float(all_precision),
        float(all_recall),
        float((expected == actual).all(axis=1).mean()),
        {
            label: LabelMetrics(float(precision[i]), float(recall[i]), float(f1[i]), int(true[i]))
            for i, label in enumerate(labels)
        },
        int((~expected.any(axis=1)).sum()),
        len(expected),
    )


def fit_thresholds(
    probs: npt.NDArray[np.floating], has_label: npt.NDArray[np.bool_], least_texts: int = LEAST_TEXTS
) -> tuple[float, ...]:
    """Fits the probabilities from which labels are given, for the highest F1 on held-out texts.

    Each label has a threshold of its own if enough held-out texts have it. The others share the threshold with the
    highest micro F1 over all labels.

    Args:
        probs: `(count, labels)`, in 0..1.
        has_label: `(count, labels)`, whether a text has a label.
        least_texts: How many texts a label needs for a threshold of its own.

    Returns:
        A threshold for each label, above 0 and below 1.
    """
    common = best_threshold(probs.ravel(), has_label.ravel())
    return tuple(
        best_threshold(probs[:, i], has_label[:, i]) if has_label[:, i].sum() >= least_texts else common
        for i in range(has_label.shape[1])
    )


def best_threshold(probs: npt.NDArray[np.floating], is_true: npt.NDArray[np.bool_]) -> float:
    """Finds the threshold with the highest F1; it is between two probabilities, far from both.

    Args:
        probs: `(count,)`, in 0..1.
        is_true: `(count,)`.

    Returns:
        The threshold, above 0 and below 1; 0.5 if nothing is true.
    """
    if not is_true.any():
        return 0.5
    order = np.argsort(-probs, kind="stable")
    ranked, right = probs[order].astype(np.float64), np.cumsum(is_true[order])
    f1 = 2 * right / (np.arange(1, len(order) + 1) + right[-1])
    following = np.append(ranked[1:], 0.0)
    f1[ranked == following] = -1.0  # equal probabilities are on the same side of every threshold
    best = int(f1.argmax())
    return _between(float(following[best]), float(ranked[best]))


def _between(low: float, high: float) -> float:
    """The middle of two probabilities, with few digits if that is enough; above 0 and below 1."""
    middle = (low + high) / 2
    rounded = round(middle, _DIGITS)
    chosen = rounded if low < rounded < high else middle
    return min(max(chosen, float(np.finfo(np.float32).tiny)), 1 - float(np.finfo(np.float32).epsneg))


def _shares(
    right: npt.NDArray[np.integer], true: npt.NDArray[np.integer], given: npt.NDArray[np.integer]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision, recall and F1 of counts; 0 where there is nothing to divide by."""
    return right / np.maximum(given, 1), right / np.maximum(true, 1), 2 * right / np.maximum(true + given, 1)
