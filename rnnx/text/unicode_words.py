"""The rule `unicode-14` of taggers: the words and features of every script.

It reads characters with the table of `rnnx.text.unicode_table`, in which `!` and `?` are tokens. Bytes that are not
UTF-8 are the characters of their own numbers.

- A lowered word has the replacements of its characters. Punctuation and other separators stay, and dropped characters
  are left out, unless there are no others.
- `SUFFIX3` is the last three characters of the lowered word, `PREFIX3` the first three. A shorter word is taken as a
  whole.
- `SHAPE` writes one letter for each character that is not dropped: `X` for a capital, `x` for any other character of
  the kind WORD, `d` for a digit, `h` for hiragana, `k` for katakana, `c` for any other SINGLE and for a JOIN, `s` for a
  symbol or an emoji. An apostrophe, `!` and `?` are written as their replacements, and separators as they are. Of more
  than two equal ones in a row, two are kept, and of the result the first eight.

`rnnx.text.word_characters` has the capitals, and `rnnx.text.unicode_sentences` splits a text. Imports NumPy only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rnnx.text.unicode_rule import code_of, decode_escaped
from rnnx.text.unicode_table import CharacterKind
from rnnx.text.word_characters import APOSTROPHE, MARKS, WrittenCharacters, find_capitals, is_digit, is_katakana
from rnnx.text.word_rule import SplitText, WordRule

_LONGEST_SHAPE = 8
_THREE_IN_A_ROW = re.compile(r"(?s)(.)\1\1+")
_FIRST_HIRAGANA, _LAST_HIRAGANA = "\u3041", "\u309f"


class UnicodeWordRule(WordRule):
    """The rule `unicode-14` of taggers."""

    def __init__(self) -> None:
        """Reads the table."""
        self._lowered = WrittenCharacters(_lowered)
        self._shapes = WrittenCharacters(_shape)

    def lower(self, word: bytes) -> bytes:
        """See `WordRule`."""
        return self._lower(decode_escaped(word)).encode()

    def features_of(self, word: bytes, slots: Sequence[str]) -> list[bytes]:
        """See `WordRule`."""
        characters = decode_escaped(word)
        lowered = self._lower(characters)
        return [f"{slot}={self._value(slot, characters, lowered)}".encode() for slot in slots]

    def needs_vocabulary(self, word: bytes) -> bool:
        """See `WordRule`.

        These are two or more characters of scripts without spaces that are not all katakana, and an abbreviation with
        its full stop (`dr.`).
        """
        shape = decode_escaped(word).translate(self._shapes)
        is_spaceless = len(shape) > 1 and not set(shape) - {"c", "h", "k"} and shape.strip("k") != ""
        return is_spaceless or (shape.endswith(".") and "x" in shape)

    def make_splitter(self, words: Sequence[bytes], *, joins_hyphens: bool) -> SplitText:
        """See `WordRule`. A known word is found in a text even where no spaces separate it."""
        from rnnx.text.unicode_sentences import SentenceSplitter  # compiles its patterns

        return SentenceSplitter(words, self._lowered, joins_hyphens=joins_hyphens).split

    def _lower(self, characters: str) -> str:
        lowered = characters.translate(self._lowered)
        return lowered or "".join(chr(code_of(ord(character))) for character in characters)

    def _value(self, slot: str, characters: str, lowered: str) -> str:
        if slot == "SHAPE":
            shape = characters.translate(self._shapes) or lowered
            return _THREE_IN_A_ROW.sub(r"\1\1", shape)[:_LONGEST_SHAPE]
        count = int(slot[-1])
        return lowered[-count:] if slot.startswith("SUFFIX") else lowered[:count]


def _lowered(character: str, kind: CharacterKind, replacement: str) -> str:
    if kind == CharacterKind.DROPPED:
        return ""
    return character if kind == CharacterKind.SEPARATOR else replacement


def _shape(character: str, kind: CharacterKind, replacement: str) -> str:
    if kind in (CharacterKind.DROPPED, CharacterKind.SEPARATOR):
        return _lowered(character, kind, replacement)
    if replacement in MARKS or replacement == APOSTROPHE:
        return replacement
    if kind == CharacterKind.WORD:
        return "d" if is_digit(replacement) else "X" if character in find_capitals()[0] else "x"
    if kind == CharacterKind.ALONE:
        return "s"
    if kind == CharacterKind.SINGLE and _FIRST_HIRAGANA <= replacement <= _LAST_HIRAGANA:
        return "h"
    return "k" if kind == CharacterKind.SINGLE and is_katakana(replacement) else "c"
