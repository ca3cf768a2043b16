from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

import rnnx
from rnnx.datasets import Examples
from rnnx.errors import DataError
from rnnx.infer.evaluate import evaluate
from tests.texts import make_texts


def test_labels_are_matched_by_name_not_by_id() -> None:
    predictor = rnnx.load("imdb")
    texts = [b"a wonderful film, I loved it", b"awful, a waste of time"]
    figures = evaluate(predictor, Examples(texts, np.array([0, 1], np.int32)), ("pos", "neg"))
    assert (figures.accuracy, figures.count) == (1.0, 2)
    assert figures.confusion == ((1, 0), (0, 1))


def test_a_label_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(DataError, match="has the labels sad; the model knows only neg, pos"):
        evaluate(rnnx.load("imdb"), Examples([b"x"], np.array([0], np.int32)), ("sad", "pos"))


def test_an_answer_that_is_not_a_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = rnnx.load("imdb")
    good = predictor.predict(["a"])[0]
    bad = dataclasses.replace(good, probability=math.nan)
    monkeypatch.setattr(predictor, "predict_stream", lambda items: iter([good, bad]))
    with pytest.raises(DataError, match=r"text 1 \(from 0\): the network gives no finite number"):
        evaluate(predictor, Examples([b"a", b"b"], np.array([0, 1], np.int32)), ("neg", "pos"))


def test_calibration_and_lengths_are_those_of_the_predictions() -> None:
    """Some texts are longer than the 500 tokens that the network of the article reads."""
    pairs = make_texts(40, 5)
    texts = [text if i % 4 else b" ".join([text] * 200) for i, (text, _) in enumerate(pairs)]
    expected = np.array([label == "pos" for _, label in pairs], np.int32)
    predictor = rnnx.load("imdb-article")
    figures = evaluate(predictor, Examples(texts, expected), ("neg", "pos"))
    predictions = predictor.predict(texts)
    probs = np.array([prediction.probs["pos"] for prediction in predictions])
    assert figures.calibration.negative_log_likelihood == pytest.approx(log_loss(expected, probs))
    assert figures.calibration.brier_score == pytest.approx(brier_score_loss(expected, probs))
    bins = figures.calibration.bins
    assert sum(row.count * row.accuracy for row in bins) == pytest.approx(40 * figures.accuracy)
    assert sum(row.count * row.confidence for row in bins) == pytest.approx(sum(p.probability for p in predictions))
    cut = figures.by_length[-1]
    assert (cut.is_cut, cut.count) == (True, 10)
    assert cut.shortest > 500
    assert [row.is_cut for row in figures.by_length[:-1]] == [False] * (len(figures.by_length) - 1)
    assert sum(row.count for row in figures.by_length) == 40
    assert figures.by_length[0].shortest == min(prediction.tokens for prediction in predictions)
