"""Splits plain text into sentences and words, in the way of English treebanks.

The rules are defined on bytes; UTF-8 is expected, but not required. White space always separates words. The rest is
matched from left to right, and the first of these patterns that matches is a word: a web or mail address; an emoticon;
an abbreviation with its full stop; a number with its separators; a word, with dots or apostrophes between its letters;
a run of sentence ends or of one punctuation mark; any other single character. English endings (`n't`, `'s`, `'re`,
`'ve`, `'ll`, `'d`, `'m`) become words of their own. Hyphens separate words, except after a prefix such as `e-` or
`non-`.

A sentence ends at a line break. It also ends after `.`, `!`, `?` or an ellipsis and the quotes and brackets that close
it, unless the next word starts with a lower-case letter.

Imports the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from rnnx.text.word_rule import Word

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

_PATTERNS = (
    rb"(?:(?:https?|ftp)://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]']",
    rb"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*",
    rb"[:;=]['-]?[()DPp]+" + _NOT_BEFORE_LETTER,
    rb"(?:[A-Za-z]\.){2,}|[A-Z]\." + rb"(?=\s)|" + _ABBREVIATIONS + rb"\.",
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
_WORD = re.compile(rb"|".join(_PATTERNS))
_BEFORE_ENDING = (
    rb"(?is)(?:.*[a-z\x80-\xff](?=n" + _APOSTROPHE + rb"t$)|.+(?=" + _APOSTROPHE + rb"(?:s|m|ll|ve|re|d)$)"
    rb"|can(?=not$)|(?:gon|wan)(?=na$)|got(?=ta$)|(?:do|does|did|ca|wo|is|was|would|could|should|has|have)(?=nt$)|i(?=m$|ve$))"
)
_ENDING = re.compile(_BEFORE_ENDING)
_SENTENCE_END = re.compile(rb"[.!?]*[.!?]|\xe2\x80\xa6|\xe3\x80\x82")
_CLOSING = frozenset((b'"', b"'", b"''", b")", b"]", b"\xe2\x80\x99", b"\xe2\x80\x9d", b"\xc2\xbb"))

# The parts of the patterns that have names where the rule is written out; a part may contain the ones after it.
_NAMED = {
    "END": _NOT_BEFORE_LETTER,
    "LETTER": _LETTER,
    "SIGN": _WIDE_SIGN,
    "APOSTROPHE": _APOSTROPHE,
    "ABBREVIATION": _ABBREVIATIONS,
    "PREFIX": _PREFIXES,
    "UNIT": _UNITS,
}


def write_patterns() -> dict[str, list[str]]:
    """Writes the patterns out, for programs in other languages.

    Returns:
        `space` has the white space that is not ASCII, `words` the patterns of words in their order, `before ending` the
        one for the part of a word before an ending, and `sentence end` that of a word that ends a sentence. `names` are
        the parts in braces, one a line.
    """
    names = [f"{name} = {_write(part, list(_NAMED)[i + 1 :])}" for i, (name, part) in enumerate(_NAMED.items())]
    return {
        "names": names,
        "space": [_WIDE_SPACE.pattern.decode()],
        "words": [_write(pattern, list(_NAMED)) for pattern in _PATTERNS],
        "before ending": [_write(_BEFORE_ENDING, list(_NAMED))],
        "sentence end": [_SENTENCE_END.pattern.decode()],
    }


def _write(pattern: bytes, names: list[str]) -> str:
    for name in names:
        pattern = pattern.replace(_NAMED[name], b"{" + name.encode() + b"}")
    return pattern.decode()


def split_text(text: bytes) -> Iterator[list[Word]]:
    """Splits a text into sentences.

    Args:
        text: Any bytes.

    Yields:
        The words of each sentence, in their order; at least one word.
    """
    sentence: list[Word] = []
    is_over = False  # whether its punctuation has ended the sentence
    for word in split_words(text):
        between = text[sentence[-1].end : word.start] if sentence else b""
        is_closing = is_over and not between and word.word in _CLOSING
        if b"\n" in between or b"\r" in between or (is_over and between and not word.word[:1].islower()):
            yield sentence
            sentence, is_over = [], False
        sentence.append(word)
        is_over = is_closing or _SENTENCE_END.fullmatch(word.word) is not None
    if sentence:
        yield sentence


def split_words(text: bytes) -> Iterator[Word]:
    """Splits a text into words, regardless of sentences. Every byte that is not white space is in one of them."""
    text = _WIDE_SPACE.sub(lambda match: b" " * len(match[0]), text)
    for match in _WORD.finditer(text):
        start, end = match.span()
        ending = _ENDING.match(match[0])
        if ending and not match[0].startswith((b"http", b"www.")):
            cut = start + ending.end()
            yield Word(text[start:cut], start, cut)
            start = cut
        yield Word(text[start:end], start, end)
