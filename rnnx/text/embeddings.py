"""Reads files of word vectors: GloVe's format, and fastText's `.vec`, which has a header. Needs NumPy only.

A line holds a word and its numbers, separated by blanks. The header of a `.vec` file holds the number of words and the
number of numbers of each. A word of GloVe may contain blanks itself, so the numbers are counted from the end.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnx.errors import DataError

_HEADER = re.compile(rb"\d+ \d+\s*")
_NUMBER = re.compile(rb"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_MOST_NUMBERS = 4096  # per word; with more, the file is not one of word vectors


@dataclass(frozen=True)
class WordVectors:
    """The vectors of the words of a vocabulary.

    Attributes:
        width: The numbers of each vector.
        vectors: `(width,)` float32 by the id of the word; words that the file lacks are missing.
    """

    width: int
    vectors: Mapping[int, npt.NDArray[np.float32]]

    def fill(self, size: int, seed: int) -> npt.NDArray[np.float32]:
        """Makes the start weights of an embedding, `(size, width)`.

        Words without a vector get random ones of the same deviation, and the padding 0.

        Args:
            size: The number of ids.
            seed: Of the random vectors.
        """
        deviation = np.std(np.stack(list(self.vectors.values())))
        weights = np.random.default_rng(seed).normal(0, deviation, (size, self.width)).astype(np.float32)
        weights[0] = 0
        for token_id, vector in self.vectors.items():
            weights[token_id] = vector
        return weights


def read_vectors(path: Path, ids: Mapping[bytes, int]) -> WordVectors:
    """Reads the vectors of the words of a vocabulary; memory does not grow with the file.

    A word takes the vector of its own spelling, or else that of the first line that is the word in lower case.

    Args:
        path: The file, plain or `.gz`.
        ids: The ids of the words.

    Raises:
        DataError: If it cannot be read, a line has another number of numbers than the first one, or none of the words
            is in it; the message names the line.
    """
    exact: dict[int, npt.NDArray[np.float32]] = {}
    lowered: dict[int, npt.NDArray[np.float32]] = {}
    width = 0
    try:
        with path.open("rb") as packed:
            file: Iterable[bytes] = gzip.GzipFile(fileobj=packed) if path.suffix == ".gz" else packed
            for line, number in _rows(file):
                width = width or _width(path, line, number)
                word, *numbers = line.rsplit(b" ", width)
                if len(numbers) != width or _ends_in_number(word):
                    raise DataError(
                        f"line {number}: {_count(line)} numbers after the word, but {width} in the lines before", path
                    )
                if (token_id := ids.get(word)) is not None:
                    exact.setdefault(token_id, _vector(path, numbers, number))
                elif (token_id := ids.get(word.lower())) is not None:
                    lowered.setdefault(token_id, _vector(path, numbers, number))
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot be read ({getattr(error, 'strerror', None) or error})", path) from error
    found = {**lowered, **exact}
    if not found:
        raise DataError("holds none of the words of the training texts", path)
    return WordVectors(width, found)


def _rows(file: Iterable[bytes]) -> Iterator[tuple[bytes, int]]:
    """The lines that hold a word, without the blanks at their ends, and their numbers from 1."""
    for number, line in enumerate(file, 1):
        row = line.rstrip()
        if row and not (number == 1 and _HEADER.fullmatch(line)):
            yield row, number


def _width(path: Path, line: bytes, number: int) -> int:
    """The number of numbers at the end of the first line that holds a word."""
    width = _count(line)
    if not 1 <= width <= _MOST_NUMBERS:
        raise DataError(f"line {number}: should be a word and its numbers, separated by blanks", path)
    return width


def _count(line: bytes) -> int:
    """How many numbers a line has at its end, if its first part is a word."""
    parts = line.split(b" ")[1:]
    return next((i for i, part in enumerate(reversed(parts)) if not _NUMBER.fullmatch(part)), len(parts))


def _ends_in_number(word: bytes) -> bool:
    head, blank, last = word.rpartition(b" ")
    return bool(head and blank and _NUMBER.fullmatch(last))


def _vector(path: Path, numbers: list[bytes], number: int) -> npt.NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):
            vector = np.array([float(text) for text in numbers], np.float32)
    except ValueError as error:
        raise DataError(f"line {number}: {str(error)[:100]}", path) from error
    if not np.isfinite(vector).all():
        raise DataError(f"line {number}: a number is not finite in float32", path)
    return vector
