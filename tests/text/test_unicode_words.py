# ruff: noqa: RUF001  # characters that look like others are what is tested

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.text.unicode_words import UnicodeWordRule
from rnnx.text.word_characters import find_capitals
from rnnx.text.word_features import features_of, lower

RULE = UnicodeWordRule()
SLOTS = ("SUFFIX1", "SUFFIX3", "PREFIX2", "SHAPE")
WORDS = st.one_of(
    st.binary(min_size=1, max_size=12),
    st.text(min_size=1, max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Walking", ["SUFFIX1=g", "SUFFIX3=ing", "PREFIX2=wa", "SHAPE=Xxx"]),
        ("Éclat", ["SUFFIX1=t", "SUFFIX3=lat", "PREFIX2=éc", "SHAPE=Xxx"]),
        ("naïveté", ["SUFFIX1=é", "SUFFIX3=eté", "PREFIX2=na", "SHAPE=xx"]),
        ("Übermut", ["SUFFIX1=t", "SUFFIX3=mut", "PREFIX2=üb", "SHAPE=Xxx"]),
        ("МОСКВА", ["SUFFIX1=а", "SUFFIX3=ква", "PREFIX2=мо", "SHAPE=XX"]),
        ("Λόγος", ["SUFFIX1=σ", "SUFFIX3=γοσ", "PREFIX2=λό", "SHAPE=Xxx"]),
        ("don\u2019t", ["SUFFIX1=t", "SUFFIX3=n't", "PREFIX2=do", "SHAPE=xx'x"]),
        ("٣٤", ["SUFFIX1=4", "SUFFIX3=34", "PREFIX2=34", "SHAPE=dd"]),
        ("كِتاب", ["SUFFIX1=ب", "SUFFIX3=تاب", "PREFIX2=كت", "SHAPE=xx"]),
        ("体育館", ["SUFFIX1=館", "SUFFIX3=体育館", "PREFIX2=体育", "SHAPE=cc"]),
        ("食べる", ["SUFFIX1=る", "SUFFIX3=食べる", "PREFIX2=食べ", "SHAPE=chh"]),
        ("ﾃﾚﾋﾞ", ["SUFFIX1=\u3099", "SUFFIX3=レヒ\u3099", "PREFIX2=テレ", "SHAPE=kkc"]),
        ("ดีมาก", ["SUFFIX1=ก", "SUFFIX3=มาก", "PREFIX2=ดี", "SHAPE=cc"]),
        ("。", ["SUFFIX1=。", "SUFFIX3=。", "PREFIX2=。", "SHAPE=。"]),
        ("\uff01\uff01\uff01", ["SUFFIX1=!", "SUFFIX3=!!!", "PREFIX2=!!", "SHAPE=!!"]),
        ("😀", ["SUFFIX1=😀", "SUFFIX3=😀", "PREFIX2=😀", "SHAPE=s"]),
        ("Str\u00adaße", ["SUFFIX1=e", "SUFFIX3=aße", "PREFIX2=st", "SHAPE=Xxx"]),
        ("\u200d", ["SUFFIX1=\u200d", "SUFFIX3=\u200d", "PREFIX2=\u200d", "SHAPE=\u200d"]),
    ],
)
def test_features_of_a_word_computed_by_hand(word: str, expected: list[str]) -> None:
    assert RULE.features_of(word.encode(), SLOTS) == [feature.encode() for feature in expected]


def test_words_without_spaces_and_abbreviations_need_the_vocabulary() -> None:
    words = ["体育", "食べる", "ดี", "テレビ局", "dr.", "z.b.", "体", "テレビ", "café", "2014年", "t恤", "18.", "..."]
    assert [word for word in words if RULE.needs_vocabulary(word.encode())] == words[:6]


def test_a_byte_that_is_not_utf8_is_the_character_of_its_number() -> None:
    assert RULE.lower(b"caf\xc9 \x92\xed\xa0\x80") == b"caf\xc3\xa9 '   "
    assert RULE.features_of(b"\xc9t\xe9", ("SHAPE", "SUFFIX2")) == [b"SHAPE=Xxx", "SUFFIX2=té".encode()]


@given(WORDS)
def test_a_lowered_word_stays_itself_and_is_no_feature(word: bytes) -> None:
    lowered = RULE.lower(word)
    assert lowered
    assert RULE.lower(lowered) == lowered
    assert lowered.decode()
    for feature in RULE.features_of(word, SLOTS):
        name, _, value = feature.decode().partition("=")
        assert name in SLOTS
        assert 1 <= len(value) <= 8
        assert RULE.lower(feature) != feature


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_words_of_ascii_have_the_features_of_the_rule_bytes(word: str) -> None:
    data = word.encode()
    assert RULE.lower(data) == lower(data)
    assert RULE.features_of(data, SLOTS) == features_of(data, SLOTS)


def test_the_capitals_are_those_of_unicode() -> None:
    capitals, small = find_capitals()
    compatible = {c for c in capitals if unicodedata.category(c) not in ("Lu", "Lt")}
    assert not compatible
    missing = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Lu", "Lt") and chr(code) not in capitals
    ]
    # Capitals of symbols, for mathematics, and of later versions of Unicode than the table's.
    assert all(
        0x2100 <= ord(c) < 0x2190 or 0x1D400 <= ord(c) < 0x1D800 or unicodedata.unidata_version > "14" for c in missing
    )
    assert {"ä", "я", "σ", "z", "ß"} <= small
    assert not small & {"א", "ب", "ა"}
