"""The function that engines call: an Arrow record batch or table in, the same with the answers out.

Every engine that hands batches to Python can call it: Spark's `mapInArrow`, Ray's `map_batches`, DuckDB, a process
pool. Imports pyarrow, of `[tables]`, when it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import digest, open_directory
from rnnx.bundle.find_model import DEFAULT_MODEL, find_directory, name_directory
from rnnx.datasets.column_names import add_columns, find_column
from rnnx.engines.model_copies import ModelCopy, load_once
from rnnx.errors import DataError, MissingExtraError, UsageError
from rnnx.infer.arguments import require_count, require_probability
from rnnx.infer.input_items import Answer, Item, answer
from rnnx.infer.predictions import Prediction
from rnnx.infer.predictor import DEFAULT_THRESHOLD
from rnnx.infer.text_files import text_item
from rnnx.runtime.session import Device, require_device
from rnnx.text.tokenizer import Tokenizer

BATCH_ROWS = 2048  # enough to sort texts by their length
ANSWER_COLUMNS = ("label", "probability", "probabilities", "error")


class ArrowPredictor:
    """Answers the rows of record batches or tables with a text model.

    It is small when pickled: it holds the name or path of the model, its hash and the options. Each process loads the
    model once, at its first batch, and refuses a model with another hash.

    Attributes:
        copy: The model and the options of its predictor.
        labels: The labels, in the order of the label ids.
        text_column: The column of the texts, by name or by number from 1.
        threshold: As in `Predictor.predict`.
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        text_column: str = "text",
        *,
        threshold: float = DEFAULT_THRESHOLD,
        device: Device = "auto",
        batch_size: int | None = None,
        threads: int = 1,
    ) -> None:
        """Looks at the config of a model; its files are read where the first batch is answered.

        Args:
            model: The name of a shipped model, or the path of a bundle.
            text_column: The column of the texts, by name or by number from 1.
            threshold: As in `Predictor.predict`.
            device: As for `rnnx.load`.
            batch_size: As for `rnnx.load`; None means 32 on a CPU.
            threads: Batches that run at once in a process. Engines start a process for each core, so it is 1.

        Raises:
            ModelError: If there is no such model.
            UsageError: If the model does not label texts, or an option is not one of the allowed values.
        """
        require_probability(threshold)
        require_device(device)
        config, name = read_config(model)
        rows, count = require_count("batch_size", batch_size), require_count("threads", threads)
        self.copy = ModelCopy(name, digest(config), device, rows, count)
        self.labels = config.labels
        self.text_column = text_column
        self.threshold = threshold

    def schema(self, schema: Any) -> Any:
        """The schema of the answers to batches with this schema.

        The columns are kept, and `label`, `probability`, `probabilities` (a struct with a field for each label) and
        `error` are added. If a name is taken, that of the answers begins with `predicted_`.

        Raises:
            DataError: If there is no such column, or it holds no texts.
        """
        pyarrow = import_pyarrow()
        self._column(schema)
        struct = pyarrow.struct([(label, pyarrow.float64()) for label in self.labels])
        types = (pyarrow.string(), pyarrow.float64(), struct, pyarrow.string())
        names = add_columns(schema.names, ANSWER_COLUMNS)[len(schema.names) :]
        fields = [pyarrow.field(name, kind) for name, kind in zip(names, types, strict=True)]
        return pyarrow.schema([*schema, *fields], schema.metadata)

    def __call__(self, batch: Any) -> Any:
        """Answers each row of a record batch or a table.

        A row without an answer (a missing text, or one with zero bytes) says why in `error`. Text that is not UTF-8 is
        read byte by byte.

        Args:
            batch: A `pyarrow.RecordBatch` or a `pyarrow.Table`. The column of the texts may be of any type of strings
                or bytes.

        Returns:
            The batch or the table, with the columns of the answers.

        Raises:
            DataError: If there is no such column, or it holds no texts.
            ModelError: If the model is not here, or is another one.
        """
        pyarrow = import_pyarrow()
        schema = self.schema(batch.schema)
        if isinstance(batch, pyarrow.Table):  # not by calling itself: in an actor of Ray, that waits for itself
            return pyarrow.Table.from_batches(map(self._answer, batch.to_batches()), schema)
        return self._answer(batch)

    def _answer(self, batch: Any) -> Any:
        schema = self.schema(batch.schema)
        predictor = load_once(self.copy)
        tokenizer = getattr(predictor.reader, "tokenizer", None)
        texts = _bytes_of(batch.column(self._column(batch.schema)))
        answers = list(answer(predictor, _items(texts, tokenizer), self.threshold, BATCH_ROWS))
        arrays = _arrays(answers, self.labels, schema)
        return import_pyarrow().RecordBatch.from_arrays([*batch.columns, *arrays], schema=schema)

    def _column(self, schema: Any) -> int:
        found = find_column(schema.names, self.text_column)
        if found is None:
            columns = ", ".join(f"{name!r:.60}" for name in schema.names[:20]) or "none"
            raise DataError(f"no column {self.text_column!r}; the columns are {columns}")
        if not _holds_texts(schema.field(found).type):
            raise DataError(f"the column {self.text_column!r} should hold texts, not {schema.field(found).type}")
        return found


def read_config(model: str | Path) -> tuple[ModelConfig, str]:
    """Reads the config of a model that labels texts.

    Returns:
        The config, and the name or absolute path that finds the model.

    Raises:
        ModelError: If there is no such model.
        UsageError: If it does not label texts.
    """
    path = find_directory(model)
    config = open_directory(path, lambda config: set()).config
    if config.task != "classification" or config.tokenizer is None:
        raise UsageError(f"{model}: does not label texts; tables are answered by models that do")
    return config, name_directory(path)


def import_pyarrow() -> Any:
    """Imports pyarrow.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("answering tables in batches needs pyarrow: pip install 'rnnx[tables]'") from error
    return pyarrow


def _holds_texts(kind: Any) -> bool:
    types = import_pyarrow().types
    if types.is_dictionary(kind):
        return _holds_texts(kind.value_type)
    tests = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary, types.is_null)
    views = (types.is_string_view, types.is_binary_view, types.is_fixed_size_binary)
    return any(test(kind) for test in (*tests, *views))


def _bytes_of(column: Any) -> list[bytes | None]:
    """The cells of a column as bytes. Strings are not decoded, because engines do not check that they are UTF-8."""
    pyarrow = import_pyarrow()
    types = pyarrow.types
    if types.is_dictionary(column.type):
        texts = _bytes_of(column.dictionary)
        return [None if i is None else texts[i] for i in column.indices.to_pylist()]
    if types.is_string(column.type) or types.is_large_string(column.type):
        column = column.cast(pyarrow.large_binary())
    elif types.is_string_view(column.type):
        column = column.view(pyarrow.binary_view())
    cells: list[bytes | None] = column.to_pylist()
    return cells


def _items(texts: Sequence[bytes | None], tokenizer: Tokenizer | None) -> Iterator[Item]:
    for number, text in enumerate(texts, 1):
        yield Item("", number, None, "no text") if text is None else text_item("", number, text, tokenizer)


def _arrays(answers: Sequence[Answer], labels: Sequence[str], schema: Any) -> list[Any]:
    """The columns of the answers, in the order of `ANSWER_COLUMNS`."""
    pyarrow = import_pyarrow()
    kinds = [field.type for field in list(schema)[-len(ANSWER_COLUMNS) :]]
    cells = [answer_cells(answer) for answer in answers]
    columns: list[tuple[Any, ...]] = list(zip(*cells, strict=True)) or [()] * len(ANSWER_COLUMNS)
    return [pyarrow.array(column, kind) for column, kind in zip(columns, kinds, strict=True)]


def answer_cells(given: Answer) -> tuple[str | None, float | None, dict[str, float] | None, str | None]:
    """The cells of an answer, in the order of `ANSWER_COLUMNS`."""
    prediction = given.prediction
    if isinstance(prediction, Prediction):
        return prediction.label, prediction.probability, prediction.probs, None
    return None, None, None, given.item.error or "no answer"
