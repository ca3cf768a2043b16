"""Measures how good a bundle is on labelled texts, tagged sentences or sequences with labels or values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rnnx.bundle.span_tags import are_span_tags
from rnnx.datasets import Examples, LabelSets, Ratings, Series, TaggedSentences
from rnnx.errors import DataError
from rnnx.infer.encoders import Encoded, TextReader
from rnnx.infer.predictions import LabelSet, Prediction, Rating, TaggedWord, Tagging
from rnnx.infer.predictor import Predictor
from rnnx.infer.tagger import SentenceReader
from rnnx.metrics.calibration import Calibration, expected_calibration_error, measure_calibration, measure_reliability
from rnnx.metrics.figures import Evaluation, TagEvaluation, ValueEvaluation, measure, measure_lengths, measure_values
from rnnx.metrics.rating_errors import RatingEvaluation, measure_ratings
from rnnx.metrics.several_labels import LabelSetEvaluation, measure_label_sets
from rnnx.metrics.spans import SpanEvaluation, measure_spans
from rnnx.text.tokenizer import has_known_word

A = TypeVar("A", LabelSet, Rating)


def evaluate(
    predictor: Predictor,
    examples: Examples | Series,
    labels: Sequence[str],
    on_item: Callable[[int], None] = lambda done: None,
    on_unknown: Callable[[int], None] = lambda count: None,
) -> Evaluation:
    """Predicts the label of every example and compares it with the true one.

    Args:
        predictor: A bundle.
        examples: Labelled texts, or labelled sequences.
        labels: The labels of the data set, in the order of its label ids.
        on_item: Called after each example with the number of examples done.
        on_unknown: Called at the end with the number of texts in which the model knows no word; not for sequences.

    Raises:
        DataError: If the data set has a label that the model does not know, or is not what the model reads, or if the
            network gives no finite number for an example.
    """
    to_model = _label_ids(predictor, labels)
    predictions: list[Prediction] = []
    inputs: Any = examples.inputs
    unknown: list[int] = []
    if isinstance(predictor.reader, TextReader):
        inputs = _encode(predictor.reader, examples.inputs, unknown)
    for i, prediction in enumerate(predictor.predict_stream(inputs)):
        _require_finite(prediction, examples.noun, i)
        predictions.append(prediction)
        on_item(i + 1)
    if isinstance(predictor.reader, TextReader):
        on_unknown(len(unknown))
    expected = to_model[examples.label_ids]
    actual = np.array([prediction.label_id for prediction in predictions])
    probs = np.array([list(prediction.probs.values()) for prediction in predictions])
    tokens = np.array([prediction.tokens for prediction in predictions])
    is_cut = np.array([prediction.truncated for prediction in predictions])
    return measure(
        expected,
        actual,
        predictor.labels,
        measure_calibration(probs, expected, actual),
        measure_lengths(tokens, is_cut, expected == actual),
    )


def evaluate_label_sets(
    predictor: Predictor,
    examples: LabelSets,
    labels: Sequence[str],
    on_item: Callable[[int], None] = lambda done: None,
    on_unknown: Callable[[int], None] = lambda count: None,
) -> LabelSetEvaluation:
    """Predicts the labels of every text and compares them with the true ones.

    Args:
        predictor: A bundle that gives texts several labels.
        examples: Texts with their true labels.
        labels: The labels of the data set, in the order of its label ids.
        on_item: Called after each text with the number of texts done.
        on_unknown: Called at the end with the number of texts in which the model knows no word.

    Raises:
        DataError: If the data set has a label that the model does not know, or the model is of another kind, or it
            gives no finite number for a text.
    """
    to_model = _label_ids(predictor, labels)
    expected = np.zeros((len(examples), len(predictor.labels)), np.bool_)
    expected[:, to_model] = examples.has_label
    answers = _answer_texts(predictor, examples, LabelSet, on_item, on_unknown)
    actual = np.array([[label in answer.labels for label in predictor.labels] for answer in answers])
    return measure_label_sets(expected, actual, predictor.labels)


def evaluate_ratings(
    predictor: Predictor,
    ratings: Ratings,
    on_item: Callable[[int], None] = lambda done: None,
    on_unknown: Callable[[int], None] = lambda count: None,
) -> RatingEvaluation:
    """Predicts the number of every text and compares it with the true one.

    Args:
        predictor: A bundle that gives texts a number.
        ratings: Texts with their true numbers.
        on_item: Called after each text with the number of texts done.
        on_unknown: Called at the end with the number of texts in which the model knows no word.

    Raises:
        DataError: If the model is of another kind, or it gives no finite number for a text.
    """
    answers = _answer_texts(predictor, ratings, Rating, on_item, on_unknown)
    return measure_ratings(ratings.targets, np.array([[answer.value] for answer in answers]))


def _answer_texts(
    predictor: Predictor,
    examples: LabelSets | Ratings,
    kind: type[A],
    on_item: Callable[[int], None],
    on_unknown: Callable[[int], None],
) -> list[A]:
    """Answers texts with a model whose answers are of a kind; the other arguments are those of the callers."""
    if not isinstance(predictor.reader, TextReader):
        raise DataError(f"model {predictor.config.name} does not read texts")
    answers: list[A] = []
    unknown: list[int] = []
    inputs: Any = _encode(predictor.reader, examples.inputs, unknown)
    for i, answer in enumerate(predictor.predict_stream(inputs)):
        if not isinstance(answer, kind):
            raise DataError(
                f"model {predictor.config.name}: has the task {predictor.config.task}; the data set has not"
            )
        _require_finite(answer, examples.noun, i)
        answers.append(answer)
        on_item(i + 1)
    on_unknown(len(unknown))
    return answers


def _encode(reader: TextReader, texts: Sequence[Any], unknown: list[int]) -> Iterator[Encoded]:
    """Encodes texts as a predictor does, and adds to `unknown` the index of each text without a known word."""
    for i, text in enumerate(texts):
        encoded = reader.encode(text, i)
        if not has_known_word(encoded.given):
            unknown.append(i)
        yield encoded


def evaluate_tags(
    predictor: Predictor,
    sentences: TaggedSentences,
    labels: Sequence[str],
    on_item: Callable[[int], None] = lambda done: None,
) -> TagEvaluation:
    """Tags the words of every sentence, cut into words as in the treebank, and compares the tags.

    Args:
        predictor: A bundle that tags words.
        sentences: Sentences with their true tags.
        labels: The tags of the treebank, in the order of its tag ids.
        on_item: Called after each sentence with the number of sentences done.

    Raises:
        DataError: If the treebank has a tag that the model does not know, the model does not tag words, or it gives no
            finite number for a word.
    """
    reader = predictor.reader
    if not isinstance(reader, SentenceReader):
        raise DataError(f"model {predictor.config.name} does not tag words")
    # A span of a label that the model does not know is one that it does not find; for other tags this is an error.
    has_spans = are_span_tags(predictor.labels)
    strange = sorted(set(labels) - set(predictor.labels)) if has_spans else []
    known = (*predictor.labels, *strange)
    to_model = np.array([known.index(label) for label in labels]) if has_spans else _label_ids(predictor, labels)
    words: list[TaggedWord] = []
    for i, tagging in enumerate(predictor.tag_stream(sentences.sentences)):
        _require_finite(tagging, "sentence", i)
        words += tagging.words
        on_item(i + 1)
    expected = to_model[np.concatenate(sentences.tag_ids)]
    actual = np.array([word.tag_id for word in words])
    is_unknown = ~np.concatenate([reader.is_known(words) for words in sentences.sentences])
    of_unknown = (expected == actual)[is_unknown]
    # A tagged word has only the probability of its own tag. The other two figures would need those of all tags.
    bins = measure_reliability(np.array([word.probability for word in words]), expected == actual)
    calibration = Calibration(expected_calibration_error(bins), None, None, bins)
    figures = TagEvaluation(
        **vars(measure(expected, actual, known, calibration)),
        sentence_count=len(sentences),
        unknown_count=len(of_unknown),
        unknown_accuracy=float(of_unknown.mean()) if len(of_unknown) else None,
    )
    if not has_spans:
        return figures
    ends = np.cumsum([len(sentence) for sentence in sentences.sentences])[:-1]
    pairs = zip(np.split(expected, ends), np.split(actual, ends), strict=True)
    spans = measure_spans(([known[i] for i in true], [known[i] for i in predicted]) for true, predicted in pairs)
    return SpanEvaluation(**vars(figures), spans=spans)


def _require_finite(answer: Prediction | LabelSet | Rating | Tagging, what: str, index: int) -> None:
    if not answer.is_finite:
        raise DataError(f"{what} {index} (from 0): the network gives no finite number for it")


def _label_ids(predictor: Predictor, labels: Sequence[str]) -> npt.NDArray[np.intp]:
    """Returns the model's label id for each label of the data set."""
    if strange := sorted(set(labels) - set(predictor.labels)):
        known = ", ".join(predictor.labels)
        raise DataError(f"the data set has the labels {', '.join(strange)}; the model knows only {known}")
    return np.array([predictor.labels.index(label) for label in labels])


def evaluate_values(
    predictor: Predictor, series: Series, on_item: Callable[[int], None] = lambda done: None
) -> ValueEvaluation:
    """Predicts the values of every sequence and compares them with the true ones.

    Args:
        predictor: A bundle with one output.
        series: Sequences with their true values.
        on_item: Called after each sequence with the number of sequences done.

    Raises:
        DataError: If the data set is not what the model reads, or has another number of values.
    """
    outputs = predictor.config.outputs
    if len(outputs) != 1 or outputs[0].shape != series.targets.shape[1:]:
        given = ", ".join(f"{port.name} {port.shape}" for port in outputs)
        raise DataError(f"y has {series.targets.shape[1]} values per sequence; the model gives {given}")
    actual = np.empty(series.targets.shape)
    for i, (_, values) in enumerate(predictor.run_stream(series.inputs)):
        actual[i] = values[outputs[0].name]
        on_item(i + 1)
    return measure_values(series.targets.astype(np.float64), actual)
