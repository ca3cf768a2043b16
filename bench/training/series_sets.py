"""Reads public sets of sequences as they are published: `.ts` files, whose rows end in a label."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class SeriesSet(NamedTuple):
    """Sequences with labels, in two parts.

    Attributes:
        train: `(time, features)` float32 each, to train on.
        train_labels: Their labels.
        test: The sequences to measure on, which choose nothing.
        test_labels: Their labels.
    """

    train: list[npt.NDArray[np.float32]]
    train_labels: list[str]
    test: list[npt.NDArray[np.float32]]
    test_labels: list[str]

    @property
    def majority(self) -> float:
        """The share of the most frequent label of the test part."""
        return max(map(self.test_labels.count, set(self.test_labels))) / len(self.test_labels)

    def padded(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Both parts as `(count, time, features)`, with zeros at the end."""
        steps = max(map(len, [*self.train, *self.test]))
        parts = (
            np.stack([np.pad(row, ((0, steps - len(row)), (0, 0))) for row in rows]) for rows in (self.train, self.test)
        )
        first, second = parts
        return first, second


def read_series(folder: Path, name: str) -> SeriesSet:
    """Reads `series_ts/NAME_TRAIN.ts` and `NAME_TEST.ts`: dimensions are separated by `:`, numbers by commas."""
    parts: list[tuple[list[npt.NDArray[np.float32]], list[str]]] = []
    for part in ("TRAIN", "TEST"):
        rows, labels = [], []
        for line in (folder / "series_ts" / f"{name}_{part}.ts").read_text(encoding="utf-8").split("\n"):
            if line.strip() and line[0] not in "#@":
                *dimensions, label = line.strip().split(":")
                rows.append(np.array([values.split(",") for values in dimensions], np.float32).T)
                labels.append(label)
        parts.append((rows, labels))
    return SeriesSet(*parts[0], *parts[1])


def write_npz(path: Path, series: SeriesSet) -> None:
    """Writes both parts as `rnnx train` reads them."""
    train, test = series.padded()
    np.savez(
        path,
        x=train,
        y=np.array(series.train_labels),
        lengths=np.array([len(row) for row in series.train]),
        x_test=test,
        y_test=np.array(series.test_labels),
        lengths_test=np.array([len(row) for row in series.test]),
    )
