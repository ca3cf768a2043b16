"""Tests the inputs of a model that reads arrays: every supported form, and a clear error for any other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import InputConfig
from rnnx.errors import DataError
from rnnx.infer.encoders import ArrayReader

NUMBERS = InputConfig("x", "numbers", (None, 2), 0)
IDS = InputConfig("ids", "ids", (None,), 10)
FIXED = InputConfig("x", "numbers", (4, 2), 0)


def encode(reader: ArrayReader, inputs: Any) -> list[Any]:
    return [reader.encode(item, i) for i, item in enumerate(reader.items(inputs))]


def test_a_batch_a_list_and_a_mapping_give_the_same_sequences() -> None:
    reader = ArrayReader("m", [NUMBERS])
    x = np.arange(12.0).reshape(2, 3, 2)
    for inputs in (x, list(x), x.tolist(), {"x": x}, {"x": list(x)}):
        encoded = encode(reader, inputs)
        assert [sequence.tokens for sequence in encoded] == [3, 3]
        assert np.array_equal(np.stack([sequence.given["x"] for sequence in encoded]), x)
        assert all(sequence.given["x"].dtype == np.float32 for sequence in encoded)


def test_ids_may_be_integers_of_any_type() -> None:
    encoded = encode(ArrayReader("m", [IDS]), [np.array([9, 0], np.uint8), [1], np.array([3, 4, 5])])
    assert [(sequence.given["ids"].dtype, sequence.tokens) for sequence in encoded] == [
        (np.int32, n) for n in (2, 1, 3)
    ]


def test_several_inputs_are_matched_by_name() -> None:
    reader = ArrayReader("m", [NUMBERS, IDS])
    given = {"ids": [[1], [2, 3]], "x": [np.zeros((4, 2)), np.ones((5, 2))]}
    assert [sequence.given["ids"].tolist() for sequence in encode(reader, given)] == [[1], [2, 3]]
    assert reader.describe() == "x float32 (time, 2), ids int32 (time,)"


def test_sequences_of_equal_shape_are_batched() -> None:
    reader = ArrayReader("m", [IDS])
    encoded = encode(reader, [[1], [1, 2], [3], [4, 5], [6], [7, 8, 9]])
    batches = [tuple(batch) for batch in reader.batches(encoded, 2)]
    assert batches == [(5,), (1, 3), (0, 2), (4,)]
    stacked = reader.stack([encoded[i].given for i in batches[1]])
    assert stacked["ids"].tolist() == [[1, 2], [4, 5]]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ("a text", r"model m reads x float32 \(time, 2\), not texts"),
        (["a text"], r"model m reads x float32 \(time, 2\), not texts"),
        (np.zeros((3, 2)), r"x, sequence 0: should be \(time, 2\) with a time of at least 1, not \(2,\)"),
        (np.zeros((1, 0, 2)), r"x, sequence 0: should be .* not \(0, 2\)"),
        ([np.zeros((3, 2)), np.zeros((3, 3))], r"x, sequence 1: should be \(time, 2\) .* not \(3, 3\)"),
        ([[[1, 2], [3]]], r"x, sequence 0: its rows have different lengths; it should be \(time, 2\)"),
        (np.zeros((1, 3, 2), complex), "x, sequence 0: should hold numbers, not complex128"),
        ([np.array([[1, np.nan]])], r"x, sequence 0: nan at \[0, 1\] should be a finite float32"),
        # A signalling NaN, of which NumPy warns when it is cast.
        (
            [np.array([[0x7FF0090000000000, 0]], np.uint64).view(np.float64)],
            r"x, sequence 0: nan at \[0, 0\] should be",
        ),
        ([np.array([[1e39, 1]])], r"x, sequence 0: 1e\+39 at \[0, 0\] should be a finite float32"),
        ({"y": np.zeros((1, 3, 2))}, r"model m reads x float32 \(time, 2\); the inputs here are y"),
    ],
)
def test_a_wrong_array_of_numbers_is_named(inputs: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode(ArrayReader("m", [NUMBERS]), inputs)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([[0.5]], r"ids, sequence 0: should hold integers in 0\.\.9, not float64"),
        ([[1], [3, 10]], r"ids, sequence 1: 10 at \[1\] should be in 0\.\.9"),
        ([[-1]], r"ids, sequence 0: -1 at \[0\] should be in 0\.\.9"),
        ([[]], r"ids, sequence 0: should be \(time,\) with a time of at least 1, not \(0,\)"),
        ([[True]], r"ids, sequence 0: should hold integers in 0\.\.9, not bool"),
    ],
)
def test_a_wrong_array_of_ids_is_named(inputs: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        encode(ArrayReader("m", [IDS]), inputs)


def test_a_fixed_time_is_required() -> None:
    with pytest.raises(DataError, match=r"x, sequence 0: should be \(4, 2\) .* not \(5, 2\)"):
        encode(ArrayReader("m", [FIXED]), np.zeros((1, 5, 2)))


def test_different_counts_of_sequences_are_refused() -> None:
    reader = ArrayReader("m", [NUMBERS, IDS])
    with pytest.raises(DataError, match="as many sequences of each input; here are 1 of x, 2 of ids"):
        encode(reader, {"x": np.zeros((1, 3, 2)), "ids": [[1], [2]]})
    with pytest.raises(DataError, match="give them by name"):
        encode(reader, np.zeros((1, 3, 2)))
