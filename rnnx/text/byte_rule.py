"""The rule `bytes`: ASCII letters are lowered, and a word is a maximal run of `[a-z0-9']` and bytes from 0x80 on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnx.text.rule import Spans, TextRule, strip_line_breaks

_WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789'") | frozenset(range(0x80, 0x100))
_SPACE = ord(" ")
# A translation table: bytes of words are lower-cased, all others become spaces, so that `bytes.split` finds the words.
TO_WORDS = bytes(b if b in _WORD_BYTES else _SPACE for b in bytes(range(256)).lower())
# Nearly every text has a space within this many bytes of its end, so the search begins there.
_NEAR_BYTES = 1 << 10


class ByteRule(TextRule):
    """The rule `bytes`. It reads bytes, not characters, so that words keep their positions."""

    def to_words(self, text: bytes, *, strip_breaks: bool) -> bytes:
        """See `TextRule`."""
        return (strip_line_breaks(text) if strip_breaks else text).translate(TO_WORDS)

    def locate(self, text: bytes, *, strip_breaks: bool) -> Spans:
        """See `TextRule`."""
        mapped = np.frombuffer(self.to_words(text, strip_breaks=strip_breaks), np.uint8)
        edges = np.diff(mapped != _SPACE, prepend=False, append=False)
        return np.flatnonzero(edges).reshape(-1, 2)

    def find_end(self, text: bytes) -> int:
        """See `TextRule`. A word may go on until a separator comes."""
        start = max(0, len(text) - _NEAR_BYTES)
        if (at := text[start:].translate(TO_WORDS).rfind(b" ")) >= 0:
            return start + at + 1
        return text[:start].translate(TO_WORDS).rfind(b" ") + 1

    def shorten(self, text: bytes, most_bytes: int) -> bytes:
        """See `TextRule`."""
        return text[:most_bytes]

    def find_wrong(self, words: Sequence[bytes]) -> int | None:
        """See `TextRule`."""
        if all(words) and not b"".join(words).translate(None, bytes(_WORD_BYTES)):  # one check of all words is quick
            return None
        return next(i for i, word in enumerate(words) if not word or not _WORD_BYTES.issuperset(word))


BYTE_RULE = ByteRule()
