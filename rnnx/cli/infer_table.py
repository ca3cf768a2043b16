"""`rnnx infer --text-column`: a table in, the same table with the answers out."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, cast

from rnnx.cli import terminal
from rnnx.cli.progress_bars import show_progress
from rnnx.cli.table_options import make_listener
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.datasets import TableForm
    from rnnx.infer.input_items import Answer
    from rnnx.infer.predictions import LabelSet, Prediction, Rating
    from rnnx.infer.predictor import Predictor

# Tables by their endings. `rnnx infer` must not import the readers to refuse them, so a test compares the two lists.
TABLE_ENDINGS = (
    *(".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json"),
    *(".parquet", ".arrow", ".feather", ".xlsx", ".ft"),
)
PACKING_ENDINGS = (".gz", ".bz2", ".xz", ".zst")
_SHOWN = 5


class AnswerColumns(ABC):
    """The columns that the answers of one kind of model add to a table; the columns of the labels come after them.

    Attributes:
        texts: The names of the columns of text.
        numbers: The names of the columns of numbers.
        labels: The labels whose probabilities have a column each; empty if they were not asked for.
    """

    texts: ClassVar[tuple[str, ...]] = ()
    numbers: ClassVar[tuple[str, ...]] = ()

    def __init__(self, labels: Sequence[str], *, has_lists: bool) -> None:
        """Takes the labels that have a column each, and whether a cell of the written table may be a list."""
        self.labels, self._has_lists = labels, has_lists

    @abstractmethod
    def cells(self, prediction: Any) -> list[object]:
        """Returns the cells of an answer."""

    def _probs(self, probs: dict[str, float]) -> list[object]:
        return [round(probs[label], 6) for label in self.labels]


class LabelColumns(AnswerColumns):
    """A label and its probability."""

    texts = ("label",)
    numbers = ("probability",)

    def cells(self, prediction: Prediction) -> list[object]:
        """See `AnswerColumns`."""
        return [prediction.label, round(prediction.probability, 6), *self._probs(prediction.probs)]


class LabelSetColumns(AnswerColumns):
    """All labels of a text: a list in JSON, elsewhere one cell with `|` between them."""

    texts = ("labels",)

    def cells(self, prediction: LabelSet) -> list[object]:
        """See `AnswerColumns`. A label that has a `|` itself makes a list of JSON of the cell."""
        labels = prediction.labels
        as_list = self._has_lists or any("|" in label for label in labels)
        return [list(labels) if as_list else "|".join(labels), *self._probs(prediction.probs)]


class RatingColumns(AnswerColumns):
    """A number."""

    numbers = ("value",)

    def cells(self, prediction: Rating) -> list[object]:
        """See `AnswerColumns`."""
        return [float(f"{prediction.value:.7g}")]


# By `ModelConfig.task`, of models that read texts.
ANSWER_COLUMNS: dict[str, type[AnswerColumns]] = {
    "classification": LabelColumns,
    "multilabel": LabelSetColumns,
    "regression": RatingColumns,
}


def is_table_name(file: str) -> bool:
    """Whether a file has the name of a table, packed or not."""
    name = file.lower()
    for ending in PACKING_ENDINGS:
        name = name.removesuffix(ending)
    return name.endswith(TABLE_ENDINGS)


def require_no_table(files: Sequence[str], *, has_labels: bool) -> None:
    """Refuses tables that would be read as one text each.

    Args:
        files: The files as the user named them.
        has_labels: Whether the model can answer the rows of a table.

    Raises:
        UsageError: Names the options that read it.
    """
    for file in files:
        if is_table_name(file):
            column = "--text-column to answer each row, or " if has_labels else ""
            raise UsageError(f"{file}: is a table, not one text; give {column}--lines to answer each line")


def require_one_table(files: Sequence[str]) -> Path:
    """Returns the one table that a user names.

    Raises:
        UsageError: If it is not exactly one file.
    """
    from rnnx.infer.input_items import STDIN

    if len(files) > 1:
        raise UsageError("--text-column reads one table: give one FILE, or --out FOLDER for the answers to all")
    if files[0] == STDIN:
        raise UsageError("--text-column reads a table from a file, not from -: write stdin to a file first")
    return Path(files[0])


def infer_table(
    predictor: Predictor,
    model: str,
    files: Sequence[str],
    text_column: str,
    form: TableForm,
    out: Path | None,
    *,
    threshold: float,
    has_probs: bool,
    as_jsonl: bool,
) -> int:
    """Answers the rows of a table, and writes the table with the answers.

    Args:
        predictor: The loaded model.
        model: Its name as the user gave it.
        files: The one table.
        text_column: The column of the texts.
        form: How the table is written.
        out: Where the answers go; None for stdout.
        threshold: As in `Predictor.predict`.
        has_probs: Whether there is a column for each label.
        as_jsonl: Whether stdout gets JSON lines, not CSV.

    Returns:
        The exit code: 1 if a row has no answer.

    Raises:
        UsageError: If the model does not label texts, or there is not exactly one file.
    """
    from rnnx.datasets.column_names import add_columns
    from rnnx.datasets.packed_tables import find_table
    from rnnx.datasets.table_writers import open_writer
    from rnnx.datasets.tables import open_table
    from rnnx.files.places import require_file_place
    from rnnx.infer.encoders import TextReader
    from rnnx.infer.input_items import answer
    from rnnx.infer.table_items import TableRows

    columns_of = ANSWER_COLUMNS.get(predictor.config.task)
    if not isinstance(predictor.reader, TextReader) or columns_of is None:
        raise UsageError(f"--text-column is for models that label texts; {model} does not")
    if has_probs and not predictor.labels:
        raise UsageError(f"--probs is for models with labels; {model} gives a number")
    source = require_one_table(files)
    if out is not None and out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"--out {out}: is the table itself; give another name")
    if out is not None:
        require_file_place(out)
    listener = make_listener()
    table, column = open_table(find_table(source, listener), text_column, form, listener)
    names = list(table.names or ())
    labels = predictor.labels if has_probs else ()
    ending = out.suffix.lower() if out else ".jsonl" if as_jsonl else ".csv"
    kind = columns_of(labels, has_lists=ending in (".jsonl", ".ndjson"))
    columns = add_columns(names, [*kind.texts, *kind.numbers, *labels, "error"])
    rows = TableRows(str(source), table, column)
    failed = _Failed(str(source), table.place, kind)
    with _open(out) as file, show_progress("answering", is_wanted=out is not None) as update:
        writer = open_writer(file, ending, columns, table.schema, columns[len(names) + len(kind.texts) : -1])
        for done, (cells, given) in enumerate(rows.join(answer(predictor, rows.items(), threshold)), 1):
            writer.write([*cells, *failed.answer_cells(given)])
            update(done, "", None)
        writer.close()
    failed.report()
    if rows.more_count:
        terminal.warning(f"{source}: {rows.more_count:,} rows have more cells than columns, which are left out")
    return 1 if failed.count else 0


class _Failed:
    """Turns answers into cells, and counts the rows without one."""

    def __init__(self, source: str, place: str, columns: AnswerColumns) -> None:
        self._source, self._place, self._columns = source, place, columns
        self._shown: list[str] = []
        self._warning, self._warned_count = "", 0
        self.count = 0

    def answer_cells(self, answer: Answer) -> list[object]:
        if answer.prediction is not None:
            if answer.item.error:
                self._warned_count += 1
                self._warning = self._warning or f"{self._place} {answer.item.line}: {answer.item.error}"
            return [*self._columns.cells(answer.prediction), None]
        self.count += 1
        if len(self._shown) < _SHOWN:
            self._shown.append(f"{self._place} {answer.item.line}: {answer.item.error}")
        columns = self._columns
        return [None] * (len(columns.texts) + len(columns.numbers) + len(columns.labels)) + [answer.item.error]

    def report(self) -> None:
        if self._warned_count:
            terminal.warning(f"{self._source}: {self._warned_count:,} with a warning, the first in {self._warning}")
        if self.count:
            more = "; ..." if self.count > _SHOWN else ""
            rows = "row has" if self.count == 1 else "rows have"
            terminal.error(f"{self._source}: {self.count:,} {rows} no answer: {'; '.join(self._shown)}{more}")


class _Stdout:
    """Writes to stdout: to a pipe the bytes as they are, to a terminal without what could control it."""

    def write(self, data: bytes) -> int:
        if sys.stdout.isatty():
            text = data.decode("utf-8", "backslashreplace")
            terminal.put("\n".join(map(terminal.printable, text.split("\n"))))
        else:
            terminal.put(data)
        return len(data)


@contextmanager
def _open(out: Path | None) -> Iterator[BinaryIO]:
    """Opens a file that is there when the block has ended, and not if it fails or is killed; or stdout."""
    from rnnx.files.publish import open_whole

    if out is None:
        yield cast("BinaryIO", _Stdout())
        return
    with open_whole(out) as file:
        yield file
