"""Figures of models that give a text a number, next to the baseline that always gives the mean. NumPy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.metrics.figures import ValueEvaluation, measure_values


@dataclass(frozen=True)
class RatingEvaluation(ValueEvaluation):
    """The figures of a model with one number for each text, on one data set.

    Attributes:
        pearson: The correlation of the predicted and the true numbers, in -1..1; None if either are all equal.
        baseline: The number that the baseline gives to each text: a mean.
        baseline_mae: The mean absolute error of the baseline.
        baseline_rmse: The root of the mean squared error of the baseline.
    """

    pearson: float | None
    baseline: float
    baseline_mae: float
    baseline_rmse: float


def measure_ratings(
    expected: npt.NDArray[np.float64], actual: npt.NDArray[np.float64], baseline: float | None = None
) -> RatingEvaluation:
    """Computes the errors of predicted numbers.

    Args:
        expected: `(count, 1)`; at least one row.
        actual: `(count, 1)`, the predicted numbers.
        baseline: The mean of the training texts, if it is known; else the mean of `expected` is taken.
    """
    mean = float(expected.mean()) if baseline is None else baseline
    off = expected - mean
    varies = all(bool((numbers != numbers[:1]).any()) for numbers in (expected, actual))
    return RatingEvaluation(
        **vars(measure_values(expected, actual)),
        pearson=float(np.corrcoef(expected[:, 0], actual[:, 0])[0, 1]) if varies else None,
        baseline=mean,
        baseline_mae=float(np.abs(off).mean()),
        baseline_rmse=float(np.sqrt((off**2).mean())),
    )
