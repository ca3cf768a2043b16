"""How good a bundle is on labelled texts or sequences, or how far off its values are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.datasets import Examples, Series, TaggedSentences
from rnnx.errors import DataError
from rnnx.infer.predictions import Prediction, TaggedWord, Tagging, Values
from rnnx.infer.predictor import Predictor
from rnnx.infer.tagger import SentenceReader
from rnnx.metrics.calibration import Calibration, expected_calibration_error, measure_calibration, measure_reliability
from rnnx.metrics.figures import Evaluation, TagEvaluation, ValueEvaluation, measure, measure_lengths, measure_values


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
        DataError: If the data set has a label that the model does not know, or is not what it reads, or if the network
            gives no finite number for one of them.
    """
    to_model = _label_ids(predictor, labels)
    items: Sequence[Any] = examples.texts if isinstance(examples, Examples) else examples.rows
    label_ids = examples.label_ids if isinstance(examples, Examples) else examples.targets.astype(np.int32)
    predictions: list[Prediction] = []
    for i, prediction in enumerate(predictor.predict_stream(items)):
        _require_finite(prediction, "text" if isinstance(examples, Examples) else "sequence", i)
        predictions.append(prediction)
        on_text(i + 1)
    expected = to_model[label_ids]
    actual = np.array([one.label_id for one in predictions])
    probs = np.array([list(one.probs.values()) for one in predictions])
    tokens = np.array([one.tokens for one in predictions])
    is_cut = np.array([one.truncated for one in predictions])
    return measure(
        expected,
        actual,
        predictor.labels,
        measure_calibration(probs, expected, actual),
        measure_lengths(tokens, is_cut, expected == actual),
    )


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
        DataError: If the treebank has a tag that the model does not know, the model tags no words, or it gives no
            finite number for one of them.
    """
    reader = predictor.reader
    if not isinstance(reader, SentenceReader):
        raise DataError(f"model {predictor.config.name} tags no words")
    to_model = _label_ids(predictor, labels)
    words: list[TaggedWord] = []
    given: Sequence[Any] = sentences.sentences
    for i, tagging in enumerate(predictor.predict_stream(given)):
        assert isinstance(tagging, Tagging)  # noqa: S101  # such a reader's
        _require_finite(tagging, "sentence", i)
        words += tagging.words
        on_sentence(i + 1)
    expected = to_model[np.concatenate(sentences.tag_ids)]
    actual = np.array([word.tag_id for word in words])
    is_unknown = ~np.concatenate([reader.is_known(words) for words in sentences.sentences])
    of_unknown = (expected == actual)[is_unknown]
    # A word comes with the probability of its tag alone: the other two figures would take those of all tags.
    bins = measure_reliability(np.array([word.probability for word in words]), expected == actual)
    calibration = Calibration(expected_calibration_error(bins), None, None, bins)
    figures = measure(expected, actual, predictor.labels, calibration)
    return TagEvaluation(
        **vars(figures),
        sentence_count=len(sentences),
        unknown_count=len(of_unknown),
        unknown_accuracy=float(of_unknown.mean()) if len(of_unknown) else None,
    )


def _require_finite(answer: Prediction | Tagging, what: str, index: int) -> None:
    if not answer.is_finite:
        raise DataError(f"{what} {index} (from 0): the network gives no finite number for it")


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
