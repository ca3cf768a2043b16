"""Tests the table of characters of `unicode-14` and `unicode-14-marks`: its file, its origin, and the rules."""
# ruff: noqa: RUF001  # characters that look like others are what is tested

import hashlib
import unicodedata

import numpy as np
import pytest

from rnnx.text.unicode_table import CHARACTER_COUNT, TABLE_PATH, CharacterKind, CharacterTable, load_table
from tests.make_unicode_table import (
    CHARACTERS_PATH,
    KINDS_PATH,
    UNICODE_VERSION,
    format_characters,
    format_kinds,
    make_table,
)

# Models are bound to the table by the name of their rule, so its bytes never change.
SHA256 = "cf7d8eb24a8fed83f7f29e266ded6154b6d989920fb6fc3956b3f70dd3ef3331"
# The kinds and replacements of the rule `unicode-14`, by `TokenizerConfig.marks`.
UNICODE_14_SHA256 = {
    False: "42054b15e25515fd59b73cd28bdfbc3ad9d6df843bf197d0849444bc51f66702",
    True: "e372f3a693b2dd315f0e47e74c595faf8f989a1df37f68ddcba8e94b911f40cb",
}
TABLE = load_table(marks=True)
ALL_MARKS = load_table("unicode-14-marks")


def kind_and_replacement(character: str) -> tuple[CharacterKind, str]:
    code = ord(character)
    replacement = int(TABLE.replacements[code])
    return CharacterKind(TABLE.kinds[code]), chr(replacement) if replacement else ""


def test_the_file_is_the_pinned_one() -> None:
    assert hashlib.sha256(TABLE_PATH.read_bytes()).hexdigest() == SHA256


@pytest.mark.parametrize("marks", [True, False])
def test_the_rule_unicode_14_reads_the_table_that_it_always_had(marks: bool) -> None:
    table = load_table(marks=marks)
    content = table.kinds.astype(np.uint8).tobytes() + table.replacements.astype("<i4").tobytes()
    assert hashlib.sha256(content).hexdigest() == UNICODE_14_SHA256[marks]


@pytest.mark.skipif(unicodedata.unidata_version != UNICODE_VERSION, reason="this Python has another version of Unicode")
def test_the_script_makes_the_table_of_the_file() -> None:
    made, read = make_table(), CharacterTable.from_bytes(TABLE_PATH.read_bytes())
    np.testing.assert_array_equal(read.kinds, made.kinds)
    np.testing.assert_array_equal(read.replacements, made.replacements)


def test_the_rule_with_marks_differs_in_separators_only() -> None:
    without = load_table()
    is_mark = ALL_MARKS.kinds != without.kinds
    assert set(without.kinds[is_mark]) == {CharacterKind.SEPARATOR}
    assert set(ALL_MARKS.kinds[is_mark]) == {CharacterKind.ALONE}
    np.testing.assert_array_equal(ALL_MARKS.replacements[~is_mark], without.replacements[~is_mark])
    assert bytes(np.flatnonzero(is_mark[:0x80]).tolist()) == b'!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'


@pytest.mark.skipif(unicodedata.unidata_version != UNICODE_VERSION, reason="this Python has another version of Unicode")
def test_a_mark_is_punctuation_or_a_symbol() -> None:
    without = load_table()
    for code in np.flatnonzero((without.kinds == CharacterKind.SEPARATOR) & (np.arange(CHARACTER_COUNT) >= 0xA0)):
        replacement = chr(ALL_MARKS.replacements[code])
        is_mark = ALL_MARKS.kinds[code] == CharacterKind.ALONE
        assert is_mark == (unicodedata.category(chr(code))[0] in "PS"), hex(code)
        assert not is_mark or unicodedata.category(replacement)[0] in "PS", hex(code)


def test_the_page_of_the_sample_has_the_same_table() -> None:
    assert KINDS_PATH.read_text(encoding="utf-8") == format_kinds(CharacterTable.from_bytes(TABLE_PATH.read_bytes()))
    assert CHARACTERS_PATH.read_text(encoding="utf-8") == format_characters(TABLE)


def test_the_script_refuses_another_version_of_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unicodedata, "unidata_version", "15.0.0")
    with pytest.raises(RuntimeError, match=r"14\.0\.0, not 15\.0\.0"):
        make_table()


@pytest.mark.parametrize("table", [load_table(), TABLE, ALL_MARKS])
def test_a_replacement_is_its_own_replacement_and_has_the_same_kind(table: CharacterTable) -> None:
    is_in_token = (table.kinds != CharacterKind.SEPARATOR) & (table.kinds != CharacterKind.DROPPED)
    replacements = table.replacements[is_in_token]
    np.testing.assert_array_equal(table.replacements[replacements], replacements)
    np.testing.assert_array_equal(table.kinds[replacements], table.kinds[is_in_token])
    assert not table.replacements[~is_in_token].any()


def test_ascii_is_read_as_by_the_rule_bytes() -> None:
    for code in range(0x80):
        character = chr(code)
        expected = (CharacterKind.SEPARATOR, "")
        if character.isalnum() or character == "'":
            expected = (CharacterKind.WORD, character.lower())
        elif character in "!?":
            expected = (CharacterKind.ALONE, character)
        assert kind_and_replacement(character) == expected


def test_marks_are_separators_unless_asked_for() -> None:
    without = load_table()
    changed = np.flatnonzero(TABLE.kinds != without.kinds)
    assert "".join(map(chr, changed)) == "!?\u037e\u061f‼‽❓❔❕❗︕︖﹖﹗！？"
    assert set(without.kinds[changed]) == {CharacterKind.SEPARATOR}


@pytest.mark.parametrize(
    ("characters", "kind", "replacements"),
    [
        ("ÀÉΣЖႠᎠ", CharacterKind.WORD, "àéσжⴀꭰ"),
        ("ßıςſİ", CharacterKind.WORD, "ßıσsi"),
        ("\x92\u2018\u2019\u201b\u02bc\u2032\uff07\xb4", CharacterKind.WORD, "''''''''"),
        ("٣३３²①", CharacterKind.WORD, "33321"),
        ("ＡｚK𝐀", CharacterKind.WORD, "azka"),
        ("ﻌ", CharacterKind.WORD, "ع"),
        ("\u0301\u0653\u0654\u0655", CharacterKind.WORD, "\u0301\u0653\u0654\u0655"),
        ("한", CharacterKind.WORD, "한"),
        ("好のノｶก\u1000", CharacterKind.SINGLE, "好のノカก\u1000"),
        ("\u0e31\u3099\uff9e", CharacterKind.JOIN, "\u0e31\u3099\u3099"),
        ("😀☺↺", CharacterKind.ALONE, "😀☺↺"),
        ("\xad\u034f\u061c\u180b\u200d\u202e\u2060\ufe0f\ufeff\U0001f3fd", CharacterKind.DROPPED, ""),
        ("\u20dd\u05b0\u0640\u064e\u0670", CharacterKind.DROPPED, ""),
        ("\0 -—\u200b→\u3000。、«…\x81\x85\xa0\u2122\ud800\U000323ff", CharacterKind.SEPARATOR, ""),
    ],
)
def test_characters_of_each_kind(characters: str, kind: CharacterKind, replacements: str) -> None:
    found = [kind_and_replacement(character) for character in characters]
    assert found == [(kind, replacement) for replacement in replacements or [""] * len(characters)]
