"""The function for Spark's `mapInArrow`, and the schema of its answers. pyspark is the user's own.

    >>> from rnnx.engines.spark import SparkPredictor
    >>> answer = SparkPredictor("imdb", "review")
    >>> answers = reviews.mapInArrow(answer, answer.spark_schema(reviews))

A worker looks for a model of one's own at its path, in its working directory, and where Spark unpacks archives
(`spark.sparkContext.addArchive("my-model.zip#my-model")`, or `--archives`). It refuses a model with another hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rnnx.datasets.column_names import add_columns
from rnnx.engines.arrow_predictor import ANSWER_COLUMNS, BATCH_ROWS, ArrowPredictor
from rnnx.errors import MissingExtraError


class SparkPredictor:
    """Answers the rows of a DataFrame of Spark; small when pickled, as `ArrowPredictor` is.

    Attributes:
        predictor: What answers each batch.
    """

    def __init__(self, model: str, text_column: str, **options: Any) -> None:
        """Takes the arguments of `ArrowPredictor`.

        Raises:
            ModelError: If there is no such model.
            UsageError: If the model does not label texts, or an option is not one of the allowed values.
        """
        self.predictor = ArrowPredictor(model, text_column, **options)

    def __call__(self, batches: Iterable[Any]) -> Iterator[Any]:
        """Answers the batches of a partition, in parts, because those of Spark may have 10,000 rows of any size."""
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield self.predictor(batch.slice(start, BATCH_ROWS))

    def spark_schema(self, frame: Any) -> Any:
        """The schema of the answers to a DataFrame: its columns, and those that `ArrowPredictor.schema` adds.

        Args:
            frame: The `pyspark.sql.DataFrame`.

        Returns:
            A `pyspark.sql.types.StructType`.

        Raises:
            MissingExtraError: If pyspark is not installed.
        """
        try:
            from pyspark.sql.types import DoubleType, StringType, StructField, StructType
        except ImportError as error:
            raise MissingExtraError("rnnx.engines.spark needs pyspark: pip install pyspark") from error
        probabilities = StructType([StructField(label, DoubleType()) for label in self.predictor.labels])
        types = (StringType(), DoubleType(), probabilities, StringType())
        names = add_columns(frame.columns, ANSWER_COLUMNS)[len(frame.columns) :]
        added = [StructField(name, kind) for name, kind in zip(names, types, strict=True)]
        return StructType([*frame.schema.fields, *added])
