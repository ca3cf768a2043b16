# ruff: noqa: RUF001  # characters that look like others are what is tested

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.text.word_rule import SplitText
from rnnx.text.word_rules import find_word_rule

RULE = find_word_rule("unicode-14")
KNOWN = (
    *("dr.", "z.b.", "no", "no.", "do", "n't", "'s", "l'", "t恤", "3.", "3"),
    *("我", "喜欢", "喜", "北京", "大学", "北京大学", "。", "が", "食べる", "ที่", "ดี", "café"),
)


def splitter(*, joins_hyphens: bool = False) -> SplitText:
    return RULE.make_splitter([RULE.lower(word.encode()) for word in KNOWN], joins_hyphens=joins_hyphens)


SPLIT = splitter()


def words_of(text: str, split: SplitText = SPLIT) -> str:
    return "|".join(word.word.decode() for sentence in split(text.encode()) for word in sentence)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Straße, Übermut", "Straße|,|Übermut"),
        ("Dr. Müller z.B. und No. 3", "Dr.|Müller|z.B.|und|No|.|3"),
        ("am 3. Mai 1.000,50", "am|3.|Mai|1.000,50"),
        ("I don\u2019t, it's. L\u2019homme aujourd'hui", "I|do|n\u2019t|,|it|'s|.|L\u2019|homme|aujourd'hui"),
        ("我喜欢北京大学。", "我|喜欢|北京大学|。"),
        ("我爱北京", "我|爱|北京"),
        ("iPhone手机T恤2014年", "iPhone|手|机|T恤|2014|年"),
        ("テレビが食べる", "テレビ|が|食べる"),
        ("ดีที่", "ดี|ที่"),
        ("好\u0e31", "好\u0e31"),
        ("wow!!! 😀😀……", "wow|!!!|😀|😀|……"),
        ("ان\u200cها кто-то", "ان\u200cها|кто|-|то"),
        ("see https://a.b/c?d=e, me@x.de :-)", "see|https://a.b/c?d=e|,|me@x.de|:-)"),
        ("看https://a.b/c。好", "看|https://a.b/c|。|好"),
        ("a\u00a0b\u3000c\u200bd", "a|b|c|d"),
        ("Str\u00adaße\u00ad", "Str\u00adaße"),
    ],
)
def test_words_found_by_hand(text: str, expected: str) -> None:
    assert words_of(text) == expected


def test_a_hyphen_joins_only_if_the_treebank_says_so() -> None:
    assert words_of("Nord-Süd 3-4") == "Nord|-|Süd|3|-|4"
    assert words_of("Nord-Süd - x", splitter(joins_hyphens=True)) == "Nord-Süd|-|x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three", ["One .", "Two !", "Three"]),
        ("Er kam. Übrigens: nein. äh", ["Er kam .", "Übrigens : nein . äh"]),
        ("他来了。我走！", ["他 来 了 。", "我 走 ！"]),
        ("「好。」我走", ["「 好 。 」", "我 走"]),
        ("``Komm!'' Er kam.)) Ja!'s", ["`` Komm ! ''", "Er kam . ))", "Ja ! 's"]),
        ("好!我走.他来", ["好 !", "我 走 .", "他 来"]),
        ("वह आया। मैं गया॥", ["वह आया ।", "मैं गया ॥"]),
        ("هل جاء؟نعم. لا۔", ["هل جاء ؟", "نعم .", "لا ۔"]),
        ("ἦλθε\u037e Ναί", ["ἦλθε \u037e", "Ναί"]),
        ("a\u2028b\nc\r\nd", ["a", "b", "c", "d"]),
        ("es kostet 5.000 Euro… und mehr", ["es kostet 5.000 Euro … und mehr"]),
        (" \n\u3000\n", []),
    ],
)
def test_sentences_end_at_the_marks_of_every_script(text: str, expected: list[str]) -> None:
    assert [b" ".join(word.word for word in sentence).decode() for sentence in SPLIT(text.encode())] == expected


TEXTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from([*KNOWN, ".", "\u0e31", "\u00ad", "-", "@", " ", "\n", "\u2019", "…", "！"])).map(
        lambda parts: "".join(parts).encode()
    ),
)


@given(TEXTS)
def test_words_are_parts_of_the_text_in_their_order(text: bytes) -> None:
    words = [word for sentence in SPLIT(text) for word in sentence]
    end = 0
    for word in words:
        assert end <= word.start < word.end <= len(text)
        assert text[word.start : word.end] == word.word
        assert b"\n" not in word.word
        end = word.end
    marked = bytearray(text)
    for word in words:
        marked[word.start : word.end] = b" " * len(word.word)
    rest = RULE.lower(bytes(marked)).decode()
    assert not any(character.isalnum() or "!" <= character <= "~" for character in rest)


@pytest.mark.parametrize(
    "piece", ["a-", ".", "1:", "http://", "'s", "a'", "x", "“", "=)", "@a", "北京", "ア", "\u0e31"]
)
def test_long_runs_are_split_in_linear_time(piece: str) -> None:
    data = piece.encode() * (300_000 // len(piece.encode()))
    assert sum(word.end - word.start for sentence in SPLIT(data) for word in sentence) == len(data)
