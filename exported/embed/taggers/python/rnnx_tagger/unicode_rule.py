"""The rule `unicode-14`: splits a text of any script into sentences and words, and gives the features of words.

The table in `config.json` says of each character how it is lowered, and its classes for splitting and for the shape of a word.
Bytes that are not UTF-8 are the characters of their own numbers.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

# The classes of characters outside ASCII. Each is a character of the class itself.
_CAPITAL, _SMALL, _CASELESS, _SINGLE, _KATAKANA, _JOIN, _SYMBOL = "\xc0\xe0\u05d0\u4e2d\u30ab\u0e31\u263a"
_WIDE_MARK, _WIDE_STOP, _ELLIPSIS, _APOSTROPHE = "\uff01\u3002\u2026'"
_LINE_ENDS = frozenset("\r\n")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_CLOSING = frozenset("\"')]}\u2019\u201d\u00bb\u203a\uff09\uff3d\uff5d\u300d\u300f\u3011\u300b\u3009\u3015\uff63")
_LETTERS = f"A-Za-z0-9_{_CAPITAL}{_SMALL}{_CASELESS}"
_LETTER, _NOT_BEFORE_LETTER = f"[{_LETTERS}]", f"(?![{_LETTERS}])"
_ADDRESS = rf"[^\s<>\"{_SINGLE}{_KATAKANA}{_JOIN}{_WIDE_MARK}{_WIDE_STOP}{_ELLIPSIS}]"
# The first pattern that matches is a word.
_PATTERN = rf"""
    (?i:(?:https?|ftp)://|www\.){_ADDRESS}*(?<![.,;:!?)\]'])
    | [A-Za-z0-9._+-]{{1,64}}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*
    | [:;=]['-]?[()DPp]+{_NOT_BEFORE_LETTER}
    | (?:[A-Za-z{_CAPITAL}{_SMALL}{_CASELESS}]\.){{2,}} | [A-Z{_CAPITAL}]\.(?=\s)
    | \.?[0-9]+(?:[.,:/][0-9]+)+{_NOT_BEFORE_LETTER}
    | {_LETTER}+(?:[JOINERS]{_LETTER}+)*
    | [.!?{_WIDE_MARK}]{{2,}}
    | {_KATAKANA}[{_KATAKANA}{_JOIN}]*
    | [{_SINGLE}{_SYMBOL}]{_JOIN}*
    | ([^\s{_LETTERS}])\1*
"""
_SENTENCE_END = re.compile(rf"[.!?{_WIDE_MARK}]*[.!?{_WIDE_MARK}]|{_ELLIPSIS}+|{_WIDE_STOP}+")
_IS_LETTER = re.compile(_LETTER).match
_HYPHENS = "\\-\u2010\u2011"

_SURROGATE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")
_ESCAPE, _FIRST_ESCAPED, _LAST_ESCAPED = 0xDC00, 0xDC80, 0xDCFF
_SEPARATOR, _DROPPED = 0, 5
_THREE_IN_A_ROW = re.compile(r"(?s)(.)\1\1+")
_LONGEST_SHAPE = 8


class _Text(NamedTuple):
    """The characters of a text that are not dropped: lowered, their classes, and where each starts and ends."""

    lowered: str
    classes: str
    starts: list[int]
    ends: list[int]


class _Written(dict[int, str]):
    """What `str.translate` writes for each character; a character after the table is itself."""

    def __missing__(self, code: int) -> str:
        return chr(code)


class UnicodeRule:
    """The rule `unicode-14`."""

    def __init__(self, runs: Sequence[Any], words: Sequence[bytes], *, joins_hyphens: bool) -> None:
        """Takes the runs of the table of characters, and the words of the vocabulary, without special tokens."""
        self._lowered, self._classes, self._shapes = _read_table(runs)
        self._known = frozenset(word.decode() for word in words)
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for word in self._known:
            lengths[word[0]].add(len(word))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        self._longest = max(map(len, self._known), default=0)
        joiners = _APOSTROPHE + (_HYPHENS if joins_hyphens else "")
        self._pattern = re.compile(_PATTERN.replace("JOINERS", joiners), re.VERBOSE)

    def split(self, text: bytes) -> Iterator[list[tuple[int, int]]]:
        """Yields the sentences of a text: the first byte of each word, and the one after its last."""
        for line in _LINE.finditer(text):  # no sentence is longer than a line
            for sentence in self._split_line(line[0]):
                yield [(line.start() + start, line.start() + end) for start, end in sentence]

    def to_tokens(self, word: bytes, slots: Sequence[str]) -> list[bytes]:
        """Returns what is looked up in the vocabulary: the lowered word, and its features."""
        characters = _decode(word)
        lowered = self._lower(characters)
        tokens = [lowered]
        for slot in slots:
            if slot == "SHAPE":
                shape = characters.translate(self._shapes) or lowered
                value = _THREE_IN_A_ROW.sub(r"\1\1", shape)[:_LONGEST_SHAPE]
            else:
                count = int(slot[-1])
                value = lowered[-count:] if slot.startswith("SUFFIX") else lowered[:count]
            tokens.append(f"{slot}={value}")
        return [token.encode() for token in tokens]

    def _lower(self, characters: str) -> str:
        lowered = characters.translate(self._lowered)
        return lowered or "".join(chr(_meant(ord(character))) for character in characters)

    def _split_line(self, text: bytes) -> Iterator[list[tuple[int, int]]]:
        read = self._read(text)
        sentence: list[tuple[int, int]] = []
        end, is_over, is_wide = 0, False, False  # of the last word; whether its marks have ended the sentence
        for first, last in self._find_words(read):
            between, of_word = read.classes[end:first], read.classes[first:last]
            is_closing = is_over and not between and _CLOSING.issuperset(of_word)
            is_new = is_over and not is_closing and _begins_sentence(between, of_word[0], is_wide=is_wide)
            if sentence and (is_new or not _LINE_ENDS.isdisjoint(between)):
                yield sentence
                sentence, is_over, is_wide = [], False, False
            sentence.append((read.starts[first], read.ends[last - 1]))
            if not is_closing:
                is_over = _SENTENCE_END.fullmatch(of_word) is not None
                is_wide = is_over and of_word[-1] in (_WIDE_MARK, _WIDE_STOP)
            end = last
        if sentence:
            yield sentence

    def _read(self, text: bytes) -> _Text:
        characters = _decode(text)
        sizes = [_count_bytes(character) for character in characters]
        ends = list(accumulate(sizes))
        # A character that is dropped has no class.
        kept = [i for i, character in enumerate(characters) if self._classes[ord(character)]]
        lowered, classes = characters.translate(self._lowered), characters.translate(self._classes)
        return _Text(lowered, classes, [ends[i] - sizes[i] for i in kept], [ends[i] for i in kept])

    def _find_words(self, read: _Text) -> Iterator[tuple[int, int]]:
        """Yields the first character of each word and the one after its last."""
        place = 0
        while match := self._pattern.search(read.classes, place):
            place = match.start()
            end = self._longest_known(read, place, match.end())
            for length in self._cut(read.lowered[place:end]):
                yield place, place + length
                place += length

    def _longest_known(self, read: _Text, start: int, end: int) -> int:
        """Returns the end of the longest known word that begins at `start` and ends after `end`; else `end`."""
        for length in self._lengths.get(read.lowered[start], ()):
            last = start + length
            if last <= end:
                break
            word = read.lowered[start:last]
            if word in self._known and not _is_torn(read.classes, start, last) and not self._may_end_sentence(word):
                return last
        return end

    def _may_end_sentence(self, word: str) -> bool:
        """Whether a word is another known word and a full stop, and not a number."""
        return word[-1] == "." and word[:-1] in self._known and not word[:-1].isdigit()

    def _cut(self, word: str) -> list[int]:
        """Returns the lengths of the words that a word with an apostrophe consists of, or its own length."""
        if _APOSTROPHE not in word or word in self._known:
            return [len(word)]
        last = word.rindex(_APOSTROPHE)
        for cut in range(max(1, len(word) - self._longest), last + 1):
            if word[cut:] in self._known:
                return [cut, len(word) - cut]
        after = word.index(_APOSTROPHE) + 1
        return [after, len(word) - after] if word[:after] in self._known and after < len(word) else [len(word)]


def _read_table(runs: Sequence[Any]) -> tuple[_Written, _Written, _Written]:
    """Reads the runs of the table: how a character is lowered, its class, and what the shape has for it."""
    lowered, classes, shapes = _Written(), _Written(), _Written()
    code = 0
    for length, kind, shift, of_class, of_shape in runs:
        for meant in range(code, code + length):
            itself, replacement = chr(meant), chr(meant + shift)
            lowered[meant] = "" if kind == _DROPPED else itself if kind == _SEPARATOR else replacement
            for written, value in ((classes, of_class), (shapes, of_shape)):
                written[meant] = itself if value is None else replacement if value is True else value
        code += length
    for written in (lowered, classes, shapes):
        for escaped in range(_FIRST_ESCAPED, _LAST_ESCAPED + 1):
            written[escaped] = written[_meant(escaped)]
    return lowered, classes, shapes


def _is_torn(classes: str, start: int, end: int) -> bool:
    """Whether white space is in a part of a text, or letters or marks continue after it."""
    if any(character.isspace() for character in classes[start:end]):
        return True
    return end < len(classes) and (
        classes[end] == _JOIN or (_IS_LETTER(classes[end]) is not None and _IS_LETTER(classes[end - 1]) is not None)
    )


def _begins_sentence(between: str, initial: str, *, is_wide: bool) -> bool:
    """Whether a word begins a sentence after one that has ended."""
    if is_wide or initial in (_SINGLE, _KATAKANA):
        return True
    return bool(between) and not (initial == _SMALL or "a" <= initial <= "z")


def _decode(text: bytes) -> str:
    """Decodes UTF-8. Each other byte is escaped, and an encoded surrogate becomes three spaces."""
    return _SURROGATE.sub(b"   ", text).decode("utf-8", "surrogateescape")


def _meant(code: int) -> int:
    return code - _ESCAPE if _FIRST_ESCAPED <= code <= _LAST_ESCAPED else code


def _count_bytes(character: str) -> int:
    code = ord(character)
    if code < 0x80 or _FIRST_ESCAPED <= code <= _LAST_ESCAPED:
        return 1
    return 2 if code < 0x800 else 3 if code < 0x10000 else 4
