"""Cuts a text that comes in chunks into words: the same ones as in the whole text.

A chunk may end anywhere, also within a character. What may go on in the next chunk is held back: a word, the beginning
of a character, or the beginning of a possible `<br />`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

_BREAK = b"<br />"
_MOST_HELD_BYTES = 1 << 16  # of an unfinished word; no vocabulary has a longer one
_CHARACTER_BYTES = 4

_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789'") | frozenset(range(0x80, 0x100))
_TO_WORDS = bytes(b if b in _WORD_BYTES else 0x20 for b in bytes(range(256)).lower())

_NOT_ASCII = re.compile(rb"[\x80-\xff]+")
_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_ESCAPE, _FIRST_ESCAPED, _LAST_ESCAPED = 0xDC00, 0xDC80, 0xDCFF
_NEAR_BYTES = 1 << 8
_SEPARATOR, _WORD, _MARK, _SINGLE, _ALONE, _DROPPED = range(6)
# How a character of each kind is written, so that a token of several characters has nothing in between.
_CLOSE, _JOIN = "\x01", "\x02"
_WRITTEN = (" ", "{}", f"{_JOIN}{{}}{_CLOSE}", f" {{}}{_CLOSE}", " {} ", "")


class _Rule(Protocol):
    """Finds words."""

    def to_words(self, text: bytes) -> list[bytes]:
        """Returns the words of a text as a vocabulary has them."""

    def find_end(self, text: bytes) -> int:
        """Returns the length of the part whose words stay the same, no matter which bytes follow."""

    def shorten(self, text: bytes, most_bytes: int) -> bytes:
        """Shortens the beginning of a single word."""


class WordCutter:
    """Cuts a text into words as it comes. It holds no text itself."""

    def __init__(self, settings: dict[str, Any], runs: Sequence[Any] | None, longest: int) -> None:
        """Takes the settings of the tokenizer, the table of characters if the rule needs it, and the longest word."""
        rule = settings.get("rule", "bytes")
        if rule not in ("bytes", "unicode-14") or (rule == "unicode-14" and runs is None):
            raise ValueError(f"this package does not know the rule {rule!r}")
        is_unicode = rule == "unicode-14"
        self._rule: _Rule = _UnicodeRule(runs or (), marks=settings.get("marks", False)) if is_unicode else _BytesRule()
        self._strips_breaks: bool = settings["strip_breaks"]
        self._most_held = max(longest + _CHARACTER_BYTES, _MOST_HELD_BYTES)

    def feed(self, held: bytes, data: bytes) -> tuple[list[bytes], bytes]:
        """Takes a chunk.

        Args:
            held: What was held back before.
            data: The chunk.

        Returns:
            The words that it finishes, and what is held back now.
        """
        text = held + data
        end = self._find_end(text)
        return self.finish(text[:end]), self._rule.shorten(text[end:], self._most_held)

    def finish(self, held: bytes) -> list[bytes]:
        """Returns the words of what was held back, when the text has ended."""
        return self._rule.to_words(held.replace(_BREAK, b" " * len(_BREAK)) if self._strips_breaks else held)

    def _find_end(self, text: bytes) -> int:
        if self._strips_breaks:
            for length in range(len(_BREAK) - 1, 0, -1):
                if text.endswith(_BREAK[:length]):
                    return len(text) - length  # a word before `<` is finished
        return self._rule.find_end(text)


class _BytesRule:
    """ASCII letters are lowered, and a word is a run of `[a-z0-9']` and bytes from 0x80 on."""

    def to_words(self, text: bytes) -> list[bytes]:
        return text.translate(_TO_WORDS).split()

    def find_end(self, text: bytes) -> int:
        return text.translate(_TO_WORDS).rfind(b" ") + 1

    def shorten(self, text: bytes, most_bytes: int) -> bytes:
        return text[:most_bytes]


class _UnicodeRule:
    """Words of every script, by the kinds of characters.

    A character continues the word before it if both are letters, or if it is a mark and the one before is a character
    of a script without spaces, or such a mark. Any other character but a separator begins a word.
    """

    def __init__(self, runs: Sequence[Any], *, marks: bool) -> None:
        self._kinds, replacements = _read_table(runs, marks=marks)
        self._written = _Written(self._kinds, replacements)
        kept = b"!?" if marks else b""
        self._to_words = bytes(b if b in kept else mapped for b, mapped in enumerate(_TO_WORDS))
        self._marks = [bytes([mark]) for mark in kept]

    def to_words(self, text: bytes) -> list[bytes]:
        text = _NOT_ASCII.sub(lambda match: self._write(match[0]), text)
        for mark in self._marks:
            text = text.replace(mark, b" " + mark + b" ")
        return text.translate(self._to_words).split()

    def find_end(self, text: bytes) -> int:
        whole = len(text) - _count_unfinished(text)
        size = _NEAR_BYTES
        while True:
            start = _align(text, max(0, whole - size))
            found = self._read(text[start:whole])
            if found and found[-1][0] in (_SEPARATOR, _ALONE):
                return whole
            # What the first character of a part of the text does depends on the one before it.
            for i in range(len(found) - 1, 0 if start else -1, -1):
                before = found[i - 1][0] if i else _SEPARATOR
                if not _continues(before, found[i][0]):
                    return start + found[i][1]
            if start == 0:
                return whole  # no character, or only dropped ones
            size *= 8

    def shorten(self, text: bytes, most_bytes: int) -> bytes:
        if len(text) <= most_bytes:
            return text
        whole = len(text) - _count_unfinished(text)
        word = b" ".join(self.to_words(text[:whole]))[:most_bytes]
        return word[: len(word) - _count_unfinished(word)] + text[whole:]

    def _write(self, run: bytes) -> bytes:
        return _decode(run).translate(self._written).replace(_CLOSE + _JOIN, "").encode()

    def _read(self, text: bytes) -> list[tuple[int, int]]:
        """Returns the kind of each character that is not dropped, and its first byte."""
        found, start = [], 0
        for character in _decode(text):
            code = ord(character)
            is_escaped = _FIRST_ESCAPED <= code <= _LAST_ESCAPED
            meant = code - _ESCAPE if is_escaped else code
            kind = self._kinds[meant] if meant < len(self._kinds) else _SEPARATOR
            if kind != _DROPPED:
                found.append((kind, start))
            start += 1 if is_escaped or code < 0x80 else 2 if code < 0x800 else 3 if code < 0x10000 else 4
        return found


class _Written(dict[int, str]):
    """What `str.translate` writes for each character, made when a text first has it."""

    def __init__(self, kinds: bytes, replacements: Sequence[int]) -> None:
        self._kinds, self._replacements = kinds, replacements

    def __missing__(self, code: int) -> str:
        meant = code - _ESCAPE if _FIRST_ESCAPED <= code <= _LAST_ESCAPED else code
        if meant >= len(self._kinds):
            return " "
        self[code] = written = _WRITTEN[self._kinds[meant]].format(chr(self._replacements[meant]))
        return written


def _read_table(runs: Sequence[Any], *, marks: bool) -> tuple[bytes, list[int]]:
    """Returns the kind of each character, and the character that replaces it in a word."""
    kinds, replacements = bytearray(), list[int]()
    for length, kind, shift, *_ in runs:
        codes = range(len(kinds), len(kinds) + length)
        for replacement in (code + shift for code in codes):
            is_mark = not marks and replacement in (0x21, 0x3F) and kind not in (_SEPARATOR, _DROPPED)
            kinds.append(_SEPARATOR if is_mark else kind)
            replacements.append(replacement)
    return bytes(kinds), replacements


def _continues(before: int, kind: int) -> bool:
    return (kind == _WORD and before == _WORD) or (kind == _MARK and before in (_SINGLE, _MARK))


def _decode(text: bytes) -> str:
    """Decodes UTF-8. Each other byte is escaped, and an encoded surrogate becomes three spaces."""
    return _SURROGATE.sub(b"   ", text).decode("utf-8", "surrogateescape")


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
    end = start
    while start and end < min(start + 3, len(text)) and 0x80 <= text[end] < 0xC0:
        end += 1
    return end
