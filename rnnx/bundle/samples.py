"""Texts and sentences with the labels once recorded for them: what a later export of the model has to come to again.

They tie the labels' order, the vocabulary and the tokenizer to the weights; none of these shows in the network itself.
Standard library and numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import per_label
from rnnx.errors import ModelError
from rnnx.strict_json import parse_json, to_json_bytes

S = TypeVar("S")


@dataclass(frozen=True)
class Sample:
    """A text and what the model said of it.

    Attributes:
        text: Raw bytes.
        label: By name, not by id.
        probability: Of that label, in 0..1.
    """

    text: bytes
    label: str
    probability: float


@dataclass(frozen=True)
class TaggedSample:
    """A sentence and what the model said of each of its words.

    Attributes:
        words: Raw bytes.
        tags: By name, one per word.
        probabilities: Of those tags, in 0..1.
    """

    words: tuple[bytes, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class SeriesSample:
    """A sequence of numbers and what the model said of it.

    Attributes:
        x: (time, features) float32.
        probs: By label; empty where there are none.
        values: What it put out, where there are no labels.
    """

    x: npt.NDArray[np.float32]
    probs: dict[str, float]
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, x: npt.NDArray[np.float32], answer: npt.NDArray[Any], labels: Sequence[str]) -> SeriesSample:
        """Names what a network put out, (outputs,), by the labels; a single sigmoid is spelled out."""
        values = answer.astype(np.float64)
        if not labels:
            return cls(x, {}, tuple(values.tolist()))
        return cls(x, dict(zip(labels, per_label(values).tolist(), strict=True)))


def samples_to_json(samples: Sequence[Sample]) -> bytes:
    """Formats samples; bytes that are not UTF-8 travel as lone surrogates, escaped."""
    rows = [
        {"text": s.text.decode("utf-8", "surrogateescape"), "label": s.label, "probability": round(s.probability, 6)}
        for s in samples
    ]
    return to_json_bytes(rows, allow_nan=True)


def samples_from_json(data: bytes) -> list[Sample]:
    """Reads samples back.

    Raises:
        ModelError: If the file is not what `samples_to_json` writes.
    """

    def read(row: Any) -> Sample:
        return Sample(row["text"].encode("utf-8", "surrogateescape"), str(row["label"]), float(row["probability"]))

    return _read_rows(data, read, "text, label and probability")


def tagged_samples_to_json(samples: Sequence[TaggedSample]) -> bytes:
    """Formats tagged samples, bytes as in `samples_to_json`."""
    rows = [
        {
            "words": [word.decode("utf-8", "surrogateescape") for word in s.words],
            "tags": list(s.tags),
            "probabilities": [round(probability, 6) for probability in s.probabilities],
        }
        for s in samples
    ]
    return to_json_bytes(rows, allow_nan=True)


def tagged_samples_from_json(data: bytes) -> list[TaggedSample]:
    """Reads tagged samples back.

    Raises:
        ModelError: If the file is not what `tagged_samples_to_json` writes.
    """

    def read(row: Any) -> TaggedSample:
        return TaggedSample(
            tuple(word.encode("utf-8", "surrogateescape") for word in row["words"]),
            tuple(map(str, row["tags"])),
            tuple(map(float, row["probabilities"])),
        )

    samples = _read_rows(data, read, "words, tags and probabilities")
    if any(not len(s.words) == len(s.tags) == len(s.probabilities) for s in samples):
        raise ModelError("samples: a sentence should have as many tags and probabilities as words")
    return samples


def series_samples_to_json(samples: Sequence[SeriesSample]) -> bytes:
    """Formats sequences of numbers; a float32 in nine digits is read back as itself."""
    rows = [
        {
            "x": [[float(f"{value:.9g}") for value in step] for step in s.x],
            **({"probs": s.probs} if s.probs else {"values": list(s.values)}),
        }
        for s in samples
    ]
    return to_json_bytes(rows, indent=None, allow_nan=True)


def series_samples_from_json(data: bytes) -> list[SeriesSample]:
    """Reads sequences of numbers back.

    Raises:
        ModelError: If the file is not what `series_samples_to_json` writes.
    """

    def read(row: Any) -> SeriesSample:
        return SeriesSample(
            np.array(row["x"], np.float32),
            {str(label): float(value) for label, value in row.get("probs", {}).items()},
            tuple(map(float, row.get("values", ()))),
        )

    samples = _read_rows(data, read, "x with probs or values")
    if any(s.x.ndim != 2 or not s.x.size for s in samples):
        raise ModelError("samples: x should be (time, features)")
    return samples


def _read_rows(data: bytes, read: Callable[[Any], S], what: str) -> list[S]:
    """Reads a list of samples, each by `read`, which raises whatever a row of another shape makes it raise."""
    try:
        return [read(row) for row in parse_json(data)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"samples: not a list of {what} ({error})") from error
