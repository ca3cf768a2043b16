"""Figures that compare predictions with the expected results: for labels, tags of words, and values.

Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.metrics.calibration import Calibration

# Rows in the table of accuracy by length. The rows hold equally many texts, as far as equal lengths allow.
LENGTH_COUNT = 5


@dataclass(frozen=True)
class LabelMetrics:
    """The figures of one label.

    Attributes:
        precision: The share of its predictions that are right, in 0..1; 0 if it was never predicted.
        recall: The share of its occurrences that are predicted, in 0..1; 0 if it never occurs.
        f1: The harmonic mean of precision and recall, in 0..1; 0 if there is neither a prediction nor an occurrence.
        support: Number of its occurrences in the data.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class LengthMetrics:
    """The accuracy on texts (or sequences) of about the same length.

    Attributes:
        shortest: The smallest length, in tokens (or steps), before truncation.
        longest: The largest length, in tokens (or steps), before truncation.
        is_cut: Whether this row holds the texts that are longer than the model reads, and were truncated.
        count: Number of texts.
        accuracy: The share of them whose label is right, in 0..1.
    """

    shortest: int
    longest: int
    is_cut: bool
    count: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """The figures of a classifier on one data set.

    Attributes:
        accuracy: The share of texts (or sequences) whose label is right, in 0..1.
        labels: The figures of each label, by name.
        confusion: The counts: rows are true labels, columns predicted labels, both in the order of the model's labels.
        count: Number of texts, or sequences.
        calibration: How well the probabilities agree with the accuracy.
        by_length: The accuracy by length, the shortest texts first, truncated texts last; empty for a tagger.
    """

    accuracy: float
    labels: dict[str, LabelMetrics]
    confusion: tuple[tuple[int, ...], ...]
    count: int
    calibration: Calibration
    by_length: tuple[LengthMetrics, ...]

    @property
    def macro_f1(self) -> float:
        """The mean F1 of the labels, in 0..1; see `measure_macro_f1`."""
        return measure_macro_f1(np.array(self.confusion, np.int64))


@dataclass(frozen=True)
class TagEvaluation(Evaluation):
    """The figures of a tagger on one treebank; `accuracy` and `count` refer to words.

    Attributes:
        sentence_count: Number of sentences.
        unknown_count: Number of words that are not in the vocabulary.
        unknown_accuracy: The share of unknown words whose tag is right, in 0..1; None if there are none.
    """

    sentence_count: int
    unknown_count: int
    unknown_accuracy: float | None


@dataclass(frozen=True)
class ValueMetrics:
    """The errors of one output, in the unit of the output.

    Attributes:
        mae: The mean absolute error.
        rmse: The root of the mean squared error.
        r2: The coefficient of determination, the share of the variance that is explained: at most 1, without a unit.
            None if all expected values are equal.
    """

    mae: float
    rmse: float
    r2: float | None


@dataclass(frozen=True)
class ValueEvaluation:
    """The figures of a model with numeric outputs on one data set.

    Attributes:
        mae: The mean of the outputs' mean absolute errors.
        rmse: The mean of the outputs' root mean squared errors.
        r2: The mean of the outputs' coefficients of determination; None if one of them is None.
        outputs: The figures of each output, in order.
        count: Number of sequences.
    """

    mae: float
    rmse: float
    r2: float | None
    outputs: tuple[ValueMetrics, ...]
    count: int


def measure(
    expected: npt.NDArray[np.integer],
    actual: npt.NDArray[np.integer],
    labels: Sequence[str],
    calibration: Calibration,
    by_length: tuple[LengthMetrics, ...] = (),
) -> Evaluation:
    """Computes accuracy, precision, recall, F1 and the confusion matrix.

    Args:
        expected: `(count,)`, the true label ids.
        actual: `(count,)`, the predicted label ids.
        labels: The label of each id.
        calibration: The calibration on the same data.
        by_length: The accuracy by length on the same data.

    Returns:
        All figures together.
    """
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (expected, actual), 1)
    right, true, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(true + predicted, 1)
    metrics = {
        label: LabelMetrics(float(precision[i]), float(recall[i]), float(f1[i]), int(true[i]))
        for i, label in enumerate(labels)
    }
    count = len(expected)
    rows = tuple(tuple(map(int, row)) for row in confusion)
    return Evaluation(float(right.sum() / max(count, 1)), metrics, rows, count, calibration, by_length)


def measure_macro_f1(confusion: npt.NDArray[np.int64]) -> float:
    """Computes the mean of the labels' F1, in which a rare label counts as much as a frequent one.

    Args:
        confusion: `(labels, labels)`, the counts: rows are true labels, columns predicted labels.

    Returns:
        The mean over the labels that occur or are predicted, as scikit-learn computes it; 0 if there are none.
    """
    right, total = confusion.diagonal(), confusion.sum(axis=1) + confusion.sum(axis=0)
    present = total > 0
    return float((2 * right[present] / total[present]).mean()) if present.any() else 0.0


def measure_lengths(
    tokens: npt.NDArray[np.integer], is_cut: npt.NDArray[np.bool_], is_right: npt.NDArray[np.bool_]
) -> tuple[LengthMetrics, ...]:
    """Computes the accuracy by length.

    The rows end at the quintiles of all lengths before truncation. So two models that are measured on the same texts
    have the same rows, except for the texts that a model truncates: these have a row of their own.

    Args:
        tokens: `(count,)`, the lengths before truncation; at least one.
        is_cut: bool `(count,)`, whether a text is longer than the model reads.
        is_right: bool `(count,)`, whether its label is right.

    Returns:
        At most `LENGTH_COUNT` rows, the shortest texts first, and then a row of truncated texts if there are any.
    """
    # `inverted_cdf` returns a length that occurs, not one between two of them.
    ends = np.unique(np.quantile(tokens, np.arange(1, LENGTH_COUNT) / LENGTH_COUNT, method="inverted_cdf"))
    rows = np.where(is_cut, len(ends) + 1, np.searchsorted(ends, tokens, side="left"))
    return tuple(
        LengthMetrics(
            int(tokens[chosen].min()),
            int(tokens[chosen].max()),
            bool(is_cut[chosen][0]),
            int(chosen.sum()),
            float(is_right[chosen].mean()),
        )
        for row in np.unique(rows)
        for chosen in [rows == row]
    )


def measure_values(expected: npt.NDArray[np.float64], actual: npt.NDArray[np.float64]) -> ValueEvaluation:
    """Computes the errors of numeric outputs.

    Args:
        expected: `(count, outputs)`; at least one row.
        actual: The predicted values, of the same shape.

    Returns:
        The errors of each output, and their means.
    """
    error = actual - expected
    mae, square = np.abs(error).mean(axis=0), (error**2).mean(axis=0)
    variance = expected.var(axis=0)
    metrics = tuple(
        ValueMetrics(float(mae[i]), float(np.sqrt(square[i])), float(1 - square[i] / variance[i]) if varies else None)
        for i, varies in enumerate((expected != expected[:1]).any(axis=0))
    )
    shares = [output.r2 for output in metrics if output.r2 is not None]
    return ValueEvaluation(
        float(mae.mean()),
        float(np.sqrt(square).mean()),
        float(np.mean(shares)) if len(shares) == len(metrics) else None,
        metrics,
        len(expected),
    )
