"""What the cells of a row are for a model: one label, several labels, or a number; one class for each task.

`choose_target` chooses the class once, when a table is opened. A new task on texts is one more class here.
"""

from __future__ import annotations

import json
import math
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar

from rnnx.datasets.column_names import LABEL_NAMES, RATING_NAMES
from rnnx.datasets.label_checks import warn_of_labels
from rnnx.datasets.label_sets import LabelSetDataset
from rnnx.datasets.ratings import RatingDataset
from rnnx.datasets.row_checks import SHOULD
from rnnx.datasets.table_form import Columns, Listener
from rnnx.datasets.texts import Dataset

T = TypeVar("T")
TextTask: TypeAlias = Literal["classification", "multilabel", "regression"]
TextDataset: TypeAlias = Dataset | LabelSetDataset | RatingDataset

# With at least so many different numbers as labels, the user is told how to predict a number.
_MANY_NUMBERS = 8
# A list as JSON, Python or NumPy writes it: names with or without quotes, separated by commas or blanks.
_LIST_ITEM = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^\s,"']+))\s*,?""")


class Target(ABC, Generic[T]):
    """What the cells of a row are.

    Attributes:
        usual_names: The usual names of the column, in the order in which they are looked for.
    """

    usual_names: ClassVar[Sequence[str]] = LABEL_NAMES

    def problem(self, text: object, cells: Sequence[object]) -> str | None:
        """Says why a row is bad; None if it is good."""
        if text is None:
            return "there is no text"
        if not isinstance(text, str | bytes):
            return f"the text should be a string, not {text!r:.40}"
        try:
            self.value(cells)
        except ValueError as error:
            return str(error)
        return None

    @abstractmethod
    def value(self, cells: Sequence[object]) -> T:
        """Reads the cells of a row.

        Raises:
            ValueError: If they are not what they should be; the message says so in a sentence.
        """

    @abstractmethod
    def dataset(self, name: str, rows: list[tuple[bytes, T]], path: Path, listener: Listener) -> TextDataset:
        """Makes a data set of the rows, and sends warnings of what is probably wrong with them.

        Raises:
            DataError: If there are no rows to learn from.
        """


class OneLabel(Target[str]):
    """One label for each text."""

    def problem(self, text: object, cells: Sequence[object]) -> str | None:
        """See `Target`."""
        (label,) = cells
        has_text = text is not None
        has_label = label is not None and not (isinstance(label, str) and not label.strip())
        if not has_text or not has_label:
            missing = "label" if has_text else "text" if has_label else "text and no label"
            return f"{SHOULD}, but there is no {missing}"
        # JSON: 0 and 1, true and false
        if not isinstance(text, str | bytes) or not isinstance(label, str | int):
            hint = "; rnnx train --task multilabel reads several labels" if isinstance(label, list) else ""
            hint = "; rnnx train --task regression predicts a number" if isinstance(label, float) else hint
            return f"{SHOULD}, not {text!r:.40}, {label!r:.40}{hint}"
        return None

    def value(self, cells: Sequence[object]) -> str:
        """See `Target`."""
        (label,) = cells
        return label.strip() if isinstance(label, str) else json.dumps(label)

    def dataset(self, name: str, rows: list[tuple[bytes, str]], path: Path, listener: Listener) -> Dataset:
        """See `Target`."""
        counts = Counter(label for _, label in rows)
        warn_of_labels(str(path), counts, listener)
        if counts and all(label.startswith("[") and label.endswith("]") for label in counts):
            listener.on_warning(
                f"{path}: the labels look like lists; rnnx train --task multilabel reads several labels per text"
            )
        elif len(counts) >= _MANY_NUMBERS and all(_is_number(label) for label in counts):
            listener.on_warning(
                f"{path}: the labels are {len(counts):,} different numbers, and each is taken for a label of its own; "
                "rnnx train --task regression predicts a number, such as a rating"
            )
        return Dataset.from_pairs(name, rows)


class SeveralLabels(Target[tuple[str, ...]]):
    """Any number of labels for each text: a list, or a cell with a delimiter between them."""

    def __init__(self, delimiter: str | None = None) -> None:
        """Takes what separates the labels in a cell; None if a cell is a list, or one label."""
        self._delimiter = delimiter

    def value(self, cells: Sequence[object]) -> tuple[str, ...]:
        """See `Target`."""
        (cell,) = cells
        # An empty cell can only mean that there is no label. A JSON null is a text that nobody has labelled.
        if cell is None:
            raise ValueError("there are no labels; an empty list is a text without a label")
        return tuple(dict.fromkeys(self._names(cell)))

    def _names(self, cell: object) -> list[str]:
        if isinstance(cell, str):
            cell = cell.strip()
            if self._delimiter is not None:
                cell = cell.split(self._delimiter)
            elif cell.startswith("[") and cell.endswith("]"):
                cell = _parse_list(cell)
            else:
                cell = [cell]
        if isinstance(cell, int):  # JSON: 0 and 1, true and false
            cell = [cell]
        if not isinstance(cell, list | tuple) or not all(isinstance(name, str | int) for name in cell):
            raise ValueError(f"the labels should be a list of names, not {cell!r:.40}")
        names = [name.strip() if isinstance(name, str) else json.dumps(name) for name in cell]
        return [name for name in names if name]

    def dataset(
        self, name: str, rows: list[tuple[bytes, tuple[str, ...]]], path: Path, listener: Listener
    ) -> LabelSetDataset:
        """See `Target`."""
        warn_of_labels(str(path), Counter(label for _, labels in rows for label in labels), listener)
        if rows and all(len(labels) < 2 for _, labels in rows):
            listener.on_warning(
                f"{path}: no text has more than one label; if a cell holds several, --label-delimiter says what "
                "separates them"
            )
        return LabelSetDataset.from_pairs(name, rows)


class ZeroOneColumns(SeveralLabels):
    """Any number of labels for each text: a column for each label, with 0 or 1."""

    def __init__(self, labels: Sequence[str]) -> None:
        """Takes the names of the labels, in the order of the columns."""
        super().__init__()
        self._labels = tuple(labels)

    def value(self, cells: Sequence[object]) -> tuple[str, ...]:
        """See `Target`."""
        return tuple(label for label, cell in zip(self._labels, cells, strict=True) if _is_set(label, cell))

    def dataset(
        self, name: str, rows: list[tuple[bytes, tuple[str, ...]]], path: Path, listener: Listener
    ) -> LabelSetDataset:
        """See `Target`."""
        if unused := sorted(set(self._labels) - {label for _, labels in rows for label in labels}):
            listener.on_warning(f"{path}: no text has the label {', '.join(unused)}; it is left out")
        return LabelSetDataset.from_pairs(name, rows)


class Number(Target[float]):
    """A number for each text, such as a rating."""

    usual_names = RATING_NAMES

    def value(self, cells: Sequence[object]) -> float:
        """See `Target`."""
        (cell,) = cells
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            raise ValueError("there is no number")
        try:
            # A bool is an int for Python. pyarrow gives a Decimal, which float takes.
            number = float("" if isinstance(cell, bool) else cell)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            hint = "; write it with a point" if re.fullmatch(r"\s*[+-]?\d+,\d+\s*", str(cell)) else ""
            raise ValueError(f"there should be a number, not {cell!r:.40}{hint}") from None
        if not math.isfinite(number):
            raise ValueError(f"there should be a finite number, not {cell!r:.40}")
        return number

    def dataset(self, name: str, rows: list[tuple[bytes, float]], path: Path, listener: Listener) -> RatingDataset:
        """See `Target`."""
        return RatingDataset.from_pairs(name, rows)


def choose_target(task: TextTask | None, columns: Columns, sample: Sequence[object], listener: Listener) -> Target[Any]:
    """Chooses what the cells of a table are.

    Args:
        task: What the user said; None takes several labels where the data leave no doubt, else one label.
        columns: What the user said about the columns; label columns and a label delimiter mean several labels.
        sample: The cells of the first rows in the column of the labels.
        listener: Takes a note if several labels were found.
    """
    match task:
        case "regression":
            return Number()
        case "classification":
            return OneLabel()
    if columns.labels:
        return ZeroOneColumns(columns.labels)
    if task is None and columns.label_delimiter is None and any(isinstance(cell, list) for cell in sample):
        listener.on_note("the labels are lists: several labels for each text (--task multilabel)")
        return SeveralLabels()
    return SeveralLabels(columns.label_delimiter) if task or columns.label_delimiter else OneLabel()


def column_names(task: TextTask | None) -> Sequence[str]:
    """The usual names of the column that a task reads."""
    return (Number if task == "regression" else OneLabel).usual_names


def with_first_column(columns: Columns) -> Columns:
    """Takes the first of several label columns for the column of the label, so that it is looked for as that."""
    return replace(columns, label=columns.labels[0]) if columns.labels else columns


def require_labelled(data: TextDataset) -> Dataset:
    """Returns a data set that was read for the task `classification`, as the type that it has."""
    if not isinstance(data, Dataset):
        raise TypeError(f"{data.name}: read for another task than classification")
    return data


def _parse_list(cell: str) -> list[object]:
    """Reads a list as JSON, Python or NumPy writes it.

    Raises:
        ValueError: If it is none of these.
    """
    try:
        found = json.loads(cell)
        if isinstance(found, list):
            return found
    except ValueError:
        pass
    items: list[object] = []
    place, end = 1, len(cell.rstrip()) - 1
    while cell[place:end].strip():
        match = _LIST_ITEM.match(cell, place, end)
        if match is None:
            raise ValueError(f"the labels should be a list of names, not {cell!r:.40}")
        items.append(next(name for name in match.groups() if name is not None))
        place = match.end()
    return items


def _is_set(label: str, cell: object) -> bool:
    """Whether a cell of a label's column says that the text has the label.

    Raises:
        ValueError: If it is neither 0 nor 1.
    """
    text = str(cell).strip().casefold() if cell is not None else ""
    if text in ("1", "1.0", "true"):
        return True
    if text in ("0", "0.0", "false"):
        return False
    raise ValueError(f"the column {label} should hold 0 or 1, not {cell!r:.40}")


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
