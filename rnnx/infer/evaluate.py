"""How good a bundle is on labelled texts or sequences, or how far off its values are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.datasets import Examples, Series, TaggedSentences
from rnnx.errors import DataError
from rnnx.infer.predictions import Tagging, Values
from rnnx.infer.predictor import Predictor
from rnnx.infer.tagger import SentenceReader


@dataclass(frozen=True)
class LabelMetrics:
    """One label's figures; precision, recall and F1 in 0..1, 0 where there is nothing to divide by."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Evaluation:
    """A bundle's figures on one data set.

    Attributes:
        accuracy: The share of texts (or sequences) whose label is right.
        labels: By name.
        confusion: Row: the true label; column: the predicted one; both in the order of the model's labels.
        count: Texts, or sequences.
    """

    accuracy: float
    labels: dict[str, LabelMetrics]
    confusion: tuple[tuple[int, ...], ...]
    count: int


@dataclass(frozen=True)
class TagEvaluation(Evaluation):
    """A tagger's figures on one treebank; texts are words here.

    Attributes:
        sentence_count: Sentences.
        unknown_count: Words that the vocabulary does not hold.
        unknown_accuracy: The share of these whose tag is right; None if there are none.
    """

    sentence_count: int
    unknown_count: int
    unknown_accuracy: float | None


@dataclass(frozen=True)
class ValueMetrics:
    """How far off one output is.

    Attributes:
        mae: The mean absolute error.
        rmse: The root of the mean square error.
        r2: The share of the variance that is explained, at most 1; None where the expected values do not vary.
    """

    mae: float
    rmse: float
    r2: float | None


@dataclass(frozen=True)
class ValueEvaluation:
    """A bundle's figures on one data set of values.

    Attributes:
        mae: The mean over the outputs, as the others.
        rmse: Likewise.
        r2: Likewise; None if it is for one of them.
        outputs: One by one.
        count: Sequences.
    """

    mae: float
    rmse: float
    r2: float | None
    outputs: tuple[ValueMetrics, ...]
    count: int


def evaluate(
    predictor: Predictor,
    examples: Examples | Series,
    labels: Sequence[str],
    *,
    on_text: Callable[[int], None] = lambda done: None,
) -> Evaluation:
    """Predicts the label of every example and compares.

    Args:
        predictor: A bundle.
        examples: Labelled texts, or sequences.
        labels: What their label ids mean.
        on_text: Told how many are done.

    Raises:
        DataError: If the data set has a label that the model does not know, or is not what it reads.
    """
    to_model = _label_ids(predictor, labels)
    items: Sequence[Any] = examples.texts if isinstance(examples, Examples) else examples.rows
    label_ids = examples.label_ids if isinstance(examples, Examples) else examples.targets.astype(np.int32)
    actual = np.empty(len(items), np.int64)
    for i, prediction in enumerate(predictor.predict_stream(items)):
        actual[i] = prediction.label_id
        on_text(i + 1)
    return measure(to_model[label_ids], actual, predictor.labels)


def evaluate_tags(
    predictor: Predictor,
    sentences: TaggedSentences,
    labels: Sequence[str],
    *,
    on_sentence: Callable[[int], None] = lambda done: None,
) -> TagEvaluation:
    """Tags the words of every sentence, as the treebank has them, and compares.

    Args:
        predictor: A bundle that tags words.
        sentences: With the tags that are expected.
        labels: What their tag ids mean.
        on_sentence: Told how many are done.

    Raises:
        DataError: If the treebank has a tag that the model does not know, or the model tags no words.
    """
    reader = predictor.reader
    if not isinstance(reader, SentenceReader):
        raise DataError(f"model {predictor.config.name} tags no words")
    to_model = _label_ids(predictor, labels)
    actual: list[int] = []
    given: Sequence[Any] = sentences.sentences
    for i, tagging in enumerate(predictor.predict_stream(given)):
        assert isinstance(tagging, Tagging)  # noqa: S101  # such a reader's
        actual += [word.tag_id for word in tagging.words]
        on_sentence(i + 1)
    expected = to_model[np.concatenate(sentences.tag_ids)]
    is_unknown = ~np.concatenate([reader.is_known(words) for words in sentences.sentences])
    of_unknown = (expected == np.array(actual))[is_unknown]
    figures = measure(expected, np.array(actual), predictor.labels)
    return TagEvaluation(
        **vars(figures),
        sentence_count=len(sentences),
        unknown_count=len(of_unknown),
        unknown_accuracy=float(of_unknown.mean()) if len(of_unknown) else None,
    )


def _label_ids(predictor: Predictor, labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """The model's label id for each of the data set's."""
    if strange := sorted(set(labels) - set(predictor.labels)):
        known = ", ".join(predictor.labels)
        raise DataError(f"the data set has the labels {', '.join(strange)}, the model knows {known}")
    return np.array([predictor.labels.index(label) for label in labels])


def evaluate_values(
    predictor: Predictor, series: Series, *, on_item: Callable[[int], None] = lambda done: None
) -> ValueEvaluation:
    """Predicts the values of every sequence and compares.

    Args:
        predictor: A bundle with one output.
        series: Sequences with the values that are expected.
        on_item: Told how many are done.

    Raises:
        DataError: If the data set is not what the model reads, or has other values than it gives.
    """
    outputs = predictor.config.outputs
    if len(outputs) != 1 or outputs[0].shape != series.targets.shape[1:]:
        given = ", ".join(f"{one.name} {one.shape}" for one in outputs)
        raise DataError(f"y has {series.targets.shape[1]} values per sequence, the model gives {given}")
    actual = np.empty(series.targets.shape)
    for i, prediction in enumerate(predictor.predict_stream(series.rows)):
        assert isinstance(prediction, Values)  # noqa: S101  # a model without labels
        actual[i] = prediction.values
        on_item(i + 1)
    return measure_values(series.targets.astype(np.float64), actual)


def measure_values(expected: npt.NDArray[np.float64], actual: npt.NDArray[np.float64]) -> ValueEvaluation:
    """Measures.

    Args:
        expected: (count, outputs).
        actual: The same shape.
    """
    error = actual - expected
    mae, square = np.abs(error).mean(axis=0), (error**2).mean(axis=0)
    variance = expected.var(axis=0)
    metrics = tuple(
        ValueMetrics(float(mae[i]), float(np.sqrt(square[i])), float(1 - square[i] / variance[i]) if varies else None)
        for i, varies in enumerate((expected != expected[:1]).any(axis=0))
    )
    shares = [one.r2 for one in metrics if one.r2 is not None]
    return ValueEvaluation(
        float(mae.mean()),
        float(np.sqrt(square).mean()),
        float(np.mean(shares)) if len(shares) == len(metrics) else None,
        metrics,
        len(expected),
    )


def measure(expected: npt.NDArray[np.integer], actual: npt.NDArray[np.integer], labels: Sequence[str]) -> Evaluation:
    """Counts.

    Args:
        expected: (count,) true label ids.
        actual: (count,) predicted label ids.
        labels: The names of the ids.
    """
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    np.add.at(confusion, (expected, actual), 1)
    right, true, predicted = confusion.diagonal(), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    f1 = 2 * right / np.maximum(true + predicted, 1)
    metrics = {
        label: LabelMetrics(float(precision[i]), float(recall[i]), float(f1[i]), int(true[i]))
        for i, label in enumerate(labels)
    }
    count = len(expected)
    return Evaluation(
        float(right.sum() / max(count, 1)), metrics, tuple(tuple(map(int, row)) for row in confusion), count
    )
