"""Reads the data set of `rnnx train`, and the other one that `--validation` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnx.cli.table_options import make_listener
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from rnnx.datasets import AnyDataset, Columns, TableForm, TextTask


def load_training_data(
    dataset: str,
    task: TextTask | None,
    data_dir: Path | None,
    columns: Columns,
    form: TableForm,
) -> AnyDataset:
    """Reads the data set, and says what was found out about it."""
    from rnnx.datasets import kind_of, load_any

    kind = kind_of(dataset, columns)
    if task is not None and kind == "sentences":
        raise UsageError(f"--task is for texts and for sequences of numbers, not for {dataset}")
    if (columns.labels or columns.label_delimiter) and task not in (None, "multilabel"):
        raise UsageError(f"--label-columns and --label-delimiter are for --task multilabel, not for {task}")
    return load_any(dataset, task, data_dir=data_dir, columns=columns, form=form, listener=make_listener())


def with_validation_data(data: AnyDataset, name: str, columns: Columns, form: TableForm) -> AnyDataset:
    """The data set with a validation part from a file of its own, which is read as the data set is."""
    from rnnx.datasets import LabelSetDataset, RatingDataset, SeriesDataset, load_any
    from rnnx.datasets.validation import with_validation

    if isinstance(data, LabelSetDataset | RatingDataset):
        raise UsageError(f"--validation is for texts with one label each; leave it out for {data.name}")
    task = data.task if isinstance(data, SeriesDataset) else "classification"
    return with_validation(data, load_any(name, task, columns=columns, form=form, listener=make_listener()))
