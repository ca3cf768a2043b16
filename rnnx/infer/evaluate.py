"""How good a bundle is on labelled texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.datasets import Examples
from rnnx.errors import DataError
from rnnx.infer.predictor import Predictor


@dataclass(frozen=True)
class LabelMetrics:
    """One label's figures; precision, recall and F1 in 0..1, 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """A bundle's figures on one data set.

    Attributes:
        accuracy: The share of texts whose label is right.
        labels: By name.
        confusion: Row: the true label; column: the predicted one; both in the order of the model's labels.
        count: Texts.
    """

    accuracy: float
    labels: dict[str, LabelMetrics]
    confusion: tuple[tuple[int, ...], ...]
    count: int


def evaluate(
    predictor: Predictor,
    examples: Examples,
    labels: Sequence[str],
    *,
    on_text: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Predicts every example and compares.

    Args:
        predictor: A bundle.
        examples: Labelled texts.
        labels: What their label ids mean.
        on_text: Told how many texts are done.

    Raises:
        DataError: If the data set has a label that the model does not know.
    """
    if strange := sorted(set(labels) - set(predictor.labels)):
        known = ", ".join(predictor.labels)
        raise DataError(f"the data set has the labels {', '.join(strange)}, the model knows {known}")
    to_model = np.array([predictor.labels.index(label) for label in labels])
    actual = np.empty(len(examples), np.int64)
    for i, prediction in enumerate(predictor.predict_stream(examples.texts)):
        actual[i] = prediction.label_id
        on_text(i + 1)
    return measure(to_model[examples.label_ids], actual, predictor.labels)


def measure(expected: npt.NDArray[np.integer], actual: npt.NDArray[np.integer], labels: Sequence[str]) -> Evaluation:
    """Counts.

    Args:
        expected: (count,) true label ids.
        actual: (count,) predicted label ids.
        labels: The names of the ids.
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
    return Evaluation(
        float(right.sum() / max(count, 1)), metrics, tuple(tuple(map(int, row)) for row in confusion), count
    )
