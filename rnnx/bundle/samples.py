"""Recorded predictions: texts, sentences or sequences with the answers of the model. A later export must repeat them.

They show whether the order of the labels, the vocabulary and the tokenizer still belong to the weights, which the
network alone cannot show. Imports NumPy only.
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
    """A text and the prediction of the model for it.

    Attributes:
        text: The text as bytes.
        label: The name of the predicted label.
        probability: The probability of that label, in 0..1.
    """

    text: bytes
    label: str
    probability: float


@dataclass(frozen=True)
class TaggedSample:
    """A sentence and the predictions of the model for its words.

    Attributes:
        words: The words as bytes.
        tags: The name of the predicted tag of each word.
        probabilities: The probability of each of these tags, in 0..1.
    """

    words: tuple[bytes, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class RatedSample:
    """A text and the number that the model gives it.

    Attributes:
        text: The text as bytes.
        value: The number.
    """

    text: bytes
    value: float


@dataclass(frozen=True, eq=False)
class SeriesSample:
    """A sequence of numbers and the answer of the model for it.

    Attributes:
        x: The sequence, `(time, features)` float32.
        probs: The probability of each label, by name; empty for a model without labels.
        values: The outputs of a model without labels; empty for a model with labels.
    """

    x: npt.NDArray[np.float32]
    probs: dict[str, float]
    values: tuple[float, ...] = ()

    @classmethod
    def of(cls, x: npt.NDArray[np.float32], answer: npt.NDArray[Any], labels: Sequence[str]) -> SeriesSample:
        """Makes a sample from the outputs of a network.

        Args:
            x: The sequence, `(time, features)` float32.
            answer: The outputs, `(outputs,)`. A single sigmoid becomes the probabilities of two labels.
            labels: The names of the labels; empty for a model without labels.
        """
        values = answer.astype(np.float64)
        if not labels:
            return cls(x, {}, tuple(values.tolist()))
        return cls(x, dict(zip(labels, per_label(values).tolist(), strict=True)))


def samples_to_json(samples: Sequence[Sample]) -> bytes:
    """Formats samples as JSON. Each byte that is not UTF-8 is stored as an escaped lone surrogate."""
    rows = [
        {"text": s.text.decode("utf-8", "surrogateescape"), "label": s.label, "probability": round(s.probability, 6)}
        for s in samples
    ]
    return to_json_bytes(rows, allow_nan=True)


def samples_from_json(data: bytes) -> list[Sample]:
    """Reads samples that `samples_to_json` wrote.

    Raises:
        ModelError: If the file does not have the format of `samples_to_json`.
    """

    def read(row: Any) -> Sample:
        return Sample(row["text"].encode("utf-8", "surrogateescape"), str(row["label"]), float(row["probability"]))

    return _read_rows(data, read, "text, label and probability")


def rated_samples_to_json(samples: Sequence[RatedSample]) -> bytes:
    """Formats rated texts as JSON, as `samples_to_json` does. Nine digits are enough to read a float32 back exactly."""
    rows = [{"text": s.text.decode("utf-8", "surrogateescape"), "value": float(f"{s.value:.9g}")} for s in samples]
    return to_json_bytes(rows, allow_nan=True)


def rated_samples_from_json(data: bytes) -> list[RatedSample]:
    """Reads samples that `rated_samples_to_json` wrote, or the rows of `golden.json`.

    Raises:
        ModelError: If the file does not have the format of `rated_samples_to_json`.
    """

    def read(row: Any) -> RatedSample:
        return RatedSample(row["text"].encode("utf-8", "surrogateescape"), float(row["value"]))

    return _read_rows(data, read, "text and value")


def tagged_samples_to_json(samples: Sequence[TaggedSample]) -> bytes:
    """Formats tagged samples as JSON. Words that are not UTF-8 are stored as in `samples_to_json`."""
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
    """Reads samples that `tagged_samples_to_json` wrote, or the rows of `golden.json`.

    Raises:
        ModelError: If the file does not have the format of `tagged_samples_to_json`.
    """

    def read(row: Any) -> TaggedSample:
        return TaggedSample(
            tuple(bytes.fromhex(word) for word in row["bytes"])
            if "bytes" in row  # of `golden.json`; files from before rnnx 0.3 have `words` alone
            else tuple(word.encode("utf-8", "surrogateescape") for word in row["words"]),
            tuple(map(str, row["tags"])),
            tuple(map(float, row["probabilities"])),
        )

    samples = _read_rows(data, read, "words, tags and probabilities")
    if any(not len(s.words) == len(s.tags) == len(s.probabilities) for s in samples):
        raise ModelError("samples: a sentence should have as many tags and probabilities as words")
    return samples


def series_samples_to_json(samples: Sequence[SeriesSample]) -> bytes:
    """Formats sequences of numbers as JSON. Nine digits are enough to read a float32 back exactly."""
    rows = [
        {
            "x": [[float(f"{value:.9g}") for value in step] for step in s.x],
            **({"probs": s.probs} if s.probs else {"values": list(s.values)}),
        }
        for s in samples
    ]
    return to_json_bytes(rows, indent=None, allow_nan=True)


def series_samples_from_json(data: bytes) -> list[SeriesSample]:
    """Reads samples that `series_samples_to_json` wrote.

    Raises:
        ModelError: If the file does not have the format of `series_samples_to_json`.
    """

    def read(row: Any) -> SeriesSample:
        with np.errstate(over="ignore"):  # what is not finite is refused
            x = np.array(row["x"], np.float32)
        return SeriesSample(
            x,
            {str(label): float(value) for label, value in row.get("probs", {}).items()},
            tuple(map(float, row.get("values", ()))),
        )

    samples = _read_rows(data, read, "x with probs or values")
    if any(s.x.ndim != 2 or not s.x.size for s in samples):
        raise ModelError("samples: x should have the shape (time, features) and should not be empty")
    if not all(np.isfinite(s.x).all() for s in samples):
        raise ModelError("samples: a number of x is not finite in float32")
    return samples


def _read_rows(data: bytes, read: Callable[[Any], S], what: str) -> list[S]:
    """Reads a list of samples.

    Args:
        data: The JSON document.
        read: Reads one row. It may raise ValueError, TypeError, KeyError or AttributeError for a malformed row.
        what: The fields of a row, for the message.

    Raises:
        ModelError: If the document is not a list of such rows.
    """
    try:
        return [read(row) for row in parse_json(data)]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"samples: not a list of {what} ({error})") from error
