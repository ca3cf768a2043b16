"""The table of characters of the tokenizer rules `unicode-14` and `unicode-14-marks`: their kinds and replacements.

The table is data of the package, made once from Unicode 14.0.0, so that every Python gives the same words.
`tests/make_unicode_table.py` makes the file. Imports NumPy only.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import TextRuleName

# Every character from this one on is a separator.
CHARACTER_COUNT = 0x32400
TABLE_PATH = Path(__file__).with_name("unicode-14.0.0.npz")


class CharacterKind(IntEnum):
    """What a character does in a text.

    Attributes:
        SEPARATOR: It separates tokens and is in none.
        WORD: It continues the token of a WORD before it, or begins a token.
        JOIN: A mark of a script without spaces. It continues the token of a SINGLE or JOIN before it, or begins one.
        SINGLE: A character of a script without spaces. It begins a token.
        ALONE: An emoji or a symbol. It is a whole token.
        DROPPED: The text is read as if the character were not there.
        MARK: Punctuation or a symbol, in the file of the table only. `load_table` makes it ALONE or a SEPARATOR.
    """

    SEPARATOR = 0
    WORD = 1
    JOIN = 2
    SINGLE = 3
    ALONE = 4
    DROPPED = 5
    MARK = 6


@dataclass(frozen=True, eq=False)
class CharacterTable:
    """The kinds and replacements of all characters below U+32400.

    Attributes:
        kinds: The `CharacterKind` of each character, `(0x32400,)` uint8.
        replacements: The character that replaces each character in a token, `(0x32400,)` int32. A replacement is its
            own replacement and has the same kind. It is 0 for a character that is in no token.
    """

    kinds: npt.NDArray[np.uint8]
    replacements: npt.NDArray[np.int32]

    def to_bytes(self) -> bytes:
        """Formats the content of the file: the first character of each run of equal kinds and equal shifts."""
        shifts = np.where(self.replacements, self.replacements - np.arange(CHARACTER_COUNT, dtype=np.int32), 0)
        changes = (np.diff(self.kinds) != 0) | (np.diff(shifts) != 0)
        starts = np.concatenate([[0], 1 + np.flatnonzero(changes)]).astype(np.int32)
        file = io.BytesIO()
        lengths = np.diff(starts, append=CHARACTER_COUNT).astype(np.uint16)
        np.savez_compressed(file, lengths=lengths, kinds=self.kinds[starts], shifts=shifts[starts].astype(np.int32))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> CharacterTable:
        """Reads the content of the file."""
        with np.load(io.BytesIO(data)) as arrays:
            lengths = arrays["lengths"]
            kinds = np.repeat(arrays["kinds"], lengths)
            shifts = np.repeat(arrays["shifts"], lengths)
        is_in_token = (kinds != CharacterKind.SEPARATOR) & (kinds != CharacterKind.DROPPED)
        replacements = np.where(is_in_token, np.arange(CHARACTER_COUNT, dtype=np.int32) + shifts, 0).astype(np.int32)
        return cls(kinds, replacements)

    def with_marks(self, kept: str | None = None) -> CharacterTable:
        """Returns the table in which each MARK is a token.

        Args:
            kept: Only those that are replaced by one of these characters; the others are separators. None for all.
        """
        is_mark = self.kinds == CharacterKind.MARK
        is_kept = is_mark if kept is None else is_mark & np.isin(self.replacements, [ord(mark) for mark in kept])
        kinds = np.where(is_mark, CharacterKind.SEPARATOR, self.kinds)
        kinds = np.where(is_kept, CharacterKind.ALONE, kinds).astype(np.uint8)
        return CharacterTable(kinds, np.where(is_mark & ~is_kept, 0, self.replacements).astype(np.int32))


@cache
def load_table(rule: TextRuleName = "unicode-14", *, marks: bool = False) -> CharacterTable:
    """Reads the table from the package. The arrays are read-only.

    Args:
        rule: A rule that reads characters. In `unicode-14-marks`, all marks are tokens.
        marks: Whether `!` and `?` are tokens in `unicode-14`, as `TokenizerConfig.marks` says.
    """
    whole = CharacterTable.from_bytes(TABLE_PATH.read_bytes())
    table = whole.with_marks(None if rule == "unicode-14-marks" else "!?" if marks else "")
    for array in (table.kinds, table.replacements):
        array.setflags(write=False)
    return table
