"""What a rule of a tagger does: it splits a text into words, and gives the features of a word.

`rnnx.text.word_rules` lists the rules. Imports the standard library only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias


class Word(NamedTuple):
    """A word and its position in the text, `text[start:end]` in bytes."""

    word: bytes
    start: int
    end: int


# Splits a text, any bytes, into sentences: the words of each, in their order, at least one.
SplitText: TypeAlias = Callable[[bytes], Iterator[list[Word]]]


class WordRule(ABC):
    """A rule that reads words, and splits any bytes into words and sentences."""

    @abstractmethod
    def lower(self, word: bytes) -> bytes:
        """Writes a word as it is in a vocabulary, without capitals. The result stays itself."""

    @abstractmethod
    def features_of(self, word: bytes, slots: Sequence[str]) -> list[bytes]:
        """Computes the features of a word.

        Args:
            word: The word as it is in the text, not empty and not lower-cased.
            slots: The names of the features, as in `WordsConfig.features`.

        Returns:
            One feature per name, such as `SUFFIX3=ing`.
        """

    @abstractmethod
    def needs_vocabulary(self, word: bytes) -> bool:
        """Whether a text can only be split at a lower-cased word if the vocabulary has the word."""

    @abstractmethod
    def make_splitter(self, words: Sequence[bytes], *, joins_hyphens: bool) -> SplitText:
        """Makes a function that splits texts.

        Args:
            words: The known words, as `lower` writes them, from which a rule may take words.
            joins_hyphens: As in `WordsConfig`.
        """
