"""The rules `unicode-14` and `unicode-14-marks`: tokens of every script, by the kinds in `rnnx.text.unicode_table`.

A character continues the token before it if both are WORD, or if it is JOIN and the one before is SINGLE or JOIN. Any
other character except a SEPARATOR begins a token. DROPPED characters are not there. A token is written with the
replacements of its characters, in UTF-8. `unicode-14-marks` differs only in its table: each mark is a token there.

Bytes that are not UTF-8 are read one by one, as the character of their own number, and those of 0x80 to 0x9F as in
Windows-1252. An encoded surrogate (ED A0..BF xx) is a separator.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import TextRuleName
from rnnx.text.byte_rule import TO_WORDS
from rnnx.text.rule import Spans, TextRule, strip_line_breaks
from rnnx.text.unicode_table import CHARACTER_COUNT, CharacterKind, CharacterTable, load_table

_ASCII = 0x80
_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
# Python decodes a byte that is not UTF-8 to its number plus this, if it is asked for "surrogateescape".
_ESCAPE = 0xDC00
_FIRST_ESCAPED, _LAST_ESCAPED = 0xDC80, 0xDCFF
# Most texts repeat a few short runs of characters outside ASCII: a quotation mark, an accented letter, a dash.
_SHORT_BYTES, _SHORT_RUNS = 12, 4096
# Nearly every text has the beginning of a token within this many bytes of its end, so the search begins there.
_NEAR_BYTES = 1 << 8

# How a character of each kind is written, so that a token of several characters has nothing in between. `_CLOSE` and
# `_JOIN` are separators of ASCII, so they become spaces unless they meet, and no text is misread that contains them.
_CLOSE, _JOIN = "\x01", "\x02"
_WRITTEN = {
    CharacterKind.SEPARATOR: " ",
    CharacterKind.WORD: "{}",
    CharacterKind.JOIN: f"{_JOIN}{{}}{_CLOSE}",
    CharacterKind.SINGLE: f" {{}}{_CLOSE}",
    CharacterKind.ALONE: " {} ",
    CharacterKind.DROPPED: "",
}


class _Characters(NamedTuple):
    """The characters of a text that are not dropped.

    Attributes:
        kinds: `(count,)` uint8.
        starts: The offset of the first byte of each, `(count,)` int64.
        ends: The offset after the last byte of each, `(count,)` int64.
        continues: Whether it continues the token of the one before, `(count,)`.
    """

    kinds: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    continues: npt.NDArray[np.bool_]


class UnicodeRule(TextRule):
    """The rule `unicode-14`, or `unicode-14-marks`."""

    def __init__(self, name: TextRuleName = "unicode-14", *, marks: bool) -> None:
        """Reads the table.

        Args:
            name: The name of the rule; not `bytes`.
            marks: Whether `!` and `?` are tokens in the rule `unicode-14`.
        """
        table = load_table(name, marks=marks)
        kept = bytes(np.flatnonzero(table.kinds[:_ASCII] == CharacterKind.ALONE).tolist())
        self._mark = re.compile(b"[" + re.escape(kept) + b"]") if kept else None
        self._to_words = bytes(byte if byte in kept else mapped for byte, mapped in enumerate(TO_WORDS))
        self._written = _WrittenCharacters(table)
        self._kinds = np.append(table.kinds, np.uint8(CharacterKind.SEPARATOR))  # the last one is for all others
        self._write_short = lru_cache(_SHORT_RUNS)(self._write)

    def to_words(self, text: bytes, *, strip_breaks: bool) -> bytes:
        """See `TextRule`."""
        if strip_breaks:
            text = strip_line_breaks(text)
        if not text.isascii():
            text = _NOT_ASCII.sub(self._write_match, text)
        if self._mark:
            text = self._mark.sub(rb" \g<0> ", text)
        return text.translate(self._to_words)

    def locate(self, text: bytes, *, strip_breaks: bool) -> Spans:
        """See `TextRule`. Dropped characters belong to a token if a character of the token follows them."""
        characters = self._read(strip_line_breaks(text) if strip_breaks else text)
        is_in_token = characters.kinds != CharacterKind.SEPARATOR
        is_first = is_in_token & ~characters.continues
        is_last = is_in_token & ~np.append(characters.continues[1:], False)
        return np.stack([characters.starts[is_first], characters.ends[is_last]], axis=1)

    def find_end(self, text: bytes) -> int:
        """See `TextRule`. An unfinished character and the last token are left out, unless the token is finished."""
        whole = len(text) - _count_unfinished(text)
        size = _NEAR_BYTES
        while True:
            start = _align(text, max(0, whole - size))
            characters = self._read(text[start:whole])
            if len(characters.kinds) and characters.kinds[-1] in (CharacterKind.SEPARATOR, CharacterKind.ALONE):
                return whole
            # What the first character of a part of the text does depends on the one before it.
            is_known = np.arange(len(characters.kinds)) > 0 if start else np.ones(len(characters.kinds), np.bool_)
            firsts = characters.starts[is_known & ~characters.continues]
            if len(firsts):
                return start + int(firsts[-1])
            if start == 0:
                return whole  # no character, or only dropped ones
            size *= 8

    def shorten(self, text: bytes, most_bytes: int) -> bytes:
        """See `TextRule`. The token is written with its replacements, because dropped characters need memory too."""
        if len(text) <= most_bytes:
            return text
        whole = len(text) - _count_unfinished(text)
        word = self.to_words(text[:whole], strip_breaks=False).strip()[:most_bytes]
        return word[: len(word) - _count_unfinished(word)] + text[whole:]

    def find_wrong(self, words: Sequence[bytes]) -> int | None:
        """See `TextRule`."""
        if self._tokenize(b" ".join(words)) == list(words):  # one check of all words is quick
            return None
        return next(i for i, word in enumerate(words) if self._tokenize(word) != [word])

    def _tokenize(self, text: bytes) -> list[bytes]:
        return self.to_words(text, strip_breaks=False).split()

    def _write_match(self, match: re.Match[bytes]) -> bytes:
        run = match[0]
        return self._write_short(run) if len(run) <= _SHORT_BYTES else self._write(run)

    def _write(self, run: bytes) -> bytes:
        """Writes the tokens of a run of bytes outside ASCII."""
        return decode_escaped(run).translate(self._written).replace(_CLOSE + _JOIN, "").encode()

    def _read(self, text: bytes) -> _Characters:
        codes = np.frombuffer(decode_escaped(text).encode("utf-32-le", "surrogatepass"), "<u4")
        sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        is_escaped = (codes >= _FIRST_ESCAPED) & (codes <= _LAST_ESCAPED)
        sizes[is_escaped] = 1
        kinds = self._kinds[np.minimum(np.where(is_escaped, codes - _ESCAPE, codes), CHARACTER_COUNT)]
        ends = np.cumsum(sizes)
        is_kept = kinds != CharacterKind.DROPPED
        kinds, starts, ends = kinds[is_kept], (ends - sizes)[is_kept], ends[is_kept]
        before = np.insert(kinds[:-1], 0, CharacterKind.SEPARATOR)[: len(kinds)]
        is_after_single = (before == CharacterKind.SINGLE) | (before == CharacterKind.JOIN)
        continues_word = (kinds == CharacterKind.WORD) & (before == CharacterKind.WORD)
        return _Characters(kinds, starts, ends, continues_word | ((kinds == CharacterKind.JOIN) & is_after_single))


class _WrittenCharacters(dict[int, str]):
    """What `str.translate` writes for each character, made when a text first has it."""

    def __init__(self, table: CharacterTable) -> None:
        self._table = table

    def __missing__(self, code: int) -> str:
        meant = code_of(code)
        if meant >= CHARACTER_COUNT:
            return _WRITTEN[CharacterKind.SEPARATOR]  # not kept, because a million characters would need memory
        kind = CharacterKind(self._table.kinds[meant])
        self[code] = written = _WRITTEN[kind].format(chr(self._table.replacements[meant]))
        return written


def decode_escaped(text: bytes) -> str:
    """Decodes UTF-8. Other bytes are escaped (see `code_of`), and an encoded surrogate becomes three spaces."""
    if b"\xed" in text:
        text = _SURROGATE.sub(b"   ", text)
    return text.decode("utf-8", "surrogateescape")


def code_of(code: int) -> int:
    """Returns the number of a character of `decode_escaped`: that of the byte itself, if it is an escaped byte."""
    return code - _ESCAPE if _FIRST_ESCAPED <= code <= _LAST_ESCAPED else code


def _count_unfinished(text: bytes) -> int:
    """Returns the number of bytes, 0 to 3, at the end of a text that begin a character and do not end it."""
    for count in range(1, min(3, len(text)) + 1):
        byte = text[-count]
        if not 0x80 <= byte < 0xC0:
            size = 2 if 0xC2 <= byte < 0xE0 else 3 if 0xE0 <= byte < 0xF0 else 4 if 0xF0 <= byte < 0xF5 else 1
            return count if size > count else 0
    return 0


def _align(text: bytes, start: int) -> int:
    """Returns the first offset from `start` on that cannot be within a character."""
    if start == 0:
        return 0
    end = start
    while end < min(start + 3, len(text)) and 0x80 <= text[end] < 0xC0:
        end += 1
    return end
