"""Tagged sentences as values, and their seeded split into training and validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelKind, describe_bad_label
from rnnx.datasets.hold_out import hold_out
from rnnx.datasets.parts import Parts
from rnnx.errors import DataError

Sentence = tuple[bytes, ...]


@dataclass(frozen=True)
class TaggedWords:
    """A sentence as a file gives it: its words and one tag for each word."""

    words: Sentence
    tags: tuple[str, ...]


@dataclass(frozen=True)
class TaggedSentences:
    """Sentences with a tag for each word.

    Attributes:
        sentences: The words of each sentence as raw bytes.
        tag_ids: One `(words,)` int32 per sentence: indices into the data set's labels.
    """

    sentences: Sequence[Sentence]
    tag_ids: Sequence[npt.NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.sentences)

    def count_words(self) -> int:
        """The number of words in all sentences together."""
        return sum(map(len, self.sentences))

    def take(self, indices: npt.NDArray[np.intp]) -> TaggedSentences:
        """Picks sentences by index, in the given order."""
        return TaggedSentences([self.sentences[i] for i in indices], [self.tag_ids[i] for i in indices])


@dataclass(frozen=True)
class TaggedDataset(Parts[TaggedSentences]):
    """A data set of tagged sentences; its labels are the tags of all parts.

    Attributes:
        validation: The official validation part, which the best epoch is chosen on; None if some of `train` must be
            held out for it.
        tag_column: The column of the tags: a name of CoNLL-U, or the number of a column of another file.
        file_name: The name of its file, with which `rnnx evaluate` reads it again; None for CoNLL-U.
    """

    kind: ClassVar[ModelKind] = "sentences"

    validation: TaggedSentences | None
    tag_column: str = "upos"
    file_name: str | None = None

    @classmethod
    def from_parts(
        cls,
        name: str,
        train: Iterable[TaggedWords],
        validation: Iterable[TaggedWords] = (),
        test: Iterable[TaggedWords] = (),
    ) -> TaggedDataset:
        """Builds a data set from its parts; an empty part counts as missing.

        Raises:
            DataError: If there is no sentence to train on, or a tag cannot be a label.
        """
        parts = [list(part) for part in (train, validation, test)]
        if not parts[0]:
            raise DataError(f"{name}: no tagged sentence in the training part")
        labels = tuple(sorted({tag for part in parts for sentence in part for tag in sentence.tags}))
        if what := describe_bad_label(labels):
            raise DataError(f"{name}: {what}")
        ids = {label: i for i, label in enumerate(labels)}
        encoded, *others = (_with_ids(part, ids) for part in parts)
        validating, testing = (part if len(part) else None for part in others)
        return cls(name, labels, encoded, testing, validating)

    def summary(self) -> str:
        """Says how much there is to train on."""
        return f"{len(self.train):,} sentences of {self.train.count_words():,} tagged words"


def _with_ids(part: list[TaggedWords], ids: dict[str, int]) -> TaggedSentences:
    return TaggedSentences(
        [sentence.words for sentence in part],
        [np.array([ids[tag] for tag in sentence.tags], np.int32) for sentence in part],
    )


def split_sentences(sentences: TaggedSentences, fraction: float, seed: int) -> tuple[TaggedSentences, TaggedSentences]:
    """Splits sentences at random.

    Args:
        sentences: At least two sentences.
        fraction: The share of the second part, in 0..1.
        seed: The same seed gives the same split.

    Returns:
        The training part and the held-out part, each in the order of `sentences` and not empty.

    Raises:
        DataError: If there are fewer than two sentences.
    """
    count = len(sentences)
    if count < 2:
        raise DataError("there is a single tagged sentence; at least two are needed, because one is held out")
    held_out = hold_out(count, fraction, seed)
    return sentences.take(np.flatnonzero(~held_out)), sentences.take(np.flatnonzero(held_out))
