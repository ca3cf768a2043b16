"""The features of a single word: its suffixes, its prefixes and its shape.

They are defined on bytes, so that programs in every language can compute the same:

- Lower-casing changes only the ASCII letters A-Z.
- A character starts at the first byte of a word, and at every other byte outside 0x80..0xBF. In UTF-8, this is a code
  point.
- `SUFFIX3` is the last three characters of the lower-cased word, `PREFIX3` the first three. A shorter word is taken as
  a whole.
- `SHAPE` replaces A-Z by `X`, a-z by `x`, 0-9 by `d`, and each byte from 0x80 on by `u`. All other bytes stay. Of more
  than two equal bytes in a row, two are kept, and of the result the first eight.

A feature is written `SLOT=value`, such as `SUFFIX3=ing`. A lower-cased word has no capitals, so it never equals a
feature. Imports the standard library only.
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
    """Lower-cases the ASCII letters of a word."""
    return word.lower()


def shape(word: bytes) -> bytes:
    """Returns the shape of a word: `Xxx` for `Paris`, `X.X.` for `U.S.`, `ddx` for `1990s`."""
    return _THREE_IN_A_ROW.sub(rb"\1\1", word.translate(_SHAPES))[:_LONGEST_SHAPE]


def features_of(word: bytes, slots: Sequence[str]) -> list[bytes]:
    """Computes the features of a word.

    Args:
        word: The word as it is in the text, not empty and not lower-cased.
        slots: The names of the features, as in `WordsConfig.features`.

    Returns:
        One feature per name, such as `SUFFIX3=ing`.
    """
    characters = _CHARACTER.findall(lower(word))
    return [b"%s=%s" % (slot.encode(), _value(slot, word, characters)) for slot in slots]


def _value(slot: str, word: bytes, characters: list[bytes]) -> bytes:
    if slot == "SHAPE":
        return shape(word)
    count = int(slot[-1])
    return b"".join(characters[-count:] if slot.startswith("SUFFIX") else characters[:count])
