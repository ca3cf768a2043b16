"""How far the probabilities of a classifier can be taken at their word. Imports numpy only.

Of texts that are given a label with the probability 0.8, four in five should have it. How far this fails is the
expected calibration error: the probabilities of the labels that were given are sorted into bins of equal width, and in
each the share that is right is set against the mean probability. Two other figures weigh every probability by itself
and are lowest, in expectation, for the true ones: the negative log likelihood and the Brier score.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, equations 2 and 3, for the bins, which are open
below and closed above; Brier, Verification of Forecasts Expressed in Terms of Probability, Monthly Weather Review 1950.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

BIN_COUNT = 15  # Guo et al., table 1
# A network answers in float32. The last number before 1 is 2^-24 below it, so a probability of 1 leaves to the others
# anything up to half of that, which nothing tells from 0: that is what a 0 counts as.
LEAST_PROBABILITY = 2.0**-25


@dataclass(frozen=True)
class ReliabilityBin:
    """What was said with about the same probability.

    Attributes:
        low: The bin holds probabilities above this one,
        high: up to this one.
        count: Texts (or sequences, or words).
        confidence: The mean probability of the label that was said, in low..high.
        accuracy: The share of these labels that are right, in 0..1.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """How far probabilities can be taken at their word; the lower the figures, the better.

    Attributes:
        expected_calibration_error: The distance between confidence and accuracy, the mean over the bins by their
            counts, in 0..1.
        negative_log_likelihood: Of the true label, the mean, in nats; None where only the probability of the label
            that was said is known.
        brier_score: Half the square distance between the probabilities and those of someone who knows (1 for the true
            label, 0 for the others), the mean, in 0..1; for two labels the square error of the second one's
            probability. None likewise.
        bins: Those that hold any, in rising order.
    """

    expected_calibration_error: float
    negative_log_likelihood: float | None
    brier_score: float | None
    bins: tuple[ReliabilityBin, ...]


def measure_calibration(
    probs: npt.NDArray[np.floating], expected: npt.NDArray[np.integer], actual: npt.NDArray[np.integer]
) -> Calibration:
    """Measures probabilities.

    Args:
        probs: (count, labels) in 0..1, rows that sum to 1; at least one.
        expected: (count,) true label ids.
        actual: (count,) label ids that were said.

    Raises:
        ValueError: If a probability is not in 0..1, or there is none.
    """
    _require_probabilities(probs)
    values, rows = probs.astype(np.float64), np.arange(len(probs))
    bins = measure_reliability(values[rows, actual], expected == actual)
    likelihood = np.maximum(values[rows, expected], LEAST_PROBABILITY)
    distance = values.copy()
    distance[rows, expected] -= 1
    return Calibration(
        expected_calibration_error(bins),
        float(-np.log(likelihood).mean()),
        float((distance**2).sum(axis=1).mean() / 2),
        bins,
    )


def measure_reliability(
    confidence: npt.NDArray[np.floating], is_right: npt.NDArray[np.bool_]
) -> tuple[ReliabilityBin, ...]:
    """Sorts what was said by its probability into bins of equal width.

    Args:
        confidence: (count,) the probability of each label that was said, in 0..1; at least one.
        is_right: (count,) whether it was.

    Raises:
        ValueError: If a probability is not in 0..1, or there is none.
    """
    _require_probabilities(confidence)
    edges = np.linspace(0, 1, BIN_COUNT + 1)
    # `left`: what lies on an edge belongs to the bin below it; 0 itself to the first one.
    places = np.searchsorted(edges[1:-1], confidence, side="left")
    counts = np.bincount(places, minlength=BIN_COUNT)
    sums, right = (np.bincount(places, values, BIN_COUNT) for values in (confidence, is_right))
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
    """The distance between confidence and accuracy, the mean over the bins by their counts."""
    return sum(one.count * abs(one.accuracy - one.confidence) for one in bins) / sum(one.count for one in bins)


def _require_probabilities(values: npt.NDArray[np.floating]) -> None:
    # Written so that a NaN fails.
    if not (values.size and ((values >= 0) & (values <= 1)).all()):
        raise ValueError("there should be at least one probability, and all of them in 0..1")
