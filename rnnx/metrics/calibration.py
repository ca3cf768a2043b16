"""The calibration of a classifier: how well its probabilities agree with how often it is right. Imports numpy only.

A classifier is calibrated if, for example, four in five of the labels that it predicts with probability 0.8 are right.
The expected calibration error measures the deviation. The predictions are sorted into bins of equal width by their
probability, and in each bin the share that is right is compared with the mean probability.

Two other figures score each prediction by itself: the negative log likelihood and the Brier score. Both are proper
scoring rules: their expectation is lowest for the true probabilities.

Source: C. Guo et al., "On calibration of modern neural networks", ICML 2017, equations 2 and 3, for the bins (open
below, closed above); G. Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review,
1950.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BIN_COUNT = 15  # Guo et al., table 1
# A network computes in float32, where the largest number below 1 is 1 - 2^-24. So a probability that reads 1 may leave
# up to 2^-25 to the other labels, and theirs may read 0. A 0 counts as that much, which keeps the likelihood finite.
MIN_PROBABILITY = 2.0**-25


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions whose probability lies in one interval.

    Attributes:
        low: The lower end of the interval, which does not belong to it. The first bin includes 0.
        high: The upper end of the interval, which belongs to it.
        count: Number of predictions (texts, sequences or words).
        confidence: The mean probability of the predicted labels, in low..high.
        accuracy: The share of the predicted labels that are right, in 0..1.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """The calibration figures of a classifier; lower is better.

    Attributes:
        expected_calibration_error: The mean distance between confidence and accuracy, weighted by the counts of the
            bins, in 0..1.
        negative_log_likelihood: The mean negative log likelihood of the true label, in nats. None if only the
            probability of the predicted label is known.
        brier_score: The mean of half the squared distance between the probabilities and the true distribution (1 for
            the true label, 0 for the others), in 0..1. For two labels, this is the squared error of the second label's
            probability. None if only the probability of the predicted label is known.
        bins: The bins that are not empty, in ascending order.
    """

    expected_calibration_error: float
    negative_log_likelihood: float | None
    brier_score: float | None
    bins: tuple[ReliabilityBin, ...]


def measure_calibration(
    probs: npt.NDArray[np.floating], expected: npt.NDArray[np.integer], actual: npt.NDArray[np.integer]
) -> Calibration:
    """Measures the calibration of a classifier.

    Args:
        probs: `(count, labels)` in 0..1; each row sums to 1; at least one row.
        expected: `(count,)`, the true label ids.
        actual: `(count,)`, the predicted label ids.

    Returns:
        All figures; none of them is None.

    Raises:
        ValueError: If a probability is not in 0..1 or is NaN, or if `probs` is empty.
    """
    _require_probabilities(probs)
    values, rows = probs.astype(np.float64), np.arange(len(probs))
    bins = measure_reliability(values[rows, actual], expected == actual)
    likelihood = np.maximum(values[rows, expected], MIN_PROBABILITY)
    distance = values.copy()
    distance[rows, expected] -= 1
    return Calibration(
        expected_calibration_error(bins),
        0.0 - float(np.log(likelihood).mean()),  # not -0.0, if all are 1
        float((distance**2).sum(axis=1).mean() / 2),
        bins,
    )


def measure_reliability(
    confidence: npt.NDArray[np.floating], is_right: npt.NDArray[np.bool_]
) -> tuple[ReliabilityBin, ...]:
    """Sorts predictions by their probability into bins of equal width.

    Args:
        confidence: `(count,)`, the probability of each predicted label, in 0..1; at least one.
        is_right: bool `(count,)`, whether the predicted label is the true one.

    Returns:
        The bins that are not empty, in ascending order.

    Raises:
        ValueError: If a probability is not in 0..1 or is NaN, or if `confidence` is empty.
    """
    _require_probabilities(confidence)
    edges = np.linspace(0, 1, BIN_COUNT + 1)
    # `left`: a probability on an edge belongs to the bin below it, and 0 belongs to the first bin.
    bin_indices = np.searchsorted(edges[1:-1], confidence, side="left")
    counts = np.bincount(bin_indices, minlength=BIN_COUNT)
    sums, right = (np.bincount(bin_indices, values, BIN_COUNT) for values in (confidence, is_right))
    return tuple(
        ReliabilityBin(
            float(edges[i]),
            float(edges[i + 1]),
            int(counts[i]),
            float(sums[i] / counts[i]),
            float(right[i] / counts[i]),
        )
        for i in np.flatnonzero(counts)
    )


def expected_calibration_error(bins: tuple[ReliabilityBin, ...]) -> float:
    """Returns the mean distance between confidence and accuracy, weighted by the counts of the bins, in 0..1."""
    total = sum(bin_.count for bin_ in bins)
    return sum(bin_.count * abs(bin_.accuracy - bin_.confidence) for bin_ in bins) / total


def _require_probabilities(values: npt.NDArray[np.floating]) -> None:
    # Comparisons with NaN are False, so NaN fails here.
    if not (values.size and ((values >= 0) & (values <= 1)).all()):
        raise ValueError("there should be at least one probability, and all of them should be in 0..1")
