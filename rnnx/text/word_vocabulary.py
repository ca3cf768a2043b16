"""The vocabulary of a tagger: its words and features with their ids, in one file. Imports the standard library only."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from rnnx.bundle.config import FEATURE_SLOT, WordsConfig
from rnnx.errors import ModelError
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID, TokenList
from rnnx.text.word_rule import WordRule
from rnnx.text.word_rules import find_word_rule

_FEATURE = re.compile(rb"(?s)(?:%s)=.+" % FEATURE_SLOT.encode())


@dataclass(frozen=True)
class VocabularySize:
    """The limits of a vocabulary.

    Attributes:
        words: The largest number of words.
        features: The largest number of features.
        least_word_count: How often a word must occur in the training sentences. Words without which a text could not be
            split may occur once.
        least_feature_count: How often a feature must occur in the training sentences.
    """

    words: int
    features: int
    least_word_count: int
    least_feature_count: int


class WordVocabulary(TokenList):
    """The known tokens in the order of their ids: three special tokens, then words, then features.

    Words are lower-cased, so they contain no capitals; features start with a capital.

    Attributes:
        tokens: All tokens; the id of a token is its index.
        word_count: The number of words, including the special tokens. Their ids are `0..word_count - 1`, and the ids of
            the features follow.
    """

    def __init__(self, tokens: Iterable[bytes], rule: WordRule | None = None) -> None:
        """Checks the tokens.

        Args:
            tokens: All tokens.
            rule: The rule that writes the words; None for `bytes`.
        """
        super().__init__(tokens)
        rule = rule or find_word_rule("bytes")
        first = len(SPECIAL_TOKENS)
        is_feature = [_FEATURE.fullmatch(token) is not None for token in self.tokens]
        self.word_count = is_feature.index(True) if True in is_feature else len(self.tokens)
        for token_id, token in enumerate(self.tokens[first:], first):
            is_word = token_id < self.word_count and rule.lower(token) == token
            if not token or b"\n" in token or not (is_word or is_feature[token_id]):
                raise ModelError(
                    f"vocabulary: line {token_id + 1} is {token!r:.40}; it should be a lower-cased word"
                    f"{'' if token_id < self.word_count else ' before all features'}, or a feature such as SUFFIX3=ing"
                )
        self._ids = {token: token_id for token_id, token in enumerate(self.tokens) if token_id >= first}
        if len(self._ids) != len(self.tokens) - first:
            raise self._repetition()

    @classmethod
    def from_bytes(cls, data: bytes, rule: WordRule | None = None) -> Self:
        """See `TokenList`; each word has to be as the rule writes it."""
        return cls(data.removesuffix(b"\n").split(b"\n"), rule)

    @property
    def words(self) -> tuple[bytes, ...]:
        """The known words, without the special tokens."""
        return self.tokens[len(SPECIAL_TOKENS) : self.word_count]

    @classmethod
    def build(cls, sentences: Iterable[Sequence[bytes]], config: WordsConfig, size: VocabularySize) -> WordVocabulary:
        """Builds a vocabulary of the most frequent words and features of the training sentences.

        Tokens of equal frequency are sorted by their bytes, so that the result is reproducible. Rare words are left
        out, so that the network meets unknown words during training and learns their id, unless `WordRule` says that a
        text is split by them.

        Args:
            sentences: The words of the training sentences, and of no others, as they are in the text.
            config: The settings, which name the features.
            size: The limits of the vocabulary.
        """
        rule = find_word_rule(config.rule)
        forms = Counter(word for sentence in sentences for word in sentence)
        words: Counter[bytes] = Counter()
        features: Counter[bytes] = Counter()
        for word, count in forms.items():
            words[rule.lower(word)] += count
            for feature in rule.features_of(word, config.features):
                features[feature] += count
        for token in SPECIAL_TOKENS:
            del words[token]
        least_count = size.least_word_count
        rare = [word for word, count in words.items() if count < least_count and not rule.needs_vocabulary(word)]
        for word in rare:
            del words[word]
        return cls(
            (
                *SPECIAL_TOKENS,
                *_most_frequent(words, size.words, 1),
                *_most_frequent(features, size.features, size.least_feature_count),
            ),
            rule,
        )

    def encode(self, tokens: Iterable[bytes]) -> list[int]:
        """Returns the ids of lower-cased words or of features; 2 for an unknown one."""
        return [self._ids.get(token, UNKNOWN_ID) for token in tokens]


def _most_frequent(counts: Counter[bytes], limit: int, least_count: int) -> list[bytes]:
    frequent = (token for token, count in counts.items() if count >= least_count and b"\n" not in token)
    return sorted(frequent, key=lambda token: (-counts[token], token))[:limit]
