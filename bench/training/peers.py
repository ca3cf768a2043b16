"""Measures systems on labelled texts: `rnnx` by its commands, and simpler peers on the same split.

The peers are logistic regressions on words or characters, and fastText if it is installed (`pip install
fasttext-numpy2-wheel`). Each measurement has its accuracy, its macro F1 and the processor time of the training.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.training.text_sets import Rows, TextSet, write_csv
from rnnx.metrics.figures import measure_macro_f1

_MOST_FEATURES = 60_000
# A learning rate, and the shortest and the longest run of characters (0: none). Without spaces there are no words.
_FASTTEXT_WORDS = ((0.1, 1, 4), (0.5, 0, 0), (1.0, 2, 4))
_FASTTEXT_CHARACTERS = ((0.1, 1, 4), (0.5, 1, 4))
_HELD_OUT_EVERY = 10


class Scores(NamedTuple):
    """The figures of a system on a test part.

    Attributes:
        accuracy: The share of right labels, in 0..1; the micro F1 of a task with several labels per text.
        macro_f1: The mean F1 of the labels, in 0..1.
        cpu_s: The processor time of training and testing, in seconds.
    """

    accuracy: float
    macro_f1: float
    cpu_s: float


def score(expected: Sequence[str], actual: Sequence[str], cpu_s: float) -> Scores:
    """Compares predicted labels with the right ones."""
    names = sorted({*expected, *actual})
    ids = {name: i for i, name in enumerate(names)}
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, ([ids[name] for name in expected], [ids[name] for name in actual]), 1)
    return Scores(float(confusion.diagonal().sum() / confusion.sum()), measure_macro_f1(confusion), cpu_s)


def measure_rnnx(folder: Path, rows: TextSet, *options: str) -> Scores:
    """Trains on texts, exports and evaluates by the commands of rnnx.

    Args:
        folder: Where the tables, the run and the bundle go; a bundle that is there is not trained again.
        rows: The texts.
        options: Further options of `rnnx train`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for part, examples in (("train", rows.train), ("test", rows.test)):
        write_csv(folder / f"{part}.csv", examples)
    return train_and_evaluate(folder, folder / "train.csv", folder / "test.csv", *options)


def train_and_evaluate(folder: Path, train: Path, test: Path, *options: str, figure: str = "accuracy") -> Scores:
    """Trains, exports and evaluates by the commands of rnnx.

    Args:
        folder: Where the run and the bundle go; a bundle that is there is not trained again.
        train: The training data.
        test: The test data; if it is the same file, its test part.
        options: Further options of `rnnx train`.
        figure: The figure of `rnnx evaluate` that is compared.
    """
    bundle, before = folder / "bundle", _children_cpu_s()
    if not bundle.exists():
        run_rnnx("train", str(train), *options, "--out", str(folder / "run"), "--fresh")
        run_rnnx("export", str(folder / "run"), "--out", str(bundle))
    figures = json.loads(run_rnnx("evaluate", str(bundle), str(test), "--json"))
    return Scores(figures[figure], figures["macro_f1"], _children_cpu_s() - before)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_rnnx(*arguments: str) -> str:
    """Runs a command of rnnx and returns what it prints.

    Raises:
        SystemExit: If it fails; the message holds its stderr.
    """
    command = [sys.executable, "-m", "rnnx", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def measure_logistic(rows: TextSet, analyzer: str, lengths: tuple[int, int]) -> Scores:
    """Fits a logistic regression on tf-idf.

    Args:
        rows: The texts.
        analyzer: `word`, `char` or `char_wb` (characters within words).
        lengths: The fewest and the most words or characters of a feature.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    began = time.process_time()
    features = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, max_features=_MOST_FEATURES, sublinear_tf=True)
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000))
    model.fit([text for _, text in rows.train], [label for label, _ in rows.train])
    predicted = list(model.predict([text for _, text in rows.test]))
    return score([label for label, _ in rows.test], predicted, time.process_time() - began)


def measure_words(rows: TextSet) -> Scores | None:
    """Fits a logistic regression on words and pairs of words; None if no spaces separate words."""
    return measure_logistic(rows, "word", (1, 2)) if rows.has_spaces else None


def measure_characters(rows: TextSet) -> Scores:
    """Fits a logistic regression on one to three characters, or on two to four within words."""
    return measure_logistic(rows, "char_wb", (2, 4)) if rows.has_spaces else measure_logistic(rows, "char", (1, 3))


def measure_fasttext(rows: TextSet) -> Scores | None:
    """Trains fastText on words, pairs of words, and characters; None if it is not installed.

    The learning rate and the lengths of the characters are chosen on every tenth training text. The default rate, 0.1,
    is too low for many labels.
    """
    if find_spec("fasttext") is None:
        return None
    began = time.process_time()
    chosen = [row for number, row in enumerate(rows.train) if number % _HELD_OUT_EVERY]
    held_out = rows.train[::_HELD_OUT_EVERY]
    settings = _FASTTEXT_WORDS if rows.has_spaces else _FASTTEXT_CHARACTERS
    tried = {setting: _fasttext(chosen, held_out, *setting) for setting in settings}
    best = max(tried, key=lambda setting: score(_labels(held_out), tried[setting], 0).accuracy)
    predicted = _fasttext(rows.train, rows.test, *best)
    return score(_labels(rows.test), predicted, time.process_time() - began)


def _fasttext(train: Rows, test: Rows, rate: float, shortest: int, longest: int) -> list[str]:
    """Trains fastText with a learning rate and characters of some lengths, and returns the labels of the test rows."""
    import fasttext

    names = sorted({label for label, _ in train})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train"
        lines = (f"__label__{names.index(label)} {_one_line(text)}\n" for label, text in train)
        path.write_text("".join(lines), encoding="utf-8")
        options = {"epoch": 25, "wordNgrams": 2, "minn": shortest, "maxn": longest, "thread": 1, "verbose": 0}
        answers, _ = fasttext.train_supervised(str(path), lr=rate, **options).predict(
            [_one_line(text) for _, text in test]
        )
    return [names[int(answer[0].removeprefix("__label__"))] for answer in answers]


def _labels(rows: Rows) -> list[str]:
    return [label for label, _ in rows]


def _one_line(text: str) -> str:
    return " ".join(text.split())


PEERS: dict[str, Callable[[TextSet], Scores | None]] = {
    "logistic regression on words": measure_words,
    "on characters": measure_characters,
    "fastText": measure_fasttext,
}


class Measured:
    """Figures that are kept in a file, so that an interrupted measurement goes on."""

    def __init__(self, path: Path) -> None:
        """Reads the file, if it is there."""
        self._path = path
        self._figures: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def get(self, name: str, measure: Callable[[], float | None]) -> float | None:
        """Returns a figure, measured if it is not in the file."""
        figure: float | None = self._get(name, measure)
        return figure

    def get_scores(self, name: str, measure: Callable[[], Scores | None]) -> Scores | None:
        """Returns the figures of a system, measured if they are not in the file."""
        figures = self._get(name, measure)
        return None if figures is None else Scores(*figures)

    def _get(self, name: str, measure: Callable[[], Any]) -> Any:
        if name not in self._figures:
            self._figures[name] = measure()
            self._path.write_text(json.dumps(self._figures, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: {self._figures[name]}", file=sys.stderr)
        return self._figures[name]
