"""Compares the labels of a whole data set, text by text: those of Keras, of every form, and of the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np

from rnnx.bundle.directory import TEXT_NAME
from rnnx.export.keras_states import untraceable_reason
from rnnx.export.source import Source
from rnnx.proof.progress import track
from rnnx.proof.report import DecisionsReport
from rnnx.reference import INPUT_NAME, OUTPUT_NAME
from rnnx.reference.streaming import zero_states
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.decisions import decide, label_ids
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
        certain_count += int(expected.is_certain.sum())
        probs = {name: np.asarray(run(ids)) for name, run in runs.items()}
        labels = {name: label_ids(expected.head, values) for name, values in probs.items()}
        for name, values in probs.items():
            wrong[name] += int(((labels[name] != expected.label_ids) & expected.is_certain).sum())
            ratio = (np.abs(expected.values - values) / expected.bounds).max()
            max_ratio[name] = max(max_ratio[name], float(np.nan_to_num(ratio, nan=1e300)))
        for name in forms:
            differing[name] += int((labels[name] != labels["keras"]).sum())
        if text_session is not None:
            answers = text_session.run(to_batch([decisions.texts[i] for i in chosen]))[0]
            differing[TEXT_NAME] += int((answers.argmax(axis=-1) != labels["keras"].reshape(len(ids))).sum())
    return DecisionsReport(decisions.dataset, len(rows), certain_count, differing, wrong, max_ratio)


def _keras_of(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """Returns a function from ids to Keras's own answers. It runs eagerly if a graph of the model would be wrong."""
    if not untraceable_reason(model):
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
