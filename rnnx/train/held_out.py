"""Measures a trained network on what was held out, and compares it with always giving the most frequent label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.metrics.figures import measure_macro_f1

if TYPE_CHECKING:
    import keras

    from rnnx.train.batches import BatchSource


@dataclass(frozen=True)
class HeldOut:
    """The figures of a classifier or a tagger on the held-out part.

    Attributes:
        accuracy: The share of right labels, in 0..1.
        macro_f1: The mean F1 of the labels, in 0..1.
        majority: The share of the most frequent label, in 0..1.
        majority_id: That label's id.
    """

    accuracy: float
    macro_f1: float
    majority: float
    majority_id: int

    @property
    def is_no_better(self) -> bool:
        """Whether the network is right no more often than the most frequent label."""
        return self.accuracy <= self.majority

    def figures(self) -> dict[str, float]:
        """The figures by name, as `metrics.json` holds them with those of the best epoch."""
        return {"validation_macro_f1": self.macro_f1, "validation_majority": self.majority}

    @classmethod
    def of(cls, expected: npt.NDArray[np.integer], actual: npt.NDArray[np.integer]) -> HeldOut:
        """Compares label ids `(count,)` with predicted ones; at least one."""
        counts = np.bincount(expected)
        confusion = np.zeros((max(expected.max(), actual.max()) + 1,) * 2, np.int64)
        np.add.at(confusion, (expected, actual), 1)
        return cls(
            float((expected == actual).mean()),
            measure_macro_f1(confusion),
            float(counts.max() / len(expected)),
            int(counts.argmax()),
        )


def measure_held_out(model: keras.Model, source: BatchSource, batch_size: int) -> HeldOut:
    """Runs a network on the held-out part, the shortest examples first.

    Args:
        model: A network whose last axis holds the probabilities of the labels, or that of the second one of two.
        source: Examples with a label each, or words with a tag and a weight each.
        batch_size: The number of examples that run together.
    """
    order = np.argsort(source.lengths, kind="stable")
    expected, actual = [], []
    for start in range(0, len(order), batch_size):
        inputs, targets, *weights = source.stack(order[start : start + batch_size])
        probs = np.asarray(model.predict_on_batch(inputs))
        present = weights[0] > 0 if weights else np.ones(targets.shape, np.bool_)
        expected.append(targets[present])
        actual.append(_choose(probs).reshape(targets.shape)[present])
    return HeldOut.of(np.concatenate(expected), np.concatenate(actual))


def _choose(probs: npt.NDArray[Any]) -> npt.NDArray[np.integer]:
    """The label ids that inference chooses, flat."""
    return np.asarray(choose_label_ids(per_label(probs.reshape(-1, probs.shape[-1]))))
