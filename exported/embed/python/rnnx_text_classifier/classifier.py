"""A text model in memory."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it when it is imported
import onnxruntime  # noqa: E402

_MODEL = "model.text.onnx"
_MOST_BYTES = 1 << 20  # of a batch: a long text does not widen the rows of many short ones
_MOST_TEXTS = 1024  # of a batch


class ClassifierError(Exception):
    """The model cannot be read or run, or does not give what is asked for."""


def find_folder() -> Path:
    """Returns the folder of the model: that of the package, or in a project that is not installed the one above."""
    package = Path(__file__).resolve().parent
    return package if (package / _MODEL).exists() else package.parent


@dataclass(frozen=True)
class Prediction:
    """The answer to a text.

    Attributes:
        labels: The labels of the text, the most probable one first: one label, or of a model of several labels those
            that reach their thresholds. Empty for a model that gives a number.
        probs: The probability of each label, in the order of `Classifier.labels`. Empty for a model of numbers.
        number: The number of a model that gives one.
    """

    labels: tuple[str, ...]
    probs: tuple[float, ...]
    number: float | None = None
    _best: str = ""

    @property
    def label(self) -> str:
        """The most probable label."""
        if not self.probs:
            raise ClassifierError("this model gives a number: see `value`")
        return self._best

    @property
    def probability(self) -> float:
        """The probability of the most probable label."""
        if not self.probs:
            raise ClassifierError("this model gives a number: see `value`")
        return max(self.probs)

    @property
    def value(self) -> float:
        """The number of a model that gives one."""
        if self.number is None:
            raise ClassifierError("this model gives labels: see `label`")
        return self.number


class Classifier:
    """A text model in memory; `load` makes it.

    Attributes:
        labels: The labels, in the order of `Prediction.probs`. Empty for a model that gives a number.
        output: The name of the output that `compute` gives: `probs`, or `values` of a model that gives a number.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        # The file says itself what its outputs mean.
        about = json.loads(session.get_modelmeta().custom_metadata_map["rnnx"])
        self.labels: tuple[str, ...] = tuple(about["labels"])
        self._thresholds: tuple[float, ...] = tuple(about.get("thresholds") or ())
        self.output: str = session.get_outputs()[0].name

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Classifier:
        """Loads a model.

        Args:
            path: A folder with `model.text.onnx`; that of this package if none is given.

        Raises:
            ClassifierError: If the file is missing or damaged.
        """
        file = (find_folder() if path is None else Path(path)) / _MODEL
        try:
            model = file.read_bytes()
        except OSError as error:
            raise ClassifierError(f"cannot read {file}: {error.strerror}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a recurrence only loses by more
        try:
            return cls(onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]))
        except Exception as error:  # onnxruntime's errors have no class in common
            raise ClassifierError(f"{file} is not a whole model: {error}") from error

    def predict(self, text: str | bytes) -> Prediction:
        """Reads one text: a string, or bytes, which need not be UTF-8. It may be empty.

        Raises:
            ClassifierError: If the model cannot be run.
            TypeError: If this is no text.
        """
        return self.predict_many([text])[0]

    def predict_many(self, texts: Iterable[str | bytes]) -> list[Prediction]:
        """Reads many texts, and answers in their order. Errors are those of `predict`."""
        if isinstance(texts, (str, bytes)):
            raise TypeError("predict_many takes many texts; predict takes one")
        rows = [_to_bytes(text) for text in texts]
        predictions = {}
        for batch in _to_batches(rows):
            for i, answer in zip(batch, self.compute([rows[i] for i in batch])):
                predictions[i] = self._describe([float(x) for x in answer])
        return [predictions[i] for i in range(len(rows))]

    def compute(self, texts: Sequence[bytes]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Computes probabilities, (texts, labels), or a number each, (texts, 1), in one batch.

        Rows are padded with zeros, an empty text is one zero.
        """
        width = max(1, *map(len, texts))
        rows = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8)
        try:
            answers: np.ndarray[Any, np.dtype[np.float32]]
            (answers,) = self._session.run([self.output], {"text": rows.reshape(len(texts), width)})
        except Exception as error:  # onnxruntime's errors have no class in common
            raise ClassifierError(f"the model cannot be run: {error}") from error
        return answers

    def _describe(self, answer: list[float]) -> Prediction:
        if not self.labels:
            return Prediction((), (), answer[0])
        order = sorted(range(len(answer)), key=lambda i: -answer[i])
        # A model of several labels has a threshold for each; others choose the most probable label.
        chosen = [i for i in order if answer[i] >= self._thresholds[i]] if self._thresholds else order[:1]
        return Prediction(tuple(self.labels[i] for i in chosen), tuple(answer), None, self.labels[order[0]])


def _to_bytes(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"a text is a str or bytes, not {type(text).__name__}")
    try:
        return text.encode("utf-8", "surrogateescape")  # bytes of an argument that are not UTF-8
    except UnicodeEncodeError:  # half a pair of surrogates is the character U+FFFD, as in JavaScript
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _to_batches(texts: Sequence[bytes]) -> list[list[int]]:
    """Puts the positions of texts into batches of similar lengths."""
    batches: list[list[int]] = []
    for i in sorted(range(len(texts)), key=lambda i: len(texts[i])):
        count = len(batches[-1]) if batches else _MOST_TEXTS
        if count < _MOST_TEXTS and (count + 1) * len(texts[i]) <= _MOST_BYTES:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches
