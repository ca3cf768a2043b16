"""Finds the character n-grams that words have in common. NumPy only.

A word that occurs once in the training texts says nothing alone, but `unfreundlichen` shares most of its n-grams with
`unfreundlich` and `freundlichen`.

Source: Bojanowski et al., Enriching Word Vectors with Subword Information, TACL 5, 2017.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class NgramSettings:
    """Which n-grams are used, and for how much text.

    Attributes:
        shortest: The fewest characters of an n-gram, with the marks of the word's ends.
        longest: The most characters.
        most: The most n-grams that are kept.
        most_per_word: The most n-grams of a word; the rarest ones are kept, because they say the most.
        most_training_words: Longer training data do not use n-grams: there, words occur often enough, and a step would
            take longer. Words are counted as often as they occur.
    """

    shortest: int = 2
    longest: int = 4
    most: int = 30_000
    most_per_word: int = 40
    most_training_words: int = 1_000_000


@dataclass(frozen=True)
class NgramTable:
    """The n-grams of the words of a vocabulary.

    Attributes:
        rows: `(words, most n-grams of a word)` int32, the n-grams' ids from 1 on; 0 fills the rows up.
        count: The number of different n-grams.
    """

    rows: npt.NDArray[np.int32]
    count: int


def find_ngrams(words: Sequence[bytes], settings: NgramSettings) -> NgramTable:
    """Finds the n-grams that two or more words have in common.

    An n-gram of a single word would say the same as the word itself.

    Args:
        words: The tokens of a vocabulary; special ones, such as `<pad>`, have no n-grams.
        settings: Which n-grams are used.
    """
    found = [sorted(set(_ngrams(word.decode("utf-8", "surrogateescape"), settings))) for word in words]
    counts = Counter(ngram for ngrams in found for ngram in ngrams)
    shared = sorted((ngram for ngram, count in counts.items() if count > 1), key=lambda ngram: (-counts[ngram], ngram))
    ids = {ngram: i for i, ngram in enumerate(shared[: settings.most], 1)}
    rows = [sorted(ids[ngram] for ngram in ngrams if ngram in ids)[-settings.most_per_word :] for ngrams in found]
    table = np.zeros((len(rows), max(map(len, rows), default=0)), np.int32)
    for i, row in enumerate(rows):
        table[i, : len(row)] = row
    return NgramTable(table, len(ids))


def _ngrams(word: str, settings: NgramSettings) -> Iterator[str]:
    """Yields the n-grams of a word between `<` and `>`, which no word contains, except the whole."""
    if word.startswith("<"):
        return
    marked = f"<{word}>"
    for length in range(settings.shortest, min(settings.longest, len(marked) - 1) + 1):
        for start in range(len(marked) - length + 1):
            yield marked[start : start + length]
