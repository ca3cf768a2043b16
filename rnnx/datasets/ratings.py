"""Texts with a number each as values, and their seeded split into training and validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelKind
from rnnx.datasets.hold_out import hold_out
from rnnx.datasets.parts import Parts
from rnnx.errors import DataError


@dataclass(frozen=True)
class Ratings:
    """Texts with a number each, such as the stars of a review.

    Attributes:
        texts: The raw bytes of each text.
        targets: `(count, 1)` float64, the numbers.
        noun: What one example is, for messages.
    """

    texts: Sequence[bytes]
    targets: npt.NDArray[np.float64]

    noun: ClassVar[str] = "text"

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> Sequence[bytes]:
        """The texts: what a model is given of each example."""
        return self.texts

    def take(self, indices: npt.NDArray[np.intp]) -> Ratings:
        """Picks examples by index, in the given order."""
        return Ratings([self.texts[i] for i in indices], self.targets[indices])


@dataclass(frozen=True)
class RatingDataset(Parts[Ratings]):
    """A data set of texts with a number each; it has no labels."""

    kind: ClassVar[ModelKind] = "texts"

    @classmethod
    def from_pairs(cls, name: str, train: Iterable[tuple[bytes, float]]) -> RatingDataset:
        """Builds a data set from (text, number) pairs.

        Raises:
            DataError: If there is no text.
        """
        train = list(train)
        if not train:
            raise DataError(f"{name}: no text with a number in the training part")
        targets = np.array([[number] for _, number in train], np.float64)
        return cls(name, (), Ratings([text for text, _ in train], targets), None)

    def summary(self) -> str:
        """Says how much there is to train on, and which numbers the texts have."""
        numbers = self.train.targets
        return (
            f"{len(self.train):,} texts with a number each, {numbers.min():.6g} to {numbers.max():.6g}, "
            f"mean {numbers.mean():.4g}"
        )


def split_ratings(ratings: Ratings, fraction: float, seed: int) -> tuple[Ratings, Ratings]:
    """Splits texts at random.

    Args:
        ratings: At least two texts.
        fraction: The share of the second part, in 0..1.
        seed: The same seed gives the same split.

    Returns:
        The training part and the held-out part, each in the order of `ratings`.
    """
    held_out = hold_out(len(ratings), fraction, seed)
    return ratings.take(np.flatnonzero(~held_out)), ratings.take(np.flatnonzero(held_out))
