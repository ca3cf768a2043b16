"""Words to ids, for training and inference alike: each word's own id, and those of its features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rnnx.bundle.config import WordsConfig
from rnnx.text.tokenizer import PAD_ID, Ids
from rnnx.text.word_features import features_of, lower
from rnnx.text.word_vocabulary import WordVocabulary

_REMEMBERED_FORMS = 1 << 16


class WordIds(NamedTuple):
    """A sentence, or a batch of them, as the network sees it.

    Attributes:
        ids: (words,) or (batch, time) int32.
        features: (words, slots) or (batch, time, slots) int32.
    """

    ids: Ids
    features: Ids


class WordEncoder:
    """Words to ids by a model's config and vocabulary."""

    def __init__(self, config: WordsConfig, vocabulary: WordVocabulary) -> None:
        self.config = config
        self.vocabulary = vocabulary
        # Few forms make up most of a text, and reading a word's features off takes far longer than finding it here.
        self._encode_word = lru_cache(_REMEMBERED_FORMS)(self._look_up)

    def encode(self, words: Sequence[bytes]) -> WordIds:
        """Looks a sentence up.

        Args:
            words: As they stand in the text, none empty.
        """
        rows = np.array([self._encode_word(word) for word in words], np.int32)
        rows = rows.reshape(len(words), 1 + len(self.config.features))
        return WordIds(rows[:, 0], rows[:, 1:])

    def pad(self, rows: Sequence[WordIds]) -> WordIds:
        """Stacks sentences into one batch.

        Args:
            rows: Sentences of any length.

        Returns:
            (batch, time) and (batch, time, slots), zeros where a sentence is over; time is at least 1.
        """
        time = max(1, *(len(row.ids) for row in rows)) if rows else 1
        ids = np.full((len(rows), time), PAD_ID, np.int32)
        features = np.full((len(rows), time, len(self.config.features)), PAD_ID, np.int32)
        for i, row in enumerate(rows):
            ids[i, : len(row.ids)] = row.ids
            features[i, : len(row.ids)] = row.features
        return WordIds(ids, features)

    def _look_up(self, word: bytes) -> list[int]:
        return self.vocabulary.encode([lower(word), *features_of(word, self.config.features)])


def pieces(length: int, longest: int) -> Iterator[slice]:
    """Where a sentence is cut: as few pieces of at most `longest` words as there can be, of nearly equal length."""
    count = -(-length // longest)
    for i in range(count):
        yield slice(i * length // count, (i + 1) * length // count)
