"""What is read off a single word, besides which word it is: its endings, its beginnings and its shape.

Defined on bytes, so that it is the same in every language:

- A word is lowered in its ASCII letters alone (A-Z to a-z); every other byte stays.
- A character starts at a word's first byte, and at each other one outside 0x80..0xBF (a UTF-8 character is one).
- `SUFFIX3` is the last three characters of the lowered word, `PREFIX3` its first three; all of it, if it is shorter.
- `SHAPE` puts `X` for A-Z, `x` for a-z, `d` for 0-9, `u` for a byte >= 0x80 and any other byte for itself; of equal
  ones in a row two stay, and of what comes out the first eight.

A feature is written `SLOT=value`. No lowered word holds a capital, so a feature is never mistaken for a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_LONGEST_SHAPE = 8
_CHARACTER = re.compile(rb"(?s:.)[\x80-\xbf]*")
_THREE_IN_A_ROW = re.compile(rb"(?s)(.)\1\1+")
_SHAPES = bytes.maketrans(
    bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"0123456789" + bytes(range(0x80, 0x100)),
    b"X" * 26 + b"x" * 26 + b"d" * 10 + b"u" * 0x80,
)


def lower(word: bytes) -> bytes:
    """Lowers the ASCII letters of a word."""
    return word.lower()


def shape(word: bytes) -> bytes:
    """The pattern of capitals, digits and signs: that of `Paris` is `Xxx`, of `U.S.` `X.X.`, of `1990s` `ddx`."""
    return _THREE_IN_A_ROW.sub(rb"\1\1", word.translate(_SHAPES))[:_LONGEST_SHAPE]


def features_of(word: bytes, slots: Sequence[str]) -> list[bytes]:
    """Reads features off a word.

    Args:
        word: As it stands in the text, not empty.
        slots: As in `WordsConfig.features`.

    Returns:
        One feature for each slot.
    """
    characters = _CHARACTER.findall(lower(word))
    return [b"%s=%s" % (slot.encode(), _value(slot, word, characters)) for slot in slots]


def _value(slot: str, word: bytes, characters: list[bytes]) -> bytes:
    if slot == "SHAPE":
        return shape(word)
    count = int(slot[-1])
    return b"".join(characters[-count:] if slot.startswith("SUFFIX") else characters[:count])
