"""What a model says of one input: a label with its probability, a tag for each word, or the numbers it puts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.text.tokenizer import to_bytes


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one text, or of one sequence of numbers or ids.

    Attributes:
        label: The chosen label.
        label_id: Its index.
        probability: Of that label, in 0..1.
        probs: Of every label, by name; they sum to 1.
        tokens: Words in the text; steps of the sequence.
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
        """Whether the network gave an answer: what is all masked has none."""
        return bool(np.isfinite(self.probability))


@dataclass(frozen=True, eq=False)
class Values:
    """What a network without labels says of one sequence.

    Attributes:
        outputs: By output name, float32, without the batch: (outputs,), or (time, outputs) for one at each position.
        tokens: Steps of the sequence.
    """

    outputs: Mapping[str, npt.NDArray[np.float32]]
    tokens: int

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The first output, for a network that has no other."""
        return next(iter(self.outputs.values()))

    @property
    def is_finite(self) -> bool:
        """Whether every number is one."""
        return all(bool(np.isfinite(values).all()) for values in self.outputs.values())


@dataclass(frozen=True)
class TaggedWord:
    """A word with its tag.

    Attributes:
        word: As it stands in the text; bytes that are not UTF-8 are lone surrogates.
        tag: The likeliest.
        tag_id: Its index.
        probability: Of that tag, in 0..1.
        start: `text[start:end]` is the word: characters of a `str`, bytes of a `bytes`; None if it came as a word.
        end: Likewise.
    """

    word: str
    tag: str
    tag_id: int
    probability: float
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Tagging:
    """What a tagger says of one text, or of one sentence of words.

    Attributes:
        sentences: Each with at least one word.
    """

    sentences: tuple[tuple[TaggedWord, ...], ...]

    @classmethod
    def of(cls, sentences: Sequence[Sequence[TaggedWord]], text: object) -> Tagging:
        """Collects sentences whose words know their place in the bytes of the text."""
        if isinstance(text, str) and not text.isascii():
            place = _character_places(text)
            sentences = [[replace(one, start=place(one.start), end=place(one.end)) for one in s] for s in sentences]
        return cls(tuple(map(tuple, sentences)))

    @property
    def words(self) -> tuple[TaggedWord, ...]:
        """All words, whatever their sentence."""
        return tuple(word for sentence in self.sentences for word in sentence)

    @property
    def tokens(self) -> int:
        """How many words there are."""
        return sum(map(len, self.sentences))

    @property
    def is_finite(self) -> bool:
        """Whether every probability is a number."""
        return all(bool(np.isfinite(word.probability)) for word in self.words)


def _character_places(text: str) -> Callable[[int | None], int]:
    """Gives for a place in the bytes of a text that in its characters."""
    points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    sizes = 1 + (points >= 0x80) + (points >= 0x800) + (points >= 0x10000)
    data = to_bytes(text)
    if sizes.sum() != len(data):  # lone surrogates that stand for a byte each
        sizes = np.where((points >= 0xDC80) & (points <= 0xDCFF), 1, sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    return lambda place: int(np.searchsorted(starts, place or 0))


def choose_label(
    row: npt.NDArray[np.float32], labels: Sequence[str], threshold: float, tokens: int, truncated: bool
) -> Prediction:
    """Chooses the label of one answer.

    Args:
        row: (outputs,): one probability per label, or that of the second one alone.
        labels: By label id.
        threshold: With two labels, the probability from which the second one is chosen.
        tokens: For the prediction.
        truncated: Likewise.
    """
    probs = per_label(row.astype(np.float64))
    label_id = int(choose_label_ids(probs, threshold))
    values = probs.tolist()
    by_label = dict(zip(labels, values, strict=True))
    return Prediction(labels[label_id], label_id, values[label_id], by_label, tokens, truncated)
