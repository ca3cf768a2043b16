"""Splits plain text of any script into words and sentences: the rule `unicode-14` of taggers.

Characters that the table drops are read as if they were not there. Every character has a class, and patterns of
classes find the words, from left to right: a web or mail address; an emoticon; single letters with full stops
(`z.B.`); a number with its separators; letters, digits and the apostrophes between them, with the hyphens between them
if `joins_hyphens` says so; a run of sentence ends or of one punctuation mark; a run of katakana; a character of another
script without spaces, with its marks; an emoji; any other character.

The known words come first. If one of them begins at the same place, is longer, and ends where no letters are torn
apart, it is the word: so words are found in scripts without spaces, and abbreviations with their full stops. A known
word of letters is not continued by a full stop, however. Of a word with an apostrophe that is not known, the longest
known ending with an apostrophe becomes a word of its own (`n't`, `'s`), or else the beginning up to the apostrophe, if
that is known (`l'`).

A sentence ends at a line break, and after a full stop, question or exclamation mark or ellipsis, and the quotes and
brackets that close it, if white space follows and the next word has no small initial. The marks of other scripts, such
as `。`, `।`, `؟` and the full-width ones, end it in any case, and so do ASCII marks before a character of a script
without spaces.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnnx.text.unicode_rule import decode_escaped
from rnnx.text.unicode_table import CharacterKind
from rnnx.text.word_characters import APOSTROPHE, MARKS, WrittenCharacters, find_capitals, is_digit, is_katakana
from rnnx.text.word_rule import Word

# The classes of characters outside ASCII. Each is a character of the class itself.
_CAPITAL, _SMALL, _CASELESS, _SINGLE, _KATAKANA, _JOIN, _SYMBOL = "Ààא中カั☺"
_WIDE_MARK, _WIDE_STOP, _ELLIPSIS, _SPACE, _LINE_END = "\uff01。… \n"
# The characters with the property Sentence_Terminal of Unicode that end a sentence as a full stop does, and Khmer's.
_STOPS = frozenset(
    "\u0589\u061d\u061e\u06d4\u0700\u0701\u0702\u07f9\u0837\u0839\u083d\u083e\u0964\u0965\u104a\u104b\u1362\u1367\u1368"
    "\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8\u1aa9\u1aaa\u1aab\u1b5a\u1b5b\u1b5e\u1b5f\u1c3b\u1c3c"
    "\u1c7e\u1c7f\u2047\u2048\u2049\u2e3c\u3002\ua4ff\ua60e\ua60f\ua6f3\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9"
    "\uaa5d\uaa5e\uaa5f\uaaf0\uaaf1\uabeb\ufe52\uff0e\uff61"
)
_SPACES = frozenset("\xa0\u1680\u202f\u205f\u3000") | frozenset(map(chr, range(0x2000, 0x200C)))
_LINES = frozenset("\u2028\u2029")
_LINE_ENDS = frozenset("\r\n")
_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_ELLIPSES = frozenset("\x85\u2026")
# Quotes and brackets that close, in ASCII, in general punctuation, and those of East Asia.
CLOSING = frozenset("\"')]}\u2019\u201d\u00bb\u203a\uff09\uff3d\uff5d\u300d\u300f\u3011\u300b\u3009\u3015\uff63")

_LETTERS = f"A-Za-z0-9_{_CAPITAL}{_SMALL}{_CASELESS}"
_LETTER, _NOT_BEFORE_LETTER = f"[{_LETTERS}]", f"(?![{_LETTERS}])"
_ADDRESS = rf"[^\s<>\"{_SINGLE}{_KATAKANA}{_JOIN}{_WIDE_MARK}{_WIDE_STOP}{_ELLIPSIS}]"
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


def write_patterns(*, joins_hyphens: bool) -> dict[str, list[str]]:
    """Writes the patterns out, for programs in other languages; they match the classes of the characters of a text.

    Returns:
        `words` has the patterns of words in their order, `sentence end` that of a word that ends a sentence, and
        `classes` the character that is written for each class outside ASCII.
    """
    classes = {
        "capital letters": _CAPITAL,
        "small letters": _SMALL,
        "other letters and marks": _CASELESS,
        "characters of scripts without spaces": _SINGLE,
        "katakana": _KATAKANA,
        "marks of scripts without spaces": _JOIN,
        "symbols and emoji": _SYMBOL,
        "exclamation and question marks": _WIDE_MARK,
        "other ends of sentences": _WIDE_STOP,
        "ellipses": _ELLIPSIS,
    }
    lines = _PATTERN.replace("JOINERS", _joiners(joins_hyphens=joins_hyphens)).strip().splitlines()
    return {
        "classes": [f"{character} {name}" for name, character in classes.items()],
        "words": [line.strip().removeprefix("| ").replace(" | ", "|") for line in lines],
        "sentence end": [_SENTENCE_END.pattern],
    }


def _joiners(*, joins_hyphens: bool) -> str:
    return APOSTROPHE + (_HYPHENS if joins_hyphens else "")


class _Text(NamedTuple):
    """The characters of a text that are not dropped.

    Attributes:
        lowered: Their lower-cased forms, one for each.
        classes: Their classes, one for each.
        starts: The offset of the first byte of each, `(count,)` int64.
        ends: The offset after the last byte of each, `(count,)` int64.
    """

    lowered: str
    classes: str
    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class SentenceSplitter:
    """Splits texts with the known words of a tagger."""

    def __init__(self, words: Sequence[bytes], lowered: WrittenCharacters, *, joins_hyphens: bool) -> None:
        """Sorts the known words.

        Args:
            words: The known words, lower-cased.
            lowered: How each character is lower-cased.
            joins_hyphens: Whether a word goes on after a hyphen.
        """
        self._known = frozenset(word.decode() for word in words)
        lengths: defaultdict[str, set[int]] = defaultdict(set)
        for word in self._known:
            lengths[word[0]].add(len(word))
        # The lengths of the known words that begin with a character, the longest first.
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}
        self._longest = max(map(len, self._known), default=0)
        self._lowered = lowered
        self._classes = WrittenCharacters(_class_of)
        self._kept = WrittenCharacters(lambda character, kind, replacement: "01"[kind != CharacterKind.DROPPED])
        joiners = _joiners(joins_hyphens=joins_hyphens)
        self._pattern = re.compile(_PATTERN.replace("JOINERS", joiners), re.VERBOSE)

    def split(self, text: bytes) -> Iterator[list[Word]]:
        """Splits a text, any bytes, into sentences of at least one word."""
        for line in _LINE.finditer(text):  # no sentence is longer, and the characters of a line need less memory
            for sentence in self._split_line(line[0]):
                yield [Word(word, line.start() + start, line.start() + end) for word, start, end in sentence]

    def _split_line(self, text: bytes) -> Iterator[list[Word]]:
        read = self._read(text)
        sentence: list[Word] = []
        end, is_over, is_wide = 0, False, False  # of the last word; whether its marks have ended the sentence
        for first, last in self._find_words(read):
            between, of_word = read.classes[end:first], read.classes[first:last]
            is_closing = is_over and not between and CLOSING.issuperset(of_word)
            is_new = is_over and not is_closing and _begins_sentence(between, of_word[0], is_wide=is_wide)
            if sentence and (is_new or not _LINE_ENDS.isdisjoint(between)):
                yield sentence
                sentence, is_over, is_wide = [], False, False
            start, stop = int(read.starts[first]), int(read.ends[last - 1])
            sentence.append(Word(text[start:stop], start, stop))
            if not is_closing:
                is_over = _SENTENCE_END.fullmatch(of_word) is not None
                is_wide = is_over and of_word[-1] in (_WIDE_MARK, _WIDE_STOP)
            end = last
        if sentence:
            yield sentence

    def _read(self, text: bytes) -> _Text:
        characters = decode_escaped(text)
        codes = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), "<u4")
        sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
        sizes[(codes >= 0xD800) & (codes < 0xE000)] = 1  # escaped bytes
        ends = np.cumsum(sizes)
        is_kept = np.frombuffer(characters.translate(self._kept).encode(), np.uint8) == ord("1")
        starts = (ends - sizes)[is_kept]
        lowered, classes = characters.translate(self._lowered), characters.translate(self._classes)
        return _Text(lowered, classes, starts, ends[is_kept])

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
        if APOSTROPHE not in word or word in self._known:
            return [len(word)]
        last = word.rindex(APOSTROPHE)
        for cut in range(max(1, len(word) - self._longest), last + 1):
            if word[cut:] in self._known:
                return [cut, len(word) - cut]
        after = word.index(APOSTROPHE) + 1
        return [after, len(word) - after] if word[:after] in self._known and after < len(word) else [len(word)]


def _is_torn(classes: str, start: int, end: int) -> bool:
    """Whether white space is in a part of a text, or letters or marks continue after it."""
    if any(character.isspace() for character in classes[start:end]):
        return True
    return end < len(classes) and (
        classes[end] == _JOIN or (_IS_LETTER(classes[end]) is not None and _IS_LETTER(classes[end - 1]) is not None)
    )


def _begins_sentence(between: str, initial: str, *, is_wide: bool) -> bool:
    """Whether a word begins a sentence after one that has ended.

    Args:
        between: The classes of the characters between the two words: white space, or nothing.
        initial: The class of the first character of the word.
        is_wide: Whether a mark ended the sentence that needs no white space after it.
    """
    if is_wide or initial in (_SINGLE, _KATAKANA):
        return True
    return bool(between) and not (initial == _SMALL or "a" <= initial <= "z")


def _class_of(character: str, kind: CharacterKind, replacement: str) -> str:
    if character.isascii():
        return character
    for members, name in ((_SPACES, _SPACE), (_LINES, _LINE_END), (_ELLIPSES, _ELLIPSIS), (_STOPS, _WIDE_STOP)):
        if character in members:
            return name
    match kind:
        case CharacterKind.DROPPED:
            return ""
        case CharacterKind.WORD if replacement == APOSTROPHE or is_digit(replacement):
            return replacement
        case CharacterKind.WORD:
            capitals, small = find_capitals()
            return _CAPITAL if character in capitals else _SMALL if replacement in small else _CASELESS
        case CharacterKind.SINGLE:
            return _KATAKANA if is_katakana(replacement) else _SINGLE
        case CharacterKind.JOIN:
            return _JOIN
        case CharacterKind.ALONE:
            return _WIDE_MARK if replacement in MARKS else _SYMBOL
        case _:
            return character
