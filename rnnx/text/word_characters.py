"""Reads the characters of words with the table of the rule `unicode-14`, for `rnnx.text.unicode_words`.

The table is the one in which `!` and `?` are tokens. Bytes that are not UTF-8 are the characters of their own numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import numpy as np

from rnnx.text.unicode_rule import code_of
from rnnx.text.unicode_table import CHARACTER_COUNT, CharacterKind, load_table

APOSTROPHE = "'"
MARKS = frozenset("!?")
_FIRST_KATAKANA, _LAST_KATAKANA = "\u30a0", "\u30ff"
# In these ranges a character of the kind WORD is a capital if another letter replaces it. Elsewhere it is another form
# of a letter, such as a ligature or a superscript.
_CAPITALS = (
    *((0x41, 0x5A), (0xC0, 0x17D), (0x181, 0x24E), (0x370, 0x372), (0x376, 0x3AB), (0x3CF, 0x3CF), (0x3D2, 0x3D4)),
    *((0x3D8, 0x3EE), (0x3F4, 0x3F4), (0x3F7, 0x10CD), (0x13A0, 0x1CBF), (0x1E00, 0x1E94), (0x1E9E, 0x1F6F)),
    *((0x1F88, 0x1FBC), (0x1FC8, 0x1FCC), (0x1FD8, 0x1FDB), (0x1FE8, 0x1FFC), (0x2C00, 0x2C75), (0x2C7E, 0x2CF2)),
    *((0xA640, 0xA69A), (0xA722, 0xA76E), (0xA779, 0xA7D8), (0xA7F5, 0xA7F5), (0xFF21, 0xFF3A), (0x10400, 0x10595)),
    *((0x10C80, 0x16E5F), (0x1E900, 0x1E921)),
)
# Georgian sentences begin with small letters, and capitals are rare.
_GEORGIAN = range(0x10D0, 0x1100)

# Writes a character, given the character, its kind and its replacement.
WriteCharacter: TypeAlias = Callable[[str, CharacterKind, str], str]


class WrittenCharacters(dict[int, str]):
    """What `str.translate` writes for each character of `decode_escaped`, made when a text first has it."""

    def __init__(self, write: WriteCharacter) -> None:
        """Takes the function that writes a character."""
        self._write = write
        self._table = load_table(marks=True)

    def __missing__(self, code: int) -> str:
        meant = code_of(code)
        if meant >= CHARACTER_COUNT:  # not kept, because a million characters would need memory
            return self._write(chr(meant), CharacterKind.SEPARATOR, "")
        kind, replacement = CharacterKind(self._table.kinds[meant]), chr(self._table.replacements[meant])
        self[code] = written = self._write(chr(meant), kind, replacement)
        return written


@cache
def find_capitals() -> tuple[frozenset[str], frozenset[str]]:
    """Returns the capitals of all scripts, and the small letters that replace them, without Georgian ones."""
    table = load_table(marks=True)
    codes = np.concatenate([np.arange(first, last + 1) for first, last in _CAPITALS])
    replacements = table.replacements[codes]
    is_capital = (table.kinds[codes] == CharacterKind.WORD) & (replacements != codes) & (replacements > ord("9"))
    small = set(replacements[is_capital].tolist()) - set(_GEORGIAN)
    return frozenset(map(chr, codes[is_capital].tolist())), frozenset(map(chr, small))


def is_digit(replacement: str) -> bool:
    """Whether a replacement is a digit."""
    return "0" <= replacement <= "9"


def is_katakana(replacement: str) -> bool:
    """Whether a replacement is katakana."""
    return _FIRST_KATAKANA <= replacement <= _LAST_KATAKANA
