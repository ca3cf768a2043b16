"""Figures from what was expected and what came: for labels, for tags of words, for values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.metrics.calibration import Calibration

# Rows of accuracy by length: as many texts in each, as far as lengths allow.
LENGTH_COUNT = 5


@dataclass(frozen=True)
class LabelMetrics:
    """One label's figures; precision, recall and F1 in 0..1, 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class LengthMetrics:
    """How good a bundle is on texts (or sequences) of about the same length.

    Attributes:
        shortest: Of them, in tokens (or steps), before any cut.
        longest: Likewise.
        is_cut: Whether they are the ones that are longer than the model reads.
        count: How many.
        accuracy: The share whose label is right.
    """

    shortest: int
    longest: int
    is_cut: bool
    count: int
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """A bundle's figures on one data set.

    Attributes:
        accuracy: The share of texts (or sequences) whose label is right.
        labels: By name.
        confusion: Row: the true label; column: the predicted one; both in the order of the model's labels.
        count: Texts, or sequences.
        calibration: How far the probabilities can be taken at their word.
        by_length: The shortest first, those that are cut last; none for the words of a tagger.
    """

    accuracy: float
    labels: dict[str, LabelMetrics]
    confusion: tuple[tuple[int, ...], ...]
    count: int
    calibration: Calibration
    by_length: tuple[LengthMetrics, ...]


@dataclass(frozen=True)
class TagEvaluation(Evaluation):
    """A tagger's figures on one treebank; texts are words here.

    Attributes:
        sentence_count: Sentences.
        unknown_count: Words that the vocabulary does not hold.
        unknown_accuracy: The share of these whose tag is right; None if there are none.
    """

    sentence_count: int
    unknown_count: int
    unknown_accuracy: float | None


@dataclass(frozen=True)
class ValueMetrics:
    """How far off one output is.

    Attributes:
        mae: The mean absolute error.
        rmse: The root of the mean square error.
        r2: The share of the variance that is explained, at most 1; None where the expected values do not vary.
    """

    mae: float
    rmse: float
    r2: float | None


@dataclass(frozen=True)
class ValueEvaluation:
    """A bundle's figures on one data set of values.

    Attributes:
        mae: The mean over the outputs, as the others.
        rmse: Likewise.
        r2: Likewise; None if it is for one of them.
        outputs: One by one.
        count: Sequences.
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
    """Counts.

    Args:
        expected: (count,) true label ids.
        actual: (count,) predicted label ids.
        labels: The names of the ids.
        calibration: Measured on the same.
        by_length: Likewise.
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


def measure_lengths(
    tokens: npt.NDArray[np.integer], is_cut: npt.NDArray[np.bool_], is_right: npt.NDArray[np.bool_]
) -> tuple[LengthMetrics, ...]:
    """Counts what is right among texts of about the same length.

    The rows end at the quintiles of all lengths, whatever a model reads of them: two models that are measured on the
    same texts have the same rows, but for the texts that one of them cuts, which stand in a row of their own.

    Args:
        tokens: (count,) lengths before any cut; at least one.
        is_cut: (count,) whether a text is longer than the model reads.
        is_right: (count,) whether its label is right.
    """
    # `inverted_cdf`: a length that is there, not one between two of them.
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
    """Measures.

    Args:
        expected: (count, outputs).
        actual: The same shape.
    """
    error = actual - expected
    mae, square = np.abs(error).mean(axis=0), (error**2).mean(axis=0)
    variance = expected.var(axis=0)
    metrics = tuple(
        ValueMetrics(float(mae[i]), float(np.sqrt(square[i])), float(1 - square[i] / variance[i]) if varies else None)
        for i, varies in enumerate((expected != expected[:1]).any(axis=0))
    )
    shares = [one.r2 for one in metrics if one.r2 is not None]
    return ValueEvaluation(
        float(mae.mean()),
        float(np.sqrt(square).mean()),
        float(np.mean(shares)) if len(shares) == len(metrics) else None,
        metrics,
        len(expected),
    )
