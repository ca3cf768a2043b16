"""Labelled texts as values, and their seeded split into training and validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelKind, describe_bad_label
from rnnx.datasets.hold_out import hold_out_by_label, hold_out_groups
from rnnx.datasets.parts import Parts
from rnnx.errors import DataError


@dataclass(frozen=True)
class Examples:
    """Texts with their labels.

    Attributes:
        texts: The raw bytes of each text.
        label_ids: `(count,)` int32, indices into the data set's labels.
        noun: What one example is, for messages.
        groups: What each text is about (the film of a review), so that whole groups can be held out; None if unknown.
    """

    texts: Sequence[bytes]
    label_ids: npt.NDArray[np.int32]
    groups: Sequence[str] | None = None

    noun: ClassVar[str] = "text"

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> Sequence[bytes]:
        """The texts: what a model is given of each example."""
        return self.texts

    def take(self, indices: npt.NDArray[np.intp]) -> Examples:
        """Picks examples by index, in the given order."""
        groups = None if self.groups is None else [self.groups[i] for i in indices]
        return Examples([self.texts[i] for i in indices], self.label_ids[indices], groups)


@dataclass(frozen=True)
class Dataset(Parts[Examples]):
    """A data set of labelled texts; the validation part is held out from the training part.

    Attributes:
        unlabelled: Further training texts, without labels.
        validation: The validation part, if it is a file of its own; None if some of `train` must be held out for it.
    """

    kind: ClassVar[ModelKind] = "texts"

    unlabelled: Sequence[bytes] = ()
    validation: Examples | None = None

    @classmethod
    def from_pairs(
        cls, name: str, train: Iterable[tuple[bytes, str]], test: Iterable[tuple[bytes, str]] = ()
    ) -> Dataset:
        """Builds a data set from (text, label) pairs.

        Raises:
            DataError: If there is no text, a label cannot be printed, or the test part has a label that the training
                part lacks.
        """
        train, test = list(train), list(test)
        labels = tuple(sorted({label for _, label in train}))
        if not labels:
            raise DataError(f"{name}: no labelled text in the training part")
        if what := describe_bad_label(labels):
            raise DataError(f"{name}: {what}")
        if strange := sorted({label for _, label in test} - set(labels)):
            raise DataError(f"{name}: the test part has labels that the training part lacks: {', '.join(strange)}")
        ids = {label: i for i, label in enumerate(labels)}
        return cls(name, labels, _examples(train, ids), _examples(test, ids) if test else None)

    def summary(self) -> str:
        """Says how much there is to train on."""
        more = f", {len(self.unlabelled):,} unlabelled ones" if self.unlabelled else ""
        return f"{len(self.train):,} labelled texts{more}"


def _examples(pairs: list[tuple[bytes, str]], ids: dict[str, int]) -> Examples:
    return Examples([text for text, _ in pairs], np.array([ids[label] for _, label in pairs], np.int32))


def split_by_label(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Splits examples at random, each label in the same proportion.

    Args:
        examples: At least two examples of each label.
        fraction: The share of the second part, in 0..1.
        seed: The same seed gives the same split.

    Returns:
        The training part and the held-out part, each in the order of `examples`.

    Raises:
        DataError: If a label has a single example, so that one part would have none.
    """
    held_out = hold_out_by_label(examples.label_ids, fraction, seed)
    return _part(examples, held_out)


def split_by_group(examples: Examples, fraction: float, seed: int) -> tuple[Examples, Examples]:
    """Splits examples by whole groups, so that validation measures the quality on groups that training never saw.

    Args:
        examples: Examples whose groups are known.
        fraction: The share of the examples in the second part, in 0..1; whole groups exceed it a little.
        seed: The same seed gives the same split.

    Returns:
        The training part and the held-out part, each in the order of `examples`.

    Raises:
        DataError: If no such split has every label in both parts.
    """
    if examples.groups is None:
        raise ValueError("the examples have no groups")
    held_out = hold_out_groups(examples.groups, fraction, seed)
    parts = _part(examples, held_out)
    labels = np.unique(examples.label_ids)
    for part in parts:
        if missing := sorted(set(labels.tolist()) - set(part.label_ids.tolist())):
            raise DataError(
                f"the split by group leaves a part without a text of label {missing[0]}; there are too few groups"
            )
    return parts


def _part(examples: Examples, held_out: npt.NDArray[np.bool_]) -> tuple[Examples, Examples]:
    return examples.take(np.flatnonzero(~held_out)), examples.take(np.flatnonzero(held_out))
