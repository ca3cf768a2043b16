"""Tests the validation part that comes from a file of its own."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.datasets import Dataset, Series, SeriesDataset
from rnnx.datasets.sentences import TaggedDataset, TaggedWords
from rnnx.datasets.validation import with_validation
from rnnx.errors import DataError


def series(labels: tuple[str, ...], features: int = 1) -> SeriesDataset:
    ids = np.arange(len(labels), dtype=np.int32)
    rows = [np.zeros((2, features), np.float32) for _ in labels]
    return SeriesDataset("numbers", labels, Series(rows, ids), None, "classification")


def test_labels_get_the_ids_of_the_training_data() -> None:
    texts = Dataset.from_pairs("a", [(b"x", "bad"), (b"y", "good"), (b"z", "other")])
    other = Dataset.from_pairs("b", [(b"p", "other"), (b"q", "good")])
    joined = with_validation(texts, other)
    assert isinstance(joined, Dataset)
    assert joined.validation is not None
    assert joined.train is texts.train
    assert list(joined.validation.texts) == [b"p", b"q"]
    assert joined.validation.label_ids.tolist() == [2, 1]


def test_tags_and_series_get_them_too() -> None:
    tagged = TaggedDataset.from_parts("a", [TaggedWords((b"x", b"y"), ("NOUN", "VERB"))])
    words = with_validation(tagged, TaggedDataset.from_parts("b", [TaggedWords((b"z",), ("VERB",))]))
    assert isinstance(words, TaggedDataset)
    assert words.validation is not None
    assert [row.tolist() for row in words.validation.tag_ids] == [[1]]
    numbers = with_validation(series(("a", "b", "c")), series(("b", "c")))
    assert isinstance(numbers, SeriesDataset)
    assert numbers.validation is not None
    assert numbers.validation.label_ids.tolist() == [1, 2]


def test_another_label_another_kind_or_another_size_is_refused() -> None:
    texts = Dataset.from_pairs("a", [(b"x", "bad"), (b"y", "good")])
    with pytest.raises(DataError, match="b: the validation data have labels that the training data lack: fine"):
        with_validation(texts, Dataset.from_pairs("b", [(b"x", "fine")]))
    with pytest.raises(DataError, match="numbers: the validation data should be of the same kind as a"):
        with_validation(texts, series(("a", "b")))
    with pytest.raises(DataError, match="numbers: x has 2 features, not 1 as for training"):
        with_validation(series(("a", "b")), series(("a", "b"), features=2))
