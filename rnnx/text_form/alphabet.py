"""Numbers the characters of a vocabulary of a rule with characters, so that each character has one number.

A number is a symbol. The symbols are in this order: 0 for all separators; ALONE characters, of which 1 is the end of a
row; WORD, JOIN and SINGLE characters; a mark for bytes that are not there, and one for bytes that have to be decoded.
Characters of one kind that the vocabulary does not have share one symbol, since no word can contain them. So a few
comparisons tell the kind of a symbol, and the table from characters to symbols is small. Imports NumPy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rnnx.bundle.config import TokenizerConfig
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import Vocabulary
from rnnx.text.unicode_table import CHARACTER_COUNT, CharacterKind, CharacterTable, load_table
from rnnx.text_form.hashing import MOST_DISTINCT, Ints

END_OF_ROW = 1
NO_LETTER = "\N{REPLACEMENT CHARACTER}"  # a separator, so it is in no word
_MOST_PER_CHUNK = 3


@dataclass(frozen=True, eq=False)
class Alphabet:
    """The symbols of a vocabulary.

    Attributes:
        symbols: The symbol of each character below `CHARACTER_COUNT`, (characters,); all others are separators.
        known: The symbol of each character of the vocabulary.
        last_alone: The last symbol of an ALONE character.
        last_word: The last symbol of a WORD character.
        last_join: The last symbol of a JOIN character, and so of any character that continues a token.
        last_single: The last symbol of a SINGLE character.
    """

    symbols: Ints
    known: dict[str, int]
    last_alone: int
    last_word: int
    last_join: int
    last_single: int

    @property
    def gone(self) -> int:
        """The symbol of a byte that is not there: it is dropped, or part of the character before it."""
        return self.last_single + 1

    @property
    def undecoded(self) -> int:
        """The symbol of a byte that may begin a sequence of several bytes."""
        return self.last_single + 2

    @property
    def base(self) -> int:
        """The base in which the symbols that continue a token are packed, each less `last_alone`."""
        return self.last_join - self.last_alone + 1

    @property
    def per_chunk(self) -> int:
        """How many symbols are packed into a chunk, so that the two hashes distinguish all chunks."""
        return max(count for count in range(1, _MOST_PER_CHUNK + 1) if count == 1 or self.base**count <= MOST_DISTINCT)

    @property
    def letters(self) -> str:
        """The character of each symbol from 0 on, in one string; `NO_LETTER` if the symbol is not of one character."""
        letters = [NO_LETTER] * (self.last_single + 1)
        for character, symbol in self.known.items():
            letters[symbol] = character
        return "".join(letters)

    def chunk_count(self, longest: int) -> int:
        """Returns how many chunks a word of `longest` characters takes after its first, with a zero after its end."""
        return max(longest - 1, 0) // self.per_chunk + 1

    def pack(self, spelled: Sequence[Sequence[int]], count: int) -> Ints:
        """Packs words: the first symbol, then chunks of the others.

        Args:
            spelled: The symbols of each word, not empty.
            count: The number of chunks per word.

        Returns:
            (words, 1 + count), each below 2^24.
        """
        width = count * self.per_chunk
        rest = np.zeros((len(spelled), width), np.int64)
        lengths = np.array([len(symbols) - 1 for symbols in spelled], np.intp)
        symbols_after_first = np.array([symbol for symbols in spelled for symbol in symbols[1:]], np.int64)
        columns = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rest[np.repeat(np.arange(len(spelled)), lengths), columns] = symbols_after_first - self.last_alone
        chunks = (rest.reshape(-1, count, self.per_chunk) * self.base ** np.arange(self.per_chunk)).sum(axis=2)
        firsts = np.array([symbols[0] for symbols in spelled], np.int64)
        return np.concatenate([firsts.reshape(-1, 1), chunks], axis=1)


def make_alphabet(words: Sequence[bytes], table: CharacterTable) -> Alphabet:
    """Numbers the characters of words.

    Args:
        words: The words of a vocabulary; each is a single token.
        table: The kinds and replacements of all characters.
    """
    characters = sorted(set(b"".join(words).decode()))
    kinds = [CharacterKind(table.kinds[ord(character)]) for character in characters]
    symbols = np.zeros(CHARACTER_COUNT, np.int64)
    known: dict[str, int] = {}
    last_of: dict[CharacterKind, int] = {}
    last = END_OF_ROW
    for kind in (CharacterKind.ALONE, CharacterKind.WORD, CharacterKind.JOIN, CharacterKind.SINGLE):
        of_kind = [character for character, its_kind in zip(characters, kinds, strict=True) if its_kind == kind]
        known |= {character: last + 1 + i for i, character in enumerate(of_kind)}
        last += len(of_kind) + 1
        last_of[kind] = symbols[table.kinds == kind] = last  # the last one is for all others of the kind
    replaced_by = np.zeros(CHARACTER_COUNT, np.int64)
    for character, symbol in known.items():
        replaced_by[ord(character)] = symbol
    meant = replaced_by[table.replacements]
    symbols[meant > 0] = meant[meant > 0]
    symbols[table.kinds == CharacterKind.DROPPED] = last + 1
    return Alphabet(
        symbols,
        known,
        last_of[CharacterKind.ALONE],
        last_of[CharacterKind.WORD],
        last_of[CharacterKind.JOIN],
        last_of[CharacterKind.SINGLE],
    )


class SpelledVocabulary(NamedTuple):
    """The words of a vocabulary in symbols.

    Attributes:
        alphabet: The symbols.
        words: The symbols of each word by its id; empty for one that no text has.
    """

    alphabet: Alphabet
    words: list[list[int]]


def spell_vocabulary(vocabulary: Vocabulary, config: TokenizerConfig) -> SpelledVocabulary:
    """Numbers the characters of a vocabulary, and spells its words by their ids.

    A word that is not a single token has no symbols, since no text has it, and neither have the special tokens.
    """
    rule = find_rule(config)
    words = [word if rule.find_wrong([word]) is None else b"" for word in vocabulary.tokens]
    alphabet = make_alphabet(words, load_table(config.rule, marks=config.marks))
    spelled = [[alphabet.known[character] for character in word.decode()] for word in words]
    return SpelledVocabulary(alphabet, spelled)
