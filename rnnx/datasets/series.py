"""Sequences of numbers as values, each with a label or values to be predicted, and their seeded split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelKind
from rnnx.datasets.hold_out import hold_out, hold_out_by_label
from rnnx.datasets.parts import Parts
from rnnx.errors import DataError

Numbers = npt.NDArray[np.float32]
SeriesTask = Literal["classification", "regression"]
_MOST_SHOWN = 5


@dataclass(frozen=True)
class Series:
    """Sequences with the label or the values of each.

    Attributes:
        rows: One `(time, features)` float32 per sequence, without padding; their times may differ.
        targets: `(count,)` int32, indices into the data set's labels; or `(count, outputs)` float32, values.
        noun: What one example is, for messages.
    """

    rows: Sequence[Numbers]
    targets: npt.NDArray[np.int32] | npt.NDArray[np.float32]

    noun: ClassVar[str] = "sequence"

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def inputs(self) -> Sequence[Numbers]:
        """The sequences: what a model is given of each example."""
        return self.rows

    @property
    def label_ids(self) -> npt.NDArray[np.int32]:
        """The targets as label ids, (count,); only for a data set with labels."""
        return self.targets.astype(np.int32)

    def take(self, indices: npt.NDArray[np.intp]) -> Series:
        """Picks sequences by index, in the given order."""
        return Series([self.rows[i] for i in indices], self.targets[indices])


@dataclass(frozen=True)
class SeriesDataset(Parts[Series]):
    """A data set of sequences of numbers; the validation part is held out from the training part.

    Attributes:
        task: Whether a sequence has a label or values; `labels` is empty for values.
        validation: The validation part, if it is a file of its own; None if some of `train` must be held out for it.
    """

    kind: ClassVar[ModelKind] = "sequences"

    task: SeriesTask
    validation: Series | None = None

    @property
    def features(self) -> int:
        """The number of features of each step."""
        return int(self.train.rows[0].shape[1])

    def summary(self) -> str:
        """Says how much there is to train on."""
        times = [len(row) for row in self.train.rows]
        steps = f"{min(times)}" if min(times) == max(times) else f"{min(times)} to {max(times)}"
        return f"{len(self.train):,} sequences of {steps} steps, {self.features} features each"


def split_series(dataset: SeriesDataset, fraction: float, seed: int) -> tuple[Series, Series]:
    """Splits the training part at random; if there are labels, each is split in the same proportion.

    Args:
        dataset: At least two sequences; if it has labels, at least two labels with two sequences each.
        fraction: The share of the second part, in 0..1.
        seed: The same seed gives the same split.

    Returns:
        The training part and the held-out part, each in the order of the data set.

    Raises:
        DataError: If there is a single sequence or label, or a label has a single sequence.
    """
    series = dataset.train
    if dataset.task == "classification":
        if len(dataset.labels) < 2:
            raise DataError(
                f"{dataset.name}: y holds one label ({dataset.labels[0]!r}); a classifier needs at least two"
            )
        counts = np.bincount(series.targets.astype(np.int64), minlength=len(dataset.labels))
        if single := [label for label, count in zip(dataset.labels, counts, strict=True) if count < 2]:
            shown = ", ".join(single[:_MOST_SHOWN]) + (", ..." if len(single) > _MOST_SHOWN else "")
            raise DataError(
                f"{dataset.name}: there is a single sequence of {shown}; at least two are needed, because one is held "
                "out (rnnx train --task regression, if y holds values)"
            )
        held_out = hold_out_by_label(series.targets.astype(np.int32), fraction, seed)
    elif len(series) < 2:
        raise DataError(f"{dataset.name}: there is a single sequence; at least two are needed, because one is held out")
    else:
        held_out = hold_out(len(series), fraction, seed)
    return series.take(np.flatnonzero(~held_out)), series.take(np.flatnonzero(held_out))
