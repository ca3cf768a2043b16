"""Makes the table of characters of the tokenizer rules of texts of every script, from the data of Unicode 14.0.0.

`python -m tests.make_unicode_table` writes `rnnx/text/unicode-14.0.0.npz` again, its kinds of characters for the page
of `rnnx embed browser`, and all that the kits for taggers and streams read. Python carries Unicode's data in its
module `unicodedata`: Python 3.11 has version 14.0.0, and any other version is refused. The rule never changes, so this
runs again only if the file has to be made in another format. A newer version of Unicode would be another rule.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from rnnx.bundle.find_model import SAMPLES_PATH
from rnnx.bundle.kits import CHARACTERS_NAME
from rnnx.text.unicode_sentences import _class_of
from rnnx.text.unicode_table import CHARACTER_COUNT, TABLE_PATH, CharacterKind, CharacterTable
from rnnx.text.unicode_words import _shape

UNICODE_VERSION = "14.0.0"
KINDS_PATH = SAMPLES_PATH / "browser" / "page" / "unicode-14.json"
CHARACTERS_PATH = SAMPLES_PATH / CHARACTERS_NAME
_QUESTION, _EXCLAMATION, _APOSTROPHE, _QUOTE, _DASH = map(ord, "?!'\"-")
_Ranges = Sequence[tuple[int, int]]

# The bytes 80 to 9F, read as Windows-1252, as HTML reads them. Windows-1252 leaves five of them undefined.
_WINDOWS_1252 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}
_SURROGATES = (0xD800, 0xDFFF)
# Soft hyphen, grapheme joiner, Arabic letter mark, Mongolian selectors, joiners and directions, invisible operators,
# variation selectors, byte order mark, skin tones.
_DROPPED: _Ranges = (
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x180B, 0x180F),
    (0x200C, 0x200F),
    (0x202A, 0x202E),
    (0x2060, 0x206F),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0x1F3FB, 0x1F3FF),
)
# The points of Hebrew and the vowel signs of Arabic: the marks of these blocks, but not madda and hamza (653 to 655),
# which belong to the letter.
_VOWELLED: _Ranges = ((0x590, 0x5FF), (0x600, 0x652), (0x656, 0x6FF))
_TATWEEL = 0x640
_QUOTES = frozenset(map(ord, "\u00ab\u00bb\u201c\u201d\u201e\u201f\u2033\u301d\u301e"))
_DASHES = frozenset((*range(0x2010, 0x2016), 0x2212))
_APOSTROPHES = frozenset({0xB4, 0x2BC, 0x2018, 0x2019, 0x201B, 0x2032, 0xFF07})
_MARKS = {
    **dict.fromkeys((0x37E, 0x61F, 0x203D, 0x2753, 0x2754), _QUESTION),
    **dict.fromkeys((0x203C, 0x2755, 0x2757), _EXCLAMATION),
}
# Letters whose lower-case form is not found by `str.lower`, or is more than one character there.
_LETTERS = {0x3C2: 0x3C3, 0x17F: ord("s"), 0x130: ord("i")}  # final sigma, long s, I with a dot
# Scripts that are written without spaces.
_SPACELESS: _Ranges = (
    (0xE00, 0xEFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19DF),  # Tai Le, New Tai Lue
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x2E80, 0x2FDF),  # radicals of Han
    (0x3005, 0x3007),  # iteration and closing marks, zero of Han
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3031, 0x3035),  # repeat marks of kana
    (0x3038, 0x303C),  # Hangzhou numerals, marks of Han and kana
    (0x3041, 0x312F),  # kana, Bopomofo
    (0x31A0, 0x31BF),  # Bopomofo
    (0x31F0, 0x31FF),  # kana
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar
    (0xAA60, 0xAA7F),  # Myanmar
    (0xF900, 0xFAFF),  # Han
    (0xFF66, 0xFF9F),  # kana
    (0x16FE0, 0x18DFF),  # Tangut, Khitan, Nushu
    (0x1AFF0, 0x1B2FF),  # kana, Nushu
    (0x20000, 0x3FFFF),  # Han
)
_SYMBOLS: _Ranges = ((0x2190, 0x2BFF), (0x3030, 0x3030), (0x1F000, 0x1FAFF))


def make_table() -> CharacterTable:
    """Classifies every character below U+32400, with punctuation and symbols as marks.

    Raises:
        RuntimeError: If the running Python has another version of Unicode's data.
    """
    if unicodedata.unidata_version != UNICODE_VERSION:
        raise RuntimeError(f"the table is made from Unicode {UNICODE_VERSION}, not {unicodedata.unidata_version}")
    rows = [_classify(code) for code in range(CHARACTER_COUNT)]
    return CharacterTable(
        np.array([kind for kind, _ in rows], np.uint8), np.array([replacement for _, replacement in rows], np.int32)
    )


def _classify(code: int) -> tuple[CharacterKind, int]:
    """Returns the kind of a character and its replacement; 0 if it has none."""
    if code in _WINDOWS_1252:
        meant = _WINDOWS_1252[code]
        return _classify(ord(meant)) if meant else (CharacterKind.SEPARATOR, 0)
    if _is_dropped(code):
        return CharacterKind.DROPPED, 0
    replacement = _replace(code)
    kind = _kind_of(replacement)
    return (kind, 0) if kind in (CharacterKind.SEPARATOR, CharacterKind.DROPPED) else (kind, replacement)


def _is_dropped(code: int) -> bool:
    category = unicodedata.category(chr(code))
    is_vowel = _is_in(code, _VOWELLED) and category == "Mn"
    return _is_in(code, _DROPPED) or category == "Me" or is_vowel or code == _TATWEEL


def _replace(code: int) -> int:
    """Replaces a character until it is its own replacement."""
    while True:
        replacement = _replace_once(code)
        if replacement == code:
            return code
        code = replacement


def _replace_once(code: int) -> int:
    if code in _APOSTROPHES:
        return _APOSTROPHE
    if code in _MARKS:
        return _MARKS[code]
    if code in _QUOTES:
        return _QUOTE
    if code in _DASHES:
        return _DASH
    character = chr(code)
    if unicodedata.category(character) == "Nd":
        return ord("0") + unicodedata.decimal(character)
    composed = unicodedata.normalize("NFKC", character)
    if composed != character and len(composed) == 1:
        return ord(composed)
    if code in _LETTERS:
        return _LETTERS[code]
    lowered = character.lower()
    return ord(lowered) if len(lowered) == 1 else code


def _kind_of(code: int) -> CharacterKind:
    """Returns the kind of a character that is its own replacement."""
    if _is_in(code, [_SURROGATES]):
        return CharacterKind.SEPARATOR
    if code == _APOSTROPHE:
        return CharacterKind.WORD
    if _is_dropped(code):
        return CharacterKind.DROPPED
    category = unicodedata.category(chr(code))
    if category[0] in "LMN":
        if not _is_in(code, _SPACELESS):
            return CharacterKind.WORD
        return CharacterKind.JOIN if category[0] == "M" else CharacterKind.SINGLE
    if category == "So" and _is_in(code, _SYMBOLS):
        return CharacterKind.ALONE
    return CharacterKind.MARK if category[0] in "PS" else CharacterKind.SEPARATOR


def _is_in(code: int, ranges: _Ranges) -> bool:
    return any(first <= code <= last for first, last in ranges)


def format_kinds(table: CharacterTable) -> str:
    """Formats the kinds of all characters for the page of `rnnx embed browser`, which only draws words.

    Returns:
        A JSON object: `runs` has the length and the kind of each run of characters of one kind, and `marks` the
        characters that are tokens of the rule `unicode-14` if `tokenizer.marks` is true.
    """
    runs = [[len(list(run)), kind] for kind, run in groupby(table.kinds.tolist())]
    marks = np.flatnonzero(table.with_marks("!?").kinds != table.with_marks("").kinds).tolist()
    return json.dumps({"rule": "unicode-14", "marks": marks, "runs": runs}, separators=(",", ":")) + "\n"


def format_characters(table: CharacterTable) -> str:
    """Formats the table of the rule `unicode-14`, with `!` and `?` as tokens, for the kits that find words themselves.

    Returns:
        A JSON object: `runs` has the length of each run of characters that are alike, their kind, how far away the
        replacement is, the class of the character in `rnnx.text.unicode_sentences`, and its letter in the shape of a
        word. For these two, null is the character itself, and true is the replacement.
    """

    def describe(code: int) -> tuple[int, int, str | bool | None, str | bool | None]:
        kind, replacement = CharacterKind(table.kinds[code]), int(table.replacements[code])
        written = [write(chr(code), kind, chr(replacement)) for write in (_class_of, _shape)]
        short = [None if w == chr(code) else True if w and w == chr(replacement) else w for w in written]
        return int(kind), replacement - code if replacement else 0, short[0], short[1]

    runs = [[len(list(run)), *key] for key, run in groupby(map(describe, range(CHARACTER_COUNT)))]
    return json.dumps({"rule": "unicode-14", "runs": runs}, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    TABLE_PATH.write_bytes(make_table().to_bytes())
    KINDS_PATH.write_text(format_kinds(make_table()), encoding="utf-8")
    CHARACTERS_PATH.write_text(format_characters(make_table().with_marks("!?")), encoding="utf-8")
