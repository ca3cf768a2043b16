"""The rule `bytes`: splits a text into sentences and words as English treebanks do, and gives the features of words.

Everything is defined on bytes; UTF-8 is expected, but not required.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# White space that is not ASCII: the no-break space, spaces of fixed width, line and paragraph separators, the CJK
# space, and the byte order mark.
_WIDE_SPACE = re.compile(rb"\xc2\xa0|\xe2\x80[\x80-\x8b\xa8\xa9\xaf]|\xe3\x80\x80|\xef\xbb\xbf")
# Punctuation that is not ASCII: inverted marks, guillemets, the middle dot; dashes, quotes, the ellipsis; the CJK full
# stop and comma.
_WIDE_SIGN = rb"(?:\xc2[\xa1\xab\xb7\xbb\xbf]|\xe2\x80[\x90-\xbf]|\xe3\x80[\x81\x82])"
_LETTER = rb"(?:[A-Za-z0-9_]|(?!" + _WIDE_SIGN + rb")[\x80-\xff])"
_APOSTROPHE = rb"(?:'|\xe2\x80\x99)"
_NOT_BEFORE_LETTER = rb"(?!" + _LETTER + rb")"
_ABBREVIATIONS = (
    rb"(?i:dr|mr|mrs|ms|st|ft|mt|jr|sr|vs|etc|inc|corp|co|ltd|gen|lt|col|sgt|rev|gov|sen|rep|prof|no|dept|approx|ave|"
    rb"jan|feb|aug|sept|sep|oct|nov|dec|mon|tues|wed|thurs|fri|sat)"
)
_PREFIXES = rb"(?i:e|co|pre|non|re|anti|multi|post|semi|sub|un|ex|mid|inter|counter|pro|bi|neo|ultra|mini)"
_UNITS = rb"(?i:am|pm|k|m|b|bn|mm|cm|km|ft|kg|lbs?|hz|mhz|ghz|x)"
# The first pattern that matches is a word.
_WORD = re.compile(
    rb"|".join(
        (
            rb"(?:(?:https?|ftp)://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]']",
            rb"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*",
            rb"[:;=]['-]?[()DPp]+" + _NOT_BEFORE_LETTER,
            rb"(?:[A-Za-z]\.){2,}|[A-Z]\.(?=\s)|" + _ABBREVIATIONS + rb"\.",
            rb"[0-9]+(?:[.,:/][0-9]+)*(?=" + _UNITS + _NOT_BEFORE_LETTER + rb")",
            rb"[0-9]{3}-(?:[0-9]{3}-)?[0-9]{4}" + _NOT_BEFORE_LETTER,
            rb"\.?[0-9]+(?:[.,:/][0-9]+)+" + _NOT_BEFORE_LETTER,
            rb"[A-Z]+&[A-Z]+" + _NOT_BEFORE_LETTER,
            rb"(?:" + _PREFIXES + rb"-)?" + _LETTER + rb"+(?:(?:\.|" + _APOSTROPHE + rb")" + _LETTER + rb"+)*",
            _APOSTROPHE + rb"(?i:s|m|ll|ve|re|d)" + _NOT_BEFORE_LETTER,
            rb"[.!?]{2,}|\xe2\x80\xa6",
            rb"([!-/:-@\[-^`{-~])\1+",
            rb"(" + _WIDE_SIGN + rb")\2*",
            rb"\S",
        )
    )
)
# The part of a word before an ending that is a word of its own.
_BEFORE_ENDING = re.compile(
    rb"(?is)(?:.*[a-z\x80-\xff](?=n" + _APOSTROPHE + rb"t$)|.+(?=" + _APOSTROPHE + rb"(?:s|m|ll|ve|re|d)$)"
    rb"|can(?=not$)|(?:gon|wan)(?=na$)|got(?=ta$)|(?:do|does|did|ca|wo|is|was|would|could|should|has|have)(?=nt$)|i(?=m$|ve$))"
)
_SENTENCE_END = re.compile(rb"[.!?]*[.!?]|\xe2\x80\xa6|\xe3\x80\x82")
_CLOSING = frozenset((b'"', b"'", b"''", b")", b"]", b"\xe2\x80\x99", b"\xe2\x80\x9d", b"\xc2\xbb"))

_CHARACTER = re.compile(rb"(?s:.)[\x80-\xbf]*")
_THREE_IN_A_ROW = re.compile(rb"(?s)(.)\1\1+")
_LONGEST_SHAPE = 8
_SHAPES = bytes.maketrans(
    bytes(range(0x41, 0x5B)) + bytes(range(0x61, 0x7B)) + b"0123456789" + bytes(range(0x80, 0x100)),
    b"X" * 26 + b"x" * 26 + b"d" * 10 + b"u" * 0x80,
)


class BytesRule:
    """The rule `bytes`."""

    def split(self, text: bytes) -> Iterator[list[tuple[int, int]]]:
        """Yields the sentences of a text: the first byte of each word, and the one after its last."""
        sentence: list[tuple[int, int]] = []
        is_over = False  # whether its punctuation has ended the sentence
        for start, end in _split_words(text):
            word, between = text[start:end], text[sentence[-1][1] : start] if sentence else b""
            is_closing = is_over and not between and word in _CLOSING
            if b"\n" in between or b"\r" in between or (is_over and between and not word[:1].islower()):
                yield sentence
                sentence, is_over = [], False
            sentence.append((start, end))
            is_over = is_closing or _SENTENCE_END.fullmatch(word) is not None
        if sentence:
            yield sentence

    def to_tokens(self, word: bytes, slots: Sequence[str]) -> list[bytes]:
        """Returns what is looked up in the vocabulary: the lowered word, and its features."""
        lowered = word.lower()
        characters = _CHARACTER.findall(lowered)
        tokens = [lowered]
        for slot in slots:
            if slot == "SHAPE":
                value = _THREE_IN_A_ROW.sub(rb"\1\1", word.translate(_SHAPES))[:_LONGEST_SHAPE]
            else:
                count = int(slot[-1])
                value = b"".join(characters[-count:] if slot.startswith("SUFFIX") else characters[:count])
            tokens.append(slot.encode() + b"=" + value)
        return tokens


def _split_words(text: bytes) -> Iterator[tuple[int, int]]:
    text = _WIDE_SPACE.sub(lambda match: b" " * len(match[0]), text)
    for match in _WORD.finditer(text):
        start, end = match.span()
        ending = _BEFORE_ENDING.match(match[0])
        if ending and not match[0].startswith((b"http", b"www.")):
            cut = start + ending.end()
            yield start, cut
            start = cut
        yield start, end
