"""The answers of a model: a label with its probability, a tag for each word, or the network's raw outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.bundle.span_tags import find_spans
from rnnx.text.tokenizer import to_bytes, to_text


@dataclass(frozen=True)
class Prediction:
    """The answer of a classifier to one text, or to one sequence of numbers or ids.

    Attributes:
        label: The chosen label.
        label_id: Its index in `Predictor.labels`.
        probability: The probability of the chosen label, in 0..1.
        probs: The probability of every label, by name; they sum to 1.
        tokens: How many words the text has, or how many steps the sequence.
        truncated: Whether words were cut off, because the text is longer than the model reads.
    """

    label: str
    label_id: int
    probability: float
    probs: dict[str, float]
    tokens: int
    truncated: bool

    @property
    def is_finite(self) -> bool:
        """Whether the probability is a finite number; a network has no answer to a sequence that is all masked."""
        return math.isfinite(self.probability)


@dataclass(frozen=True)
class LabelSet:
    """The answer to one text of a model that gives any number of labels.

    Attributes:
        labels: The labels whose probability reaches their threshold, the most probable first; empty if there are none.
        probs: The probability of every label, by name; each is in 0..1 by itself.
        tokens: How many words the text has.
        truncated: Whether words were cut off, because the text is longer than the model reads.
    """

    labels: tuple[str, ...]
    probs: dict[str, float]
    tokens: int
    truncated: bool

    @property
    def is_finite(self) -> bool:
        """Whether every probability is a finite number."""
        return all(map(math.isfinite, self.probs.values()))


@dataclass(frozen=True)
class Rating:
    """The number that a model gives one text.

    Attributes:
        value: The number, in the unit of the training data.
        tokens: How many words the text has.
        truncated: Whether words were cut off, because the text is longer than the model reads.
    """

    value: float
    tokens: int
    truncated: bool

    @property
    def is_finite(self) -> bool:
        """Whether the number is finite."""
        return math.isfinite(self.value)


@dataclass(frozen=True, eq=False)
class Values:
    """The outputs of a network without labels for one sequence.

    Attributes:
        outputs: By output name, float32, without the batch axis: (outputs,), or (time, outputs) for an output at each
            position.
        tokens: How many steps the sequence has.
    """

    outputs: Mapping[str, npt.NDArray[np.float32]]
    tokens: int

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The first output; for networks with one output."""
        return next(iter(self.outputs.values()))

    @property
    def is_finite(self) -> bool:
        """Whether every number is finite."""
        return all(bool(np.isfinite(values).all()) for values in self.outputs.values())


@dataclass(frozen=True)
class TaggedWord:
    """A word with its tag.

    Attributes:
        word: As it is written in the text; bytes that are not UTF-8 are lone surrogates.
        tag: The most likely tag.
        tag_id: Its index in `Predictor.labels`.
        probability: The probability of that tag, in 0..1.
        start: `text[start:end]` is the word, counted in characters of a `str` and in bytes of a `bytes`; None if the
            caller gave words, not a text.
        end: See `start`.
    """

    word: str
    tag: str
    tag_id: int
    probability: float
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class TaggedSpan:
    """A span of words, such as a name, that the tags `B-PER`, `I-PER` and so on make.

    Attributes:
        text: As it is written in the text; if the caller gave words, these with a space between them.
        label: Its label, `PER`.
        probability: The lowest probability of the tags of its words, in 0..1.
        sentence: The number of its sentence, from 0.
        first: The number of its first word in the sentence, from 0.
        last: The number of its last word.
        start: `text[start:end]` is the span, counted as for `TaggedWord`; None if the caller gave words.
        end: See `start`.
    """

    text: str
    label: str
    probability: float
    sentence: int
    first: int
    last: int
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Tagging:
    """The answer of a tagger to one text, or to one sentence given as words.

    Attributes:
        sentences: The tagged words of each sentence; at least one word each.
        spans: The spans that the tags make, in the order of the text; None if the tags of the model are not those of
            spans.
    """

    sentences: tuple[tuple[TaggedWord, ...], ...]
    spans: tuple[TaggedSpan, ...] | None = None

    @classmethod
    def of(cls, sentences: Sequence[Sequence[TaggedWord]], text: object, *, has_spans: bool = False) -> Tagging:
        """Makes a tagging of sentences whose words have their start and end in bytes.

        Args:
            sentences: The tagged words.
            text: The text as the caller gave it; for a `str`, start and end are converted to characters.
            has_spans: Whether the tags are those of spans.
        """
        if isinstance(text, str) and not text.isascii():
            to_character = _character_offsets(text)
            sentences = [
                [replace(word, start=to_character(word.start), end=to_character(word.end)) for word in words]
                for words in sentences
            ]
        return cls(tuple(map(tuple, sentences)), tuple(_join_spans(sentences, text)) if has_spans else None)

    @property
    def words(self) -> tuple[TaggedWord, ...]:
        """The words of all sentences."""
        return tuple(word for sentence in self.sentences for word in sentence)

    @property
    def tokens(self) -> int:
        """How many words there are."""
        return sum(map(len, self.sentences))

    @property
    def is_finite(self) -> bool:
        """Whether every probability is a finite number."""
        return all(bool(np.isfinite(word.probability)) for word in self.words)


def _join_spans(sentences: Sequence[Sequence[TaggedWord]], text: object) -> Iterator[TaggedSpan]:
    """Joins the words of each span; start and end are places in `text`, if it is one."""
    for number, sentence in enumerate(sentences):
        for label, first, end in find_spans([word.tag for word in sentence]):
            words = sentence[first:end]
            probability = min(word.probability for word in words)
            start, stop = words[0].start, words[-1].end
            if isinstance(text, str | bytes):
                written = text[start:stop]
                joined = written if isinstance(written, str) else to_text(written)
            else:
                joined = " ".join(word.word for word in words)
            yield TaggedSpan(joined, label, probability, number, first, end - 1, start, stop)


def _character_offsets(text: str) -> Callable[[int | None], int]:
    """Makes a function from an offset in the UTF-8 bytes of a text to the offset in its characters."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
    data = to_bytes(text)
    if sizes.sum() != len(data):  # the text has lone surrogates, each of which is one byte
        sizes = np.where((points >= 0xDC80) & (points <= 0xDCFF), 1, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return lambda offset: int(np.searchsorted(starts, offset or 0))


class Counted(Protocol):
    """What a prediction tells of its input besides the label."""

    @property
    def tokens(self) -> int:
        """`Prediction.tokens`."""

    @property
    def truncated(self) -> bool:
        """`Prediction.truncated`."""


def choose_labels(
    rows: npt.NDArray[np.float32], labels: Sequence[str], threshold: float, inputs: Sequence[Counted]
) -> list[Prediction]:
    """Chooses the label of each row of outputs of a classifier.

    Args:
        rows: (inputs, outputs) float32: one probability per label, or only that of the second label.
        labels: The labels, in the order of the label ids.
        threshold: With two labels, the probability from which the second one is chosen.
        inputs: The encoded inputs, for `Prediction.tokens` and `Prediction.truncated`.
    """
    probs = per_label(rows.astype(np.float64))
    label_ids = choose_label_ids(probs, threshold).tolist()
    return [
        Prediction(
            labels[label_id],
            label_id,
            values[label_id],
            dict(zip(labels, values, strict=True)),
            given.tokens,
            given.truncated,
        )
        for label_id, values, given in zip(label_ids, probs.tolist(), inputs, strict=True)
    ]


def choose_label_sets(
    rows: npt.NDArray[np.float32], labels: Sequence[str], thresholds: Sequence[float], inputs: Sequence[Counted]
) -> list[LabelSet]:
    """Chooses the labels of each row of outputs of a model with a sigmoid for each label.

    Args:
        rows: (inputs, labels) float32, the probabilities.
        labels: The labels, in the order of the label ids.
        thresholds: The probability from which each label is given.
        inputs: The encoded inputs, for `LabelSet.tokens` and `LabelSet.truncated`.
    """
    probs = rows.astype(np.float64)
    return [
        LabelSet(
            tuple(labels[i] for i in np.argsort(-values, kind="stable") if values[i] >= thresholds[i]),
            dict(zip(labels, values.tolist(), strict=True)),
            given.tokens,
            given.truncated,
        )
        for values, given in zip(probs, inputs, strict=True)
    ]


def read_ratings(rows: npt.NDArray[np.float32], inputs: Sequence[Counted]) -> list[Rating]:
    """Reads the number in each row of outputs, (inputs, 1)."""
    return [Rating(float(value), given.tokens, given.truncated) for (value,), given in zip(rows, inputs, strict=True)]
