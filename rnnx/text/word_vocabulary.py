"""The words and the features that a tagger knows, in one file, and their ids."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnx.bundle.config import FEATURE_SLOT, WordsConfig
from rnnx.errors import ModelError
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID, TokenList
from rnnx.text.word_features import features_of, lower

_CAPITAL = re.compile(rb"[A-Z]")
_FEATURE = re.compile(rb"(?s)(?:%s)=.+" % FEATURE_SLOT.encode())


@dataclass(frozen=True)
class VocabularySize:
    """How much a vocabulary takes.

    Attributes:
        words: The most words.
        features: The most features.
        least_word_count: How often a word has to stand in the training sentences.
        least_feature_count: The same for a feature.
    """

    words: int
    features: int
    least_word_count: int
    least_feature_count: int


class WordVocabulary(TokenList):
    """The known tokens in the order of their ids: three special ones, then words, then features.

    Words are lowered and so hold no capital; a feature starts with one.

    Attributes:
        tokens: All of them; a token's id is its index.
        word_count: Ids of words, the special ones included, run from 0 to `word_count - 1`; features follow.
    """

    def __init__(self, tokens: Iterable[bytes]) -> None:
        super().__init__(tokens)
        first = len(SPECIAL_TOKENS)
        is_feature = [_FEATURE.fullmatch(token) is not None for token in self.tokens]
        self.word_count = is_feature.index(True) if True in is_feature else len(self.tokens)
        for token_id, token in enumerate(self.tokens[first:], first):
            is_word = token_id < self.word_count and not _CAPITAL.search(token)
            if not token or b"\n" in token or not (is_word or is_feature[token_id]):
                raise ModelError(
                    f"vocabulary: line {token_id + 1} holds {token!r:.40}; there should be a lowered word"
                    f"{'' if token_id < self.word_count else ' before all features'} or a feature such as SUFFIX3=ing"
                )
        self._ids = {token: token_id for token_id, token in enumerate(self.tokens) if token_id >= first}
        if len(self._ids) != len(self.tokens) - first:
            raise self._repetition()

    @classmethod
    def build(cls, sentences: Iterable[Sequence[bytes]], config: WordsConfig, size: VocabularySize) -> WordVocabulary:
        """Takes what is frequent in the training sentences; ties go by byte order, so the result is repeatable.

        A word that is seen too rarely to be taken is unknown in training already: so the unknown word is learned.

        Args:
            sentences: Words as they stand in the text; the training sentences, and only those.
            config: Its features.
            size: How many to take, and how rare they may be.
        """
        forms = Counter(word for sentence in sentences for word in sentence)
        words: Counter[bytes] = Counter()
        features: Counter[bytes] = Counter()
        for form, count in forms.items():
            words[lower(form)] += count
            for feature in features_of(form, config.features):
                features[feature] += count
        for word in SPECIAL_TOKENS:
            del words[word]
        return cls(
            (
                *SPECIAL_TOKENS,
                *_most_frequent(words, size.words, size.least_word_count),
                *_most_frequent(features, size.features, size.least_feature_count),
            )
        )

    def encode(self, tokens: Iterable[bytes]) -> list[int]:
        """Looks the ids of lowered words or of features up; an unknown one is 2."""
        return [self._ids.get(token, UNKNOWN_ID) for token in tokens]


def _most_frequent(counts: Counter[bytes], most: int, least_count: int) -> list[bytes]:
    taken = (token for token, count in counts.items() if count >= least_count and b"\n" not in token)
    return sorted(taken, key=lambda token: (-counts[token], token))[:most]
