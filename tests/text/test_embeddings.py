"""Tests how files of word vectors are read."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from rnnx.errors import DataError
from rnnx.text.embeddings import read_vectors

IDS = {b"good": 3, b"film": 4, b"rare": 5}


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vectors.txt"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "the 1 2 3\ngood 0.5 -1 2e-1\nfilm 1 1 1\n",  # GloVe
        "3 3\nthe 1 2 3 \ngood 0.5 -1 2e-1 \nfilm 1 1 1 \n",  # fastText: a header, and a blank at the end
        "the 1 2 3\n. . . 4 5 6\nGood 9 9 9\ngood 0.5 -1 2e-1\nFILM 1 1 1\nFilm 7 7 7",  # words with blanks, capitals
    ],
)
def test_vectors_are_found_with_and_without_a_header(tmp_path: Path, text: str) -> None:
    found = read_vectors(write(tmp_path, text), IDS)
    assert found.width == 3
    assert {token_id: vector.tolist() for token_id, vector in found.vectors.items()} == {
        3: pytest.approx([0.5, -1, 0.2]),
        4: [1, 1, 1],
    }


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt.gz"
    path.write_bytes(gzip.compress(b"good 1 2\n"))
    assert read_vectors(path, IDS).vectors[3].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good 1 2 3\nfilm 1 2\n", "line 2: 2 numbers after the word, but 3 in the lines before"),
        ("good 1 2\nfilm 1 2 3\n", "line 2: 3 numbers after the word, but 2 in the lines before"),
        ("good 1 2\nfilm 1 x\n", "line 2: could not convert string to float: b'x'"),
        ("good 1 2\nfilm 1 nan\n", "line 2: a number is not finite in float32"),
        ("good 1 1e60\n", "line 1: a number is not finite in float32"),
        ("good\n", "line 1: should be a word and its numbers, separated by blanks"),
        ("", "holds none of the words of the training texts"),
        ("other 1 2\n", "holds none of the words of the training texts"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_vectors(write(tmp_path, text), IDS)
    assert message in str(caught.value)
    assert "vectors.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_start_weights_hold_the_vectors_and_the_same_random_ones(tmp_path: Path) -> None:
    found = read_vectors(write(tmp_path, "good 1 2\nfilm 3 4\n"), IDS)
    weights = found.fill(6, seed=1)
    assert weights.dtype == np.float32
    assert weights[3].tolist() == [1, 2]
    assert weights[0].tolist() == [0, 0]
    assert np.abs(weights[5]).min() > 0
    assert (weights == found.fill(6, seed=1)).all()
    assert (weights[5] != found.fill(6, seed=2)[5]).all()
