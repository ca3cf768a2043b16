"""Measures systems that give a text several labels: `rnnx` by its commands, and simpler peers on the same split.

The first figure of a system is its micro F1, over all pairs of a text and a label, and the second its macro F1. The
peers are one logistic regression for each label, and fastText with one logistic loss for each label. They give a label
from a probability of 0.5 on, or from a threshold of its own on, which is fitted on every tenth training text as rnnx
fits its own on what it holds out; the better of both on these texts is taken.
"""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.training.peers import Scores, train_and_evaluate
from rnnx.metrics.several_labels import fit_thresholds, measure_label_sets

LabelSetRows = list[tuple[tuple[str, ...], str]]  # labels and a text each
Probs = npt.NDArray[np.float64]
# Trains on the first rows, and returns the probabilities `(rows, labels)` of the second ones.
Fit = Callable[["LabelSetTexts", LabelSetRows, LabelSetRows], Probs]

_HELD_OUT_EVERY = 10
_MOST_FEATURES = 60_000
_FASTTEXT = {"epoch": 25, "lr": 0.5, "wordNgrams": 2, "minn": 2, "maxn": 4, "loss": "ova", "thread": 1, "verbose": 0}


class LabelSetTexts(NamedTuple):
    """Texts with any number of labels each, in two parts.

    Attributes:
        train: The rows to train on.
        test: The rows to measure on, which choose nothing.
        labels: The name of each label.
    """

    train: LabelSetRows
    test: LabelSetRows
    labels: tuple[str, ...]

    @property
    def majority(self) -> float:
        """The micro F1 of giving the most frequent label to every text of the test part."""
        has_label = self.has_label(self.test)
        always = np.zeros_like(has_label)
        always[:, self.has_label(self.train).sum(axis=0).argmax()] = True
        return measure_label_sets(has_label, always, self.labels).micro_f1

    def has_label(self, rows: LabelSetRows) -> npt.NDArray[np.bool_]:
        """Whether a text has a label, `(rows, labels)`."""
        return np.array([[label in given for label in self.labels] for given, _ in rows])


def read_cedr(folder: Path) -> LabelSetTexts:
    """Reads sentences with any of five emotions, in Russian: `cedr/`, which has two parts."""
    parts = []
    for name in ("train", "test"):
        with (folder / "cedr" / f"cedr-main-{name}.csv").open(encoding="utf-8", newline="") as file:
            parts.append([(tuple(row["labels"].strip("[]").split()), row["text"]) for row in csv.DictReader(file)])
    return LabelSetTexts(parts[0], parts[1], tuple(sorted({label for given, _ in parts[0] for label in given})))


def measure_rnnx(folder: Path, rows: LabelSetTexts, *options: str) -> Scores:
    """Trains on texts with several labels, exports and evaluates by the commands of rnnx.

    Args:
        folder: Where the tables, the run and the bundle go; a bundle that is there is not trained again.
        rows: The texts.
        options: Further options of `rnnx train`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, examples in (("train", rows.train), ("test", rows.test)):
        lines = (json.dumps({"text": text, "labels": given}) + "\n" for given, text in examples)
        (folder / f"{part}.jsonl").write_text("".join(lines), encoding="utf-8")
    return train_and_evaluate(folder, folder / "train.jsonl", folder / "test.jsonl", *options, figure="micro_f1")


def measure_peer(rows: LabelSetTexts, fit: Fit) -> Scores:
    """Measures a peer, with thresholds at 0.5 or fitted ones, whichever is better on every tenth training text.

    Args:
        rows: The texts.
        fit: Trains the peer on rows, and returns the probabilities `(rows, labels)` of other rows.
    """
    began = time.process_time()
    chosen = [row for number, row in enumerate(rows.train) if number % _HELD_OUT_EVERY]
    held_out = rows.train[::_HELD_OUT_EVERY]
    probs, has_label = fit(rows, chosen, held_out), rows.has_label(held_out)
    candidates = (np.full(len(rows.labels), 0.5), np.array(fit_thresholds(probs, has_label)))
    figures = [measure_label_sets(has_label, probs >= candidate, rows.labels).micro_f1 for candidate in candidates]
    thresholds = candidates[int(np.argmax(figures))]
    found = measure_label_sets(rows.has_label(rows.test), fit(rows, rows.train, rows.test) >= thresholds, rows.labels)
    return Scores(found.micro_f1, found.macro_f1, time.process_time() - began)


def measure_words(rows: LabelSetTexts) -> Scores:
    """Fits a logistic regression for each label, on words and pairs of words."""
    return measure_peer(rows, partial(_logistic, analyzer="word", lengths=(1, 2)))


def measure_characters(rows: LabelSetTexts) -> Scores:
    """Fits a logistic regression for each label, on two to four characters within words."""
    return measure_peer(rows, partial(_logistic, analyzer="char_wb", lengths=(2, 4)))


def measure_fasttext(rows: LabelSetTexts) -> Scores | None:
    """Trains fastText on words, pairs of words and characters; None if it is not installed."""
    return None if find_spec("fasttext") is None else measure_peer(rows, _fasttext)


LABEL_SET_PEERS: dict[str, Callable[[LabelSetTexts], Scores | None]] = {
    "logistic regression on words": measure_words,
    "on characters": measure_characters,
    "fastText": measure_fasttext,
}


def _logistic(
    rows: LabelSetTexts, train: LabelSetRows, test: LabelSetRows, analyzer: str, lengths: tuple[int, int]
) -> Probs:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline

    features = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, max_features=_MOST_FEATURES, sublinear_tf=True)
    model = make_pipeline(features, OneVsRestClassifier(LogisticRegression(C=10, max_iter=1000)))
    model.fit([text for _, text in train], rows.has_label(train).astype(int))
    return np.asarray(model.predict_proba([text for _, text in test]))


def _fasttext(rows: LabelSetTexts, train: LabelSetRows, test: LabelSetRows) -> Probs:
    import fasttext

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train"
        # fastText skips a line without a label, so texts without one get a label that is not read.
        names = {label: f"__label__{number}" for number, label in enumerate(rows.labels)}
        lines = (
            " ".join([*([names[label] for label in given] or ["__label__none"]), *text.split()])
            for given, text in train
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        answers = fasttext.train_supervised(str(path), **_FASTTEXT).predict(
            [" ".join(text.split()) for _, text in test], k=-1
        )
    probs = np.zeros((len(test), len(rows.labels)))
    for row, (given, found) in enumerate(zip(*answers, strict=True)):
        for name, prob in zip(given, found, strict=True):
            if (number := name.removeprefix("__label__")) != "none":
                probs[row, int(number)] = prob
    return probs
