"""Texts with several labels each as values, and their seeded split into training and validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelKind, describe_bad_label
from rnnx.datasets.hold_out import hold_out, hold_out_shares
from rnnx.datasets.parts import Parts
from rnnx.errors import DataError


@dataclass(frozen=True)
class LabelSets:
    """Texts with any number of labels each.

    Attributes:
        texts: The raw bytes of each text.
        has_label: `(count, labels)` bool, whether a text has a label.
        noun: What one example is, for messages.
    """

    texts: Sequence[bytes]
    has_label: npt.NDArray[np.bool_]

    noun: ClassVar[str] = "text"

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> Sequence[bytes]:
        """The texts: what a model is given of each example."""
        return self.texts

    def take(self, indices: npt.NDArray[np.intp]) -> LabelSets:
        """Picks examples by index, in the given order."""
        return LabelSets([self.texts[i] for i in indices], self.has_label[indices])


@dataclass(frozen=True)
class LabelSetDataset(Parts[LabelSets]):
    """A data set of texts with several labels each; the validation part is held out from the training part."""

    kind: ClassVar[ModelKind] = "texts"

    @classmethod
    def from_pairs(cls, name: str, train: Iterable[tuple[bytes, Sequence[str]]]) -> LabelSetDataset:
        """Builds a data set from texts with the names of their labels.

        Raises:
            DataError: If no text has a label, or a label cannot be printed.
        """
        train = list(train)
        labels = tuple(sorted({label for _, given in train for label in given}))
        if not labels:
            raise DataError(f"{name}: no text of the training part has a label")
        if what := describe_bad_label(labels):
            raise DataError(f"{name}: {what}")
        ids = {label: i for i, label in enumerate(labels)}
        has_label = np.zeros((len(train), len(labels)), np.bool_)
        for row, (_, given) in enumerate(train):
            has_label[row, [ids[label] for label in given]] = True
        return cls(name, labels, LabelSets([text for text, _ in train], has_label), None)

    def summary(self) -> str:
        """Says how much there is to train on, and how many labels the texts have."""
        counts = self.train.has_label.sum(axis=1)
        several, none = int((counts > 1).sum()), int((counts == 0).sum())
        return f"{len(self.train):,} texts, {several:,} of them with several labels, {none:,} without a label"


def split_label_sets(examples: LabelSets, fraction: float, seed: int) -> tuple[LabelSets, LabelSets]:
    """Splits texts at random, so that rare labels are in both parts in about the same proportion.

    The texts are drawn in groups: those that share their rarest label, and those without a label.

    Args:
        examples: At least two texts.
        fraction: The share of the second part, in 0..1.
        seed: The same seed gives the same split.

    Returns:
        The training part and the held-out part, each in the order of `examples`.
    """
    counts = examples.has_label.sum(axis=0)
    rarest = np.where(examples.has_label, counts, len(examples) + 1).argmin(axis=1)
    rarest = np.where(examples.has_label.any(axis=1), rarest, -1)
    held_out = hold_out_shares(rarest, fraction, seed)
    if not held_out.any():
        held_out = hold_out(len(examples), fraction, seed)
    return examples.take(np.flatnonzero(~held_out)), examples.take(np.flatnonzero(held_out))
