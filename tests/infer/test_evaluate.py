from __future__ import annotations

import numpy as np
import pytest

import rnnx
from rnnx.datasets import Examples
from rnnx.errors import DataError
from rnnx.infer.evaluate import evaluate


def test_labels_meet_by_name_not_by_id() -> None:
    predictor = rnnx.load("imdb")
    texts = [b"a wonderful film, I loved it", b"awful, a waste of time"]
    figures = evaluate(predictor, Examples(texts, np.array([0, 1], np.int32)), ("pos", "neg"))
    assert (figures.accuracy, figures.count) == (1.0, 2)
    assert figures.confusion == ((1, 0), (0, 1))


def test_a_label_that_the_model_does_not_know_is_named() -> None:
    with pytest.raises(DataError, match="has the labels sad, the model knows neg, pos"):
        evaluate(rnnx.load("imdb"), Examples([b"x"], np.array([0], np.int32)), ("sad", "pos"))
