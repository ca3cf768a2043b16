"""Compares the labels of a whole data set, text by text: those of Keras, of every form, and of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from rnnx.bundle.directory import TEXT_NAME
from rnnx.export.source import Source
from rnnx.export.traced import has_time_distributed
from rnnx.proof.progress import track
from rnnx.proof.report import DecisionsReport
from rnnx.reference import INPUT_NAME, OUTPUT_NAME
from rnnx.reference.streaming import zero_states
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.decisions import Decisions, decide, label_ids
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import to_batch
from rnnx.text_form.build import TextForm

_BATCH_SIZE = 256
_STEP_TEST_TEXTS = 60


@dataclass(frozen=True)
class DecisionTexts:
    """The texts of a data set.

    Attributes:
        dataset: The name and the part of the data set, for the report.
        texts: The texts as raw bytes.
    """

    dataset: str
    texts: Sequence[bytes]

    def some(self) -> list[bytes]:
        """Returns about 60 texts, evenly spread over the data set, to be probes of the proof as well."""
        return [self.texts[i] for i in range(0, len(self.texts), max(len(self.texts) // _STEP_TEST_TEXTS, 1))]


def compare_decisions(
    source: Source, forms: Mapping[str, Rewritten], text_form: TextForm | None, decisions: DecisionTexts
) -> DecisionsReport:
    """Labels every text with Keras, the reference and every form, and compares the labels.

    Args:
        source: The model, with Keras and the reference.
        forms: The forms by file name.
        text_form: The text form if there is one. If its embedding is stored with fewer bits, it is another network. So
            the labels that differ from those of Keras are counted, but not compared with a bound.
        decisions: The texts.

    Raises:
        UsageError: If the model does not read texts.
    """
    tokenizer = source.kind.require_tokenizer(source.config.name)
    runs = {"keras": _keras_of(source.model)}
    runs |= {name: _Run(form) for name, form in forms.items()}
    rows = [tokenizer.encode(text).ids for text in decisions.texts]
    text_session = None if text_form is None else Session(text_form.rewritten.model.SerializeToString(), device="cpu")
    by_length = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    differing, wrong = dict.fromkeys(forms, 0), dict.fromkeys(runs, 0)
    if text_session is not None:
        differing[TEXT_NAME] = 0
    max_ratio = dict.fromkeys(runs, 0.0)
    certain_count = 0
    for first in track(range(0, len(rows), _BATCH_SIZE), "comparing labels"):
        chosen = by_length[first : first + _BATCH_SIZE]
        ids = tokenizer.pad([rows[i] for i in chosen])
        expected = decide(source.network, ids)[OUTPUT_NAME]
        rows_of = _Labels(expected, source.config.thresholds)
        certain_count += int(rows_of.is_certain.all(axis=1).sum())
        probs = {name: np.asarray(run(ids)) for name, run in runs.items()}
        labels = {name: rows_of.choose(values) for name, values in probs.items()}
        for name, values in probs.items():
            is_wrong = (labels[name] != rows_of.expected) & rows_of.is_certain
            wrong[name] += int(is_wrong.any(axis=1).sum())
            ratio = (np.abs(expected.values - values) / expected.bounds).max()
            max_ratio[name] = max(max_ratio[name], float(np.nan_to_num(ratio, nan=1e300)))
        for name in forms:
            differing[name] += int((labels[name] != labels["keras"]).any(axis=1).sum())
        if text_session is not None:
            answers = text_session.run(to_batch([decisions.texts[i] for i in chosen]))[0]
            differing[TEXT_NAME] += int((rows_of.choose_per_label(answers) != labels["keras"]).any(axis=1).sum())
    return DecisionsReport(decisions.dataset, len(rows), certain_count, differing, wrong, max_ratio)


class _Labels:
    """How the labels of a batch of texts are chosen.

    Attributes:
        expected: `(rows, decisions)`, what the reference decides.
        is_certain: `(rows, decisions)`, whether no rounding within the bounds can change a decision. A text has one
            decision, or one for each label if it may have several labels.
    """

    def __init__(self, expected: Decisions, thresholds: Sequence[float]) -> None:
        """Takes what the reference decides, and the threshold of each label if a text may have several labels."""
        self._head, self._thresholds = expected.head, np.array(thresholds)
        chosen, is_certain = expected.label_ids, expected.is_certain
        if thresholds:
            chosen = self.choose(expected.values)
            is_certain = np.abs(expected.values - self._thresholds) > expected.bounds
        self.expected = chosen.reshape(len(chosen), -1)
        self.is_certain = is_certain.reshape(len(is_certain), -1)

    def choose(self, values: np.ndarray) -> np.ndarray:
        """Returns the decisions for outputs of the network, `(rows, decisions)`."""
        if self._thresholds.size:
            return np.asarray(values.astype(np.float64) >= self._thresholds)
        return label_ids(self._head, values).reshape(len(values), -1)

    def choose_per_label(self, probs: np.ndarray) -> np.ndarray:
        """Returns the decisions for the outputs of a text form, which have a probability for each label."""
        if self._thresholds.size:
            return self.choose(probs)
        return np.asarray(probs.argmax(axis=-1)[:, None])


def _keras_of(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from ids to Keras's own answers. It runs eagerly if a graph of the model would be wrong."""
    if not has_time_distributed(model):
        predict: Callable[[np.ndarray], np.ndarray] = model.predict_on_batch
        return predict
    return lambda ids: np.asarray(model(ids, training=False))


class _Run:
    """Runs a form on batches of ids; a streaming form starts with states of zero."""

    def __init__(self, form: Rewritten) -> None:
        self._session = Session(form.model.SerializeToString(), device="cpu")
        self._carried = form.carried

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        return self._session.run({INPUT_NAME: ids, **zero_states(self._carried, len(ids))})[0]
