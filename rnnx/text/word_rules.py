"""The rules of taggers, by their names in `config.json`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import assert_never

from rnnx.bundle.config import WordRuleName
from rnnx.text.word_features import features_of, lower
from rnnx.text.word_rule import SplitText, WordRule


@cache
def find_word_rule(name: WordRuleName) -> WordRule:
    """Returns the rule of this name. A rule is made once."""
    match name:
        case "bytes":
            return _ByteWordRule()
        case "unicode-14":
            from rnnx.text.unicode_words import UnicodeWordRule  # other models do not need the table

            return UnicodeWordRule()
        case _:
            assert_never(name)


class _ByteWordRule(WordRule):
    """The rule `bytes`: the features count characters of UTF-8, and the shape bytes; texts are split as in English."""

    def lower(self, word: bytes) -> bytes:
        """See `WordRule`."""
        return lower(word)

    def features_of(self, word: bytes, slots: Sequence[str]) -> list[bytes]:
        """See `WordRule`."""
        return features_of(word, slots)

    def needs_vocabulary(self, word: bytes) -> bool:
        """See `WordRule`."""
        return False

    def make_splitter(self, words: Sequence[bytes], *, joins_hyphens: bool) -> SplitText:
        """See `WordRule`. No word is taken from the known words."""
        from rnnx.text.sentence_split import split_text  # compiles its patterns

        return split_text
