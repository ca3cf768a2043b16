"""What a network reads: of each word of a text two figures that say how it moves the probability of a label.

`probability`, state by state: what the head of the network says at the position of the word (`rnnx.reference.head`), in
float64, by the NumPy reference that the evidence in the file describes. So it says what the states there have gathered,
from the words on whichever side they come from, and jumps where a word turns them.

`effect`, word by word: how much the probability of the label falls when this one word is not known, its id replaced by
that of unknown words, everything else as it was. Measured with the files and the session that infer. Above zero the
word speaks for the label, below against it. It is the whole network's answer to the whole text, so it knows of the word
in its place and of nothing but it: of two words that say the same, each may have next to none.

Imports neither TensorFlow nor the onnx package.

Source: M. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", 2014, occlude a part of the
input and measure the probability (section 4.2); J. Li, W. Monroe and D. Jurafsky, "Understanding neural networks
through representation erasure", 2016, do so word by word, by the relative difference of log-likelihoods; here it is the
difference of the probabilities, which are what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnx.bundle.directory import DEFAULT_MODEL, MODEL_NAME, Directory, find_directory, read_directory
from rnnx.bundle.labels import per_label
from rnnx.errors import ModelError, UsageError
from rnnx.infer.encoders import Encoded, TextReader, chunks
from rnnx.infer.predictions import Prediction
from rnnx.infer.predictor import Predictor
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence import read_evidence, read_reference
from rnnx.reference.head import Head
from rnnx.runtime.session import Device
from rnnx.text.tokenizer import UNKNOWN_ID, Ids, to_text


@dataclass(frozen=True)
class ExplainedWord:
    """A word that the network has read.

    Attributes:
        word: As it stands in the text; bytes that are not UTF-8 are lone surrogates.
        start: `text[start:end]` is the word, in bytes.
        end: Likewise.
        is_known: Whether it stands in the vocabulary.
        probability: What the head says at its position: the probability of the label, in 0..1.
        effect: How much the probability of the label falls without it, in -1..1; 0 for a word that is not known.
    """

    word: str
    start: int
    end: int
    is_known: bool
    probability: float
    effect: float


@dataclass(frozen=True)
class Explanation:
    """How the words of a text move the probability of a label.

    Attributes:
        prediction: What the model says of the text.
        label: The label that it is about; the predicted one unless another was asked for.
        words: Those that the network has read, in their order; of a longer text those that were not cut off.
        first_number: Which word of the whole text the first of them is, from 1.
    """

    prediction: Prediction
    label: str
    words: tuple[ExplainedWord, ...]
    first_number: int = 1

    @property
    def probability(self) -> float:
        """Of the label, for the whole text."""
        return self.prediction.probs[self.label]

    @property
    def known_count(self) -> int:
        """How many of the words are known."""
        return sum(word.is_known for word in self.words)

    def strongest(self, count: int, *, against: bool = False) -> tuple[ExplainedWord, ...]:
        """The words with the largest effect for the label, or against it, at most so many."""
        sign = -1 if against else 1
        moving = [word for word in self.words if sign * word.effect > 0]
        return tuple(sorted(moving, key=lambda word: -sign * word.effect)[:count])


class Explainer:
    """A text classifier that says how it comes to its answers.

    Attributes:
        predictor: The bundle as `rnnx.load` gives it.
    """

    def __init__(self, directory: Directory, *, device: Device = "auto") -> None:
        """Makes an explainer of a bundle that was read.

        Args:
            directory: From `rnnx.bundle.directory.read_directory`.
            device: As for `rnnx.load`.

        Raises:
            DeviceError: If CUDA is asked for and not there.
            ModelError: If the bundle is broken, or its network has no head that can be asked position by position.
            UsageError: If it gives no labels to texts.
        """
        config = directory.config
        if config.tokenizer is None or config.task != "classification":
            what = "tags words" if config.words else "reads no texts" if config.tokenizer is None else "gives no labels"
            raise UsageError(f"only a model that labels whole texts can be explained; {config.name} {what}")
        self.predictor = Predictor(directory, device=device)
        model = parse_model(directory[MODEL_NAME])
        network = read_reference(read_evidence(read_properties(model), model), model)
        try:
            self._head = Head(network)
        except ModelError as error:
            raise ModelError(f"model {config.name} cannot be read position by position: {error}") from error
        assert isinstance(self.predictor.reader, TextReader)  # noqa: S101  # there is a tokenizer
        self._reader = self.predictor.reader

    def explain(self, text: bytes, prediction: Prediction, label: str | None = None) -> Explanation:
        """Explains what was predicted.

        Args:
            text: In UTF-8.
            prediction: What the predictor says of it.
            label: The label whose probability it is about; the predicted one if None.

        Raises:
            ModelError: If the head gives no finite number.
            UsageError: If there is no such label.
        """
        label = prediction.label if label is None else label
        if label not in self.predictor.labels:
            raise UsageError(f"no label {label!r:.60}; the labels are {', '.join(self.predictor.labels)}")
        label_id = self.predictor.labels.index(label)
        encoded = self._reader.encode(text, 0)
        spans = self._reader.tokenizer.locate(text)
        first = len(encoded.given) - len(spans)  # behind the start
        probs = self._positions(encoded.given)[first:, label_id]
        known = [i for i in range(first, len(encoded.given)) if encoded.given[i] != UNKNOWN_ID]
        effects = dict(zip(known, prediction.probs[label] - self._without(encoded, known, label), strict=True))
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

    def _positions(self, ids: Ids) -> npt.NDArray[np.float64]:
        """What the head says at each id, (length, labels)."""
        batch = self._reader.stack([ids])
        start = batch.shape[1] - len(ids) if self._reader.tokenizer.config.padding_side == "left" else 0
        answers = self._head.answers(batch)[0, start : start + len(ids)]
        if not np.isfinite(answers).all():
            raise ModelError(f"model {self.predictor.config.name}: the head gives no finite number")
        return per_label(answers).reshape(len(ids), len(self.predictor.labels))

    def _without(self, encoded: Encoded, places: Sequence[int], label: str) -> npt.NDArray[np.float64]:
        """The probability of the label without each of some words, one at a time."""
        probs: list[float] = []
        for window in chunks(places, self.predictor.window):  # a bounded number of copies of a long text
            rows = []
            for place in window:
                ids = encoded.given.copy()
                ids[place] = UNKNOWN_ID
                rows.append(encoded._replace(given=ids))
            for answer in self.predictor.predict_encoded(rows):
                assert isinstance(answer, Prediction)  # noqa: S101  # a classifier
                probs.append(answer.probs[label])
        return np.array(probs)


def load_explainer(model: str | Path = DEFAULT_MODEL, *, device: Device = "auto") -> Explainer:
    """Loads a bundle to be explained; arguments and errors as for `rnnx.load` and `Explainer`."""
    return Explainer(read_directory(find_directory(model)), device=device)
