"""Turns the words of a sentence into ids, one for the word and one for each feature; training and inference share it.

Imports NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from rnnx.bundle.config import WordsConfig
from rnnx.text.tokenizer import PAD_ID, Ids
from rnnx.text.word_rule import SplitText
from rnnx.text.word_rules import find_word_rule
from rnnx.text.word_vocabulary import WordVocabulary

_CACHE_SIZE = 1 << 16


class WordIds(NamedTuple):
    """A sentence, or a batch of sentences, in the form in which the network reads it.

    Attributes:
        ids: The ids of the words, `(words,)` or `(batch, time)` int32.
        features: The ids of their features, `(words, features)` or `(batch, time, features)` int32.
    """

    ids: Ids
    features: Ids


class WordEncoder:
    """Turns words into ids with the config and the vocabulary of a model."""

    def __init__(self, config: WordsConfig, vocabulary: WordVocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self._rule = find_word_rule(config.rule)
        # Most words of a text are few different ones, and computing the features takes far longer than a cache hit.
        self._encode_word = lru_cache(_CACHE_SIZE)(self._look_up)

    @cached_property
    def split_text(self) -> SplitText:
        """Splits a text into sentences of words."""
        return self._rule.make_splitter(self.vocabulary.words, joins_hyphens=self.config.joins_hyphens)

    def encode(self, words: Sequence[bytes]) -> WordIds:
        """Returns the ids of a sentence.

        Args:
            words: The words as they are in the text, not lower-cased; none is empty.
        """
        rows = np.array([self._encode_word(word) for word in words], np.int32)
        rows = rows.reshape(len(words), 1 + len(self.config.features))
        return WordIds(rows[:, 0], rows[:, 1:])

    def pad(self, rows: Sequence[WordIds]) -> WordIds:
        """Stacks sentences into one batch.

        Args:
            rows: Sentences of any length.

        Returns:
            The ids `(batch, time)` and the features `(batch, time, features)`, padded with zeros at the end; time is at
            least 1.
        """
        time = max(1, *(len(row.ids) for row in rows)) if rows else 1
        ids = np.full((len(rows), time), PAD_ID, np.int32)
        features = np.full((len(rows), time, len(self.config.features)), PAD_ID, np.int32)
        for i, row in enumerate(rows):
            ids[i, : len(row.ids)] = row.ids
            features[i, : len(row.ids)] = row.features
        return WordIds(ids, features)

    def _look_up(self, word: bytes) -> list[int]:
        return self.vocabulary.encode([self._rule.lower(word), *self._rule.features_of(word, self.config.features)])


def pieces(length: int, longest: int) -> Iterator[slice]:
    """Splits a long sentence into the smallest number of pieces, of nearly equal length.

    Args:
        length: The number of words of the sentence.
        longest: The largest number of words of a piece.

    Yields:
        The words of each piece, as a slice of the sentence.
    """
    count = -(-length // longest)
    for i in range(count):
        yield slice(i * length // count, (i + 1) * length // count)
