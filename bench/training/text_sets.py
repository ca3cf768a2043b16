"""Reads public sets of labelled texts as they are published, for `bench.training.languages` and `ten_tasks`.

Where a set has no split of its own, every fifth row is its test part.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

Rows = list[tuple[str, str]]  # a label and a text each

_TEST_EVERY = 5


class TextSet(NamedTuple):
    """Labelled texts in two parts.

    Attributes:
        train: The rows to train on.
        test: The rows to measure on, which choose nothing.
        has_spaces: Whether spaces separate the words.
    """

    train: Rows
    test: Rows
    has_spaces: bool

    @property
    def majority(self) -> float:
        """The share of the most frequent label of the test part."""
        labels = [label for label, _ in self.test]
        return max(map(labels.count, set(labels))) / len(labels)


def read_waimai(folder: Path) -> TextSet:
    """Reads reviews of meals that were delivered, in Chinese: `waimai/waimai_10k.csv`."""
    with (folder / "waimai" / "waimai_10k.csv").open(encoding="utf-8-sig", newline="") as file:
        return _split([(row[0], row[1]) for row in csv.reader(file)][1:])


def read_shopping(folder: Path, column: int) -> TextSet:
    """Reads reviews of an online shop, in Chinese: `online_shopping/online_shopping_10_cats.zip`.

    Args:
        folder: The folder of all sets.
        column: The column of the label: 0 for one of ten categories, 1 for good or bad.
    """
    with zipfile.ZipFile(folder / "online_shopping" / "online_shopping_10_cats.zip") as archive:
        text = archive.read(archive.namelist()[0]).decode("utf-8-sig")
    return _split([(row[column], row[2]) for row in csv.reader(io.StringIO(text, newline=""))][1:])


def read_germeval(folder: Path, column: int) -> TextSet:
    """Reads offensive and other tweets, in German: `germeval2018/`, which has two parts.

    Args:
        folder: The folder of all sets.
        column: The column of the label: 1 for two classes, 2 for four.
    """
    parts = []
    for name in ("germeval2018.training.txt", "germeval2018.test.txt"):
        lines = (folder / "germeval2018" / name).read_text(encoding="utf-8").split("\n")
        parts.append([(line.split("\t")[column].strip(), line.split("\t")[0]) for line in lines if line.strip()])
    return TextSet(parts[0], parts[1], has_spaces=True)


def read_banking(folder: Path) -> TextSet:
    """Reads questions to a bank with 77 labels, in English: `banking77/`, which has two parts."""
    parts = []
    for name in ("train", "test"):
        with (folder / "banking77" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            parts.append([(row[1], row[0]) for row in csv.reader(file)][1:])
    return TextSet(parts[0], parts[1], has_spaces=True)


def read_emotions(folder: Path) -> TextSet:
    """Reads sentences with one of six emotions, in English: `emotion_nlp/`; its validation part is trained on, too."""
    parts = {}
    for name in ("train", "val", "test"):
        lines = (folder / "emotion_nlp" / f"{name}.txt").read_text(encoding="utf-8").split("\n")
        cells = [line.rpartition(";") for line in lines if line.strip()]
        parts[name] = [(label.strip(), text) for text, _, label in cells]
    return TextSet(parts["train"] + parts["val"], parts["test"], has_spaces=True)


SETS: dict[str, Callable[[Path], TextSet]] = {
    "waimai": read_waimai,
    "online_shopping, label": lambda folder: read_shopping(folder, 1),
    "online_shopping, category": lambda folder: read_shopping(folder, 0),
    "GermEval 2018, two classes": lambda folder: read_germeval(folder, 1),
    "GermEval 2018, four classes": lambda folder: read_germeval(folder, 2),
}


def write_csv(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    """Writes rows with the header `label,text`."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("label", "text"), *rows])


def _split(rows: Rows) -> TextSet:
    train = [row for number, row in enumerate(rows, 1) if number % _TEST_EVERY]
    return TextSet(train, rows[_TEST_EVERY - 1 :: _TEST_EVERY], has_spaces=False)
