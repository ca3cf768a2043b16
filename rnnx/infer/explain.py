"""Explains a prediction: two figures for each word say how it moves the probability of a label, or the number given.

`probability` is the answer of the head of the network (`rnnx.reference.head`) to the states at the position of the
word, in float64, from the NumPy reference that the evidence in the file describes. It shows what the states have
gathered up to there (in a backward layer, from the end of the text), and jumps where a word changes them.

`effect` is how much the probability of the label falls when this word alone is replaced by the unknown word. It is
measured with the same files and session that infer. A word with an effect above zero speaks for the label, one with an
effect below zero speaks against it. Of a model that gives a number, both figures are of that number: a word with an
effect above zero raises it. The network answers to the whole text each time, so if two words say the same, each
of them may have an effect near zero.

Imports numpy and onnxruntime, neither TensorFlow nor the onnx package.

Source: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", 2014, occlude a part of the
input and measure the probability (section 4.2); J. Li, W. Monroe and D. Jurafsky, "Understanding neural networks
through representation erasure", 2016, do so word by word, by the relative difference of log-likelihoods; here it is the
difference of the probabilities, which are what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import MODEL_NAME, Directory, open_directory
from rnnx.bundle.find_model import DEFAULT_MODEL, find_directory
from rnnx.bundle.labels import per_label
from rnnx.errors import ModelError, UsageError
from rnnx.infer.encoders import ArrayReader, Encoded, TextReader, chunks
from rnnx.infer.needed_files import files_for
from rnnx.infer.predictions import LabelSet, Prediction, Rating
from rnnx.infer.predictor import Predictor
from rnnx.infer.reader import Reader, open_reader
from rnnx.infer.tagger import SentenceReader
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import read_reference
from rnnx.reference.head import Head
from rnnx.runtime.session import Device
from rnnx.text.tokenizer import UNKNOWN_ID, Ids, to_text


@dataclass(frozen=True)
class ExplainedWord:
    """A word that the network has read.

    Attributes:
        word: As it is written in the text; bytes that are not UTF-8 are lone surrogates.
        start: `text[start:end]` is the word, counted in bytes.
        end: See `start`.
        is_known: Whether it is in the vocabulary.
        probability: The probability of the label that the head gives at its position, in 0..1; or the number that it
            gives there.
        effect: How much the probability of the label falls without the word, in -1..1, or the number; 0 for an unknown
            word.
    """

    word: str
    start: int
    end: int
    is_known: bool
    probability: float
    effect: float


@dataclass(frozen=True)
class Explanation:
    """How the words of a text move the probability of a label, or the number that the text is given.

    Attributes:
        prediction: The prediction of the model for the text.
        label: The label whose probability is explained: the predicted one unless the caller asked for another. Of
            several labels it is the most probable one that the text has, or without any the most probable of all. None
            if a number is explained.
        words: The words that the network has read, in their order, without those that were cut off.
        first_number: The number of the first of these words in the whole text, from 1.
    """

    prediction: Prediction | LabelSet | Rating
    label: str | None
    words: tuple[ExplainedWord, ...]
    first_number: int = 1

    @property
    def probability(self) -> float:
        """The probability of the label for the whole text, or its number."""
        return _figure(self.prediction, self.label)

    @property
    def known_count(self) -> int:
        """How many of the words are in the vocabulary."""
        return sum(word.is_known for word in self.words)

    def strongest(self, count: int, *, against: bool = False) -> tuple[ExplainedWord, ...]:
        """Returns at most `count` words with the largest effect for the label, or against it."""
        sign = -1 if against else 1
        moving = [word for word in self.words if sign * word.effect > 0]
        return tuple(sorted(moving, key=lambda word: -sign * word.effect)[:count])


class Explainer:
    """A model of whole texts that explains its predictions.

    Attributes:
        predictor: The predictor of the same bundle.
    """

    def __init__(self, directory: Directory, *, device: Device = "auto") -> None:
        """Makes an explainer of a bundle that was read.

        Args:
            directory: From `rnnx.bundle.directory.read_directory` or `open_directory`.
            device: As for `rnnx.load`.

        Raises:
            DeviceError: If CUDA is asked for and not available.
            ModelError: If the bundle is broken, or its network has no head that can answer position by position.
            UsageError: If the model does not label whole texts or give them a number.
        """
        config = directory.config
        self._reader = _require_text_reader(open_reader(directory), config)
        self.predictor = Predictor(directory, device=device, reader=self._reader)
        model = parse_model(directory[MODEL_NAME])
        network = read_reference(read_evidence(read_properties(model), model), model)
        try:
            self._head = Head(network)
        except ModelError as error:
            raise ModelError(f"model {config.name} cannot be read position by position: {error}") from error

    def explain(self, text: bytes, prediction: Prediction | LabelSet | Rating, label: str | None = None) -> Explanation:
        """Explains a prediction.

        Args:
            text: The text, in UTF-8.
            prediction: The prediction of `predictor` for it.
            label: The label whose probability is explained; if None, as for `Explanation.label`.

        Raises:
            ModelError: If the head gives no finite number.
            UsageError: If there is no such label.
        """
        label = _choose_label(prediction) if label is None else label
        if label is not None:
            self.require_label(label)
        column = 0 if label is None else self.predictor.labels.index(label)
        encoded = self._reader.encode(text, 0)
        spans = self._reader.tokenizer.locate(text)
        first = len(encoded.given) - len(spans)  # after the start id
        probs = self._positions(encoded.given)[first:, column]
        known = [i for i in range(first, len(encoded.given)) if encoded.given[i] != UNKNOWN_ID]
        effects = dict(zip(known, _figure(prediction, label) - self._without(encoded, known, column), strict=True))
        words = (
            ExplainedWord(
                to_text(text[start:end]),
                start,
                end,
                first + i in effects,
                float(probs[i]),
                float(effects.get(first + i, 0.0)),
            )
            for i, (start, end) in enumerate(spans)
        )
        keeps_last = self._reader.tokenizer.config.truncation_side == "left"
        return Explanation(prediction, label, tuple(words), encoded.tokens - len(spans) + 1 if keeps_last else 1)

    def require_label(self, label: str) -> None:
        """Makes sure that the model has a label.

        Raises:
            UsageError: If it has no such label, or no labels.
        """
        labels = self.predictor.labels
        if not labels:
            raise UsageError(f"label {label!r:.60}: {self.predictor.config.name} gives a number, and has no labels")
        if label not in labels:
            raise UsageError(f"no label {label!r:.60}; the labels are {', '.join(labels)}")

    def _positions(self, ids: Ids) -> npt.NDArray[np.float64]:
        """Returns what the head gives at each id: probabilities, (length, labels), or a number, (length, 1)."""
        batch = self._reader.stack([ids])
        start = batch.shape[1] - len(ids) if self._reader.tokenizer.config.padding_side == "left" else 0
        answers = self._head.answers(batch)[0, start : start + len(ids)]
        if not np.isfinite(answers).all():
            raise ModelError(f"model {self.predictor.config.name}: the head gives no finite number")
        return self._by_label(answers)

    def _by_label(self, answers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Returns one probability per label, `(..., labels)`; a number as it is, `(..., 1)`."""
        return per_label(answers) if self.predictor.labels else answers

    def _without(self, encoded: Encoded, places: Sequence[int], column: int) -> npt.NDArray[np.float64]:
        """Returns the probability of a label, or the number, without each of some words, one at a time; (places,)."""
        probs: list[float] = []
        for window in chunks(places, self.predictor.window):  # a bounded number of copies of a long text
            rows = []
            for place in window:
                ids = encoded.given.copy()
                ids[place] = UNKNOWN_ID
                rows.append(encoded._replace(given=ids))
            for outputs in self.predictor.run_encoded(rows):
                (row,) = outputs.values()
                probs.append(self._by_label(row.astype(np.float64))[column])
        return np.array(probs)


def _require_text_reader(reader: Reader, config: ModelConfig) -> TextReader:
    """Returns the reader as that of a model that labels whole texts, or gives them a number.

    Raises:
        UsageError: If the model is of another kind.
    """
    match reader:
        case TextReader() if config.task in ("classification", "multilabel", "regression"):
            return reader
        case TextReader():
            problem = "gives no labels"
        case SentenceReader():
            problem = "tags words"
        case ArrayReader():
            problem = "does not read texts"
        case _:
            assert_never(reader)
    raise UsageError(f"only a model that labels whole texts can be explained; {config.name} {problem}")


def _choose_label(prediction: Prediction | LabelSet | Rating) -> str | None:
    """Returns the label that is explained by default."""
    match prediction:
        case Prediction():
            return prediction.label
        case LabelSet():
            return (
                prediction.labels[0] if prediction.labels else max(prediction.probs, key=prediction.probs.__getitem__)
            )
        case Rating():
            return None
        case _:
            assert_never(prediction)


def _figure(prediction: Prediction | LabelSet | Rating, label: str | None) -> float:
    """Returns the probability of a label, or the number if there is no label."""
    if isinstance(prediction, Rating):
        return prediction.value
    return prediction.probs[str(label)]


def load_explainer(model: str | Path = DEFAULT_MODEL, *, device: Device = "auto") -> Explainer:
    """Loads a bundle and makes an explainer of it; arguments and errors as for `rnnx.load` and `Explainer`."""
    directory = open_directory(find_directory(model), lambda config: {MODEL_NAME, *files_for(config, device, None)})
    return Explainer(directory, device=device)
