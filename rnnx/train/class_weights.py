"""Gives every label the same weight in a training, however few examples it has. Needs NumPy and the batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rnnx.errors import UsageError
from rnnx.train.batches import BatchSource, SeriesSource, SoftTextSource, TextSource, WeightedSource


def balance(source: BatchSource) -> WeightedSource:
    """Weighs the examples of a source by their labels; the mean of the weights is 1.

    Args:
        source: Examples with a label each. If they have a probability for each label, their weight is the mean of the
            labels' weights.

    Raises:
        UsageError: If the examples have no label each.
    """
    probs: npt.NDArray[np.floating]
    match source:
        case TextSource():
            probs = _one_hot(source.label_ids)
        case SeriesSource() if source.targets.dtype == np.int32:
            probs = _one_hot(source.targets[:, 0].astype(np.int32))
        case SoftTextSource():
            probs = source.probs if source.probs.shape[1] > 1 else np.hstack([1 - source.probs, source.probs])
        case _:
            raise UsageError("--class-weights is for examples with a label each; leave it out here")
    return WeightedSource(source, (probs @ label_weights(probs.sum(axis=0))).astype(np.float32))


def label_weights(counts: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Computes the weight of each label, `(labels,)`: inverse to its count, and on average 1 over the examples.

    Args:
        counts: `(labels,)`, how many examples each label has; 0 gets the weight 0.
    """
    counts = np.asarray(counts, np.float64)
    present = counts > 0
    return np.where(present, counts.sum() / (present.sum() * np.where(present, counts, 1)), 0)


def _one_hot(label_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    return np.eye(int(label_ids.max()) + 1)[label_ids]
