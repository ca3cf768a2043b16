"""Takes the validation part of a data set from another data set. Needs NumPy only."""

from __future__ import annotations

import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.datasets.label_sets import LabelSetDataset
from rnnx.datasets.ratings import RatingDataset
from rnnx.datasets.sentences import TaggedDataset
from rnnx.datasets.series import SeriesDataset
from rnnx.datasets.texts import Dataset
from rnnx.errors import DataError

_AnyDataset: TypeAlias = Dataset | LabelSetDataset | RatingDataset | TaggedDataset | SeriesDataset


def with_validation(dataset: _AnyDataset, other: _AnyDataset) -> _AnyDataset:
    """Returns a data set whose validation part is the training part of another one.

    Args:
        dataset: What to train on.
        other: A data set of the same kind, whose labels are among those of `dataset`.

    Raises:
        DataError: If it is of another kind, or has labels of its own; the message names them.
    """
    match dataset, other:
        case Dataset(), Dataset():
            part = dataclasses.replace(other.train, label_ids=_label_ids(dataset, other)[other.train.label_ids])
            return dataclasses.replace(dataset, validation=part)
        case TaggedDataset(), TaggedDataset():
            ids = _label_ids(dataset, other)
            words = dataclasses.replace(other.train, tag_ids=[ids[row] for row in other.train.tag_ids])
            return dataclasses.replace(dataset, validation=words)
        case SeriesDataset(), SeriesDataset() if dataset.task == other.task and dataset.features == other.features:
            targets = other.train.targets
            if dataset.task == "classification":
                targets = _label_ids(dataset, other)[other.train.label_ids]
            elif targets.shape[1] != dataset.train.targets.shape[1]:
                raise DataError(f"{other.name}: y has {targets.shape[1]} values, not {dataset.train.targets.shape[1]}")
            return dataclasses.replace(dataset, validation=dataclasses.replace(other.train, targets=targets))
        case SeriesDataset(), SeriesDataset():
            raise DataError(f"{other.name}: x has {other.features} features, not {dataset.features} as for training")
    raise DataError(f"{other.name}: the validation data should be of the same kind as {dataset.name}")


def _label_ids(dataset: _AnyDataset, other: _AnyDataset) -> npt.NDArray[np.int32]:
    """The ids that the labels of the other data set have in this one, `(other labels,)` int32."""
    if strange := [label for label in other.labels if label not in dataset.labels]:
        raise DataError(
            f"{other.name}: the validation data have labels that the training data lack: {', '.join(strange[:5])}"
        )
    return np.array([dataset.labels.index(label) for label in other.labels], np.int32)
