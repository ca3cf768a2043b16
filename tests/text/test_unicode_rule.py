"""Tests that the rules `unicode-14` and `unicode-14-marks` find the tokens of their definition, in any bytes."""
# ruff: noqa: RUF001  # characters that look like others are what is tested

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.errors import ModelError
from rnnx.infer.text_stream import TextStream
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Tokenizer, Vocabulary, tokenize
from rnnx.text.unicode_table import CHARACTER_COUNT
from tests import unicode_reference

CONFIG = TokenizerConfig(5, True, True, "batch", "left", "left", "unicode-14")
WITH_MARKS = TokenizerConfig(5, True, True, "batch", "left", "left", "unicode-14", marks=True)
RULE = find_rule(CONFIG)
ALL_MARKS = TokenizerConfig(5, True, True, "batch", "left", "left", "unicode-14-marks")
BOOLS = [True, False]
# The name of each rule, and whether `!` and `?` are tokens nevertheless.
READINGS: list[tuple[TextRuleName, bool]] = [("unicode-14", True), ("unicode-14", False), ("unicode-14-marks", False)]
Reading = tuple[TextRuleName, bool]
# Characters of each kind, breaks and nearly breaks, and the bytes with which the rule writes for itself.
CHARACTERS = [
    *"aB9'!? .<>/\0\x01\x02\t\n",
    *("<br />", "<br", " />", "\u2019", "é", "É", "ſ", "ß", "Σ", "ς", "İ", "\u0301", "٣", "한", "Ａ", "！", "—", "«"),
    *("好", "の", "ｶ", "\u3099", "\uff9e", "ก", "\u0e31", "\u1000", "\u103a", "😀", "☺", "\u2060", "\xad", "\u200b"),
    *("\u200d", "\ufe0f", "\U0001f3fd", "\u20dd", "\u05b0", "\u0640", "\u3000", "\xa0", "\ufffd", "\U000323ff"),
    *("\U00032400", "\U0010ffff", "\x85", "\x92", "\ud800", "\udfff"),
]
# Leads, continuations and bytes that are in no UTF-8.
BYTES = [
    b"\xed",
    b"\xa0",
    b"\x80",
    b"\xbf",
    b"\xe2",
    b"\xe0",
    b"\xf0",
    b"\x9f",
    b"\xc3",
    b"\xc0",
    b"\xf4",
    b"\x92",
    b"\xff",
]
PIECES = [*(character.encode("utf-8", "surrogatepass") for character in CHARACTERS), *BYTES]
TEXTS = st.one_of(
    st.binary(max_size=60), st.text(max_size=30).map(str.encode), st.lists(st.sampled_from(PIECES)).map(b"".join)
)


def config_of(reading: Reading, *, strip_breaks: bool) -> TokenizerConfig:
    return TokenizerConfig(5, True, strip_breaks, "batch", "left", "left", *reading)


def assert_as_defined(text: bytes, reading: Reading, *, strip_breaks: bool) -> None:
    rule = find_rule(config_of(reading, strip_breaks=strip_breaks))
    name, marks = reading
    expected = unicode_reference.locate(text, strip_breaks=strip_breaks, marks=marks, rule=name)
    assert tokenize(text, strip_breaks=strip_breaks, rule=rule) == [word for word, _, _ in expected]
    assert rule.locate(text, strip_breaks=strip_breaks).tolist() == [[start, end] for _, start, end in expected]


@given(TEXTS, st.booleans(), st.sampled_from(READINGS))
def test_tokens_and_positions_follow_the_definition(text: bytes, strip_breaks: bool, reading: Reading) -> None:
    assert_as_defined(text, reading, strip_breaks=strip_breaks)


@pytest.mark.parametrize(("strip_breaks", "reading"), list(itertools.product(BOOLS, READINGS)))
def test_random_texts_follow_the_definition(strip_breaks: bool, reading: Reading) -> None:
    rng = np.random.default_rng(14)
    for _ in range(3000):
        pieces = [PIECES[i] for i in rng.integers(0, len(PIECES), rng.integers(0, 14))]
        pieces += [chr(code).encode("utf-8", "surrogatepass") for code in rng.integers(0, 0x33000, 4)]
        rng.shuffle(pieces)
        assert_as_defined(b"".join(pieces), reading, strip_breaks=strip_breaks)
        assert_as_defined(rng.bytes(12), reading, strip_breaks=strip_breaks)


@pytest.mark.parametrize("reading", READINGS)
def test_every_character_between_two_letters_follows_the_definition(reading: Reading) -> None:
    text = b"".join(b"a%sb " % chr(code).encode("utf-8", "surrogatepass") for code in range(CHARACTER_COUNT + 0x100))
    assert_as_defined(text, reading, strip_breaks=False)


def test_characters_after_the_table_are_separators() -> None:
    codes = range(CHARACTER_COUNT, 0x110000)
    text = b"".join(b"a%sb " % chr(code).encode() for code in codes)
    assert tokenize(text, strip_breaks=False, rule=RULE) == [b"a", b"b"] * len(codes)


@given(TEXTS, st.sampled_from(READINGS))
def test_a_token_is_a_text_of_this_one_token(text: bytes, reading: Reading) -> None:
    rule = find_rule(config_of(reading, strip_breaks=True))
    for token in tokenize(text, strip_breaks=True, rule=rule):
        assert tokenize(token, strip_breaks=True, rule=rule) == [token]
        token.decode()


@given(st.text(st.characters(max_codepoint=0x7F)), st.booleans())
def test_ascii_is_read_as_by_the_rule_bytes(text: str, strip_breaks: bool) -> None:
    expected = tokenize(text.encode(), strip_breaks=strip_breaks)
    assert tokenize(text.encode(), strip_breaks=strip_breaks, rule=RULE) == expected


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("I don’t like it—not at all…", "i don't like it not at all"),
        ("很好吃，没有cheese！", "很 好 吃 没 有 cheese"),
        ("がっこう", "が っ こ う"),
        ("カ\u3099ｶﾞ", "カ\u3099 カ\u3099"),  # a mark joins its character, and half-width kana are read as kana
        ("กำลังดี", "ก ำ ลั ง ดี"),
        ("한국어 영화", "한국어 영화"),
        ("ПРИВЕТ ΣΊΣΥΦΟΣ", "привет σίσυφοσ"),
        ("STRAẞE STRASSE Straße", "straße strasse straße"),
        ("İstanbul ısı", "istanbul ısı"),
        ("كِتَابٌ ـــ كتاب", "كتاب كتاب"),
        ("שָׁלוֹם", "שלום"),
        ("हिन्दी १२", "हिन्दी 12"),
        ("good😀👍🏽bad", "good 😀 👍 bad"),
        ("👩\u200d👧 x\u200by soft\xadly", "👩 👧 x y softly"),
        ("①ﬁ𝐀ｆｕｌｌ", "1ﬁafull"),  # a ligature stays, since it would be two characters
        ("\ufeffword\xa0next", "word next"),
    ],
)
def test_texts_in_many_scripts(text: str, tokens: str) -> None:
    assert tokenize(text.encode(), strip_breaks=True, rule=RULE) == tokens.encode().split(b" ")


def test_marks_are_tokens_only_if_asked_for() -> None:
    text = "No! Why?! 好！؟".encode()
    assert tokenize(text, strip_breaks=True, rule=RULE) == [b"no", b"why", "好".encode()]
    expected = ["no", "!", "why", "?", "!", "好", "!", "?"]
    assert tokenize(text, strip_breaks=True, rule=find_rule(WITH_MARKS)) == [token.encode() for token in expected]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Ну вот :(( А так :)))", "ну вот : ( ( а так : ) ) )"),
        ("@user #Merkel: 100%!", "@ user # merkel : 100 % !"),
        ("«да», „ja“, “yes” ″x″", '" да " , " ja " , " yes " " x "'),  # quotation marks are one, as apostrophes are
        ("not bad—at all – 3−2 e-mail…", "not bad - at all - 3 - 2 e - mail …"),  # and dashes, too
        ("很好吃！没有（cheese）。", "很 好 吃 ! 没 有 ( cheese ) 。"),
        ("कि।क ؟ ،", "कि । क ? ،"),
        ("don’t <3 a_b\0c\td", "don't < 3 a _ b c d"),  # an apostrophe is in a word; control characters separate
        ("good<br />!<br / ><", "good ! < br / > <"),
        ("(\u200d)\u2060!\xa0? €5 ™ ½+½", "( ) ! ? € 5 ™ ½ + ½"),
    ],
)
def test_each_mark_is_a_token_of_the_rule_with_marks(text: str, tokens: str) -> None:
    rule = find_rule(ALL_MARKS)
    assert tokenize(text.encode(), strip_breaks=True, rule=rule) == tokens.encode().split(b" ")
    without = tokenize(text.encode(), strip_breaks=True, rule=RULE)
    is_mark = {token: not tokenize(token, strip_breaks=True, rule=RULE) for token in tokens.encode().split(b" ")}
    assert without == [token for token in tokens.encode().split(b" ") if not is_mark[token]]  # all else is equal


def test_only_the_rule_that_drops_marks_can_keep_two_of_them() -> None:
    with pytest.raises(ValueError, match="not supported by the rule unicode-14-marks, only by unicode-14"):
        config_of(("unicode-14-marks", True), strip_breaks=True)


@pytest.mark.parametrize(
    "straight",
    [
        "I don't like this film, and it isn't my friend's fault.",
        "It's not bad: the actors weren't wooden, they couldn't be.",
        "She said 'never again' - we'd seen worse.",
        "You won't regret it... unless you can't sit still.",
    ],
)
def test_curly_and_straight_lines_are_the_same(straight: str) -> None:
    curly = straight.replace("'", "’").replace(" - ", "—").replace("...", "…")
    windows = straight.encode().replace(b"'", b"\x92").replace(b" - ", b" \x97 ").replace(b"...", b"\x85")
    full_width = straight.replace("'", "＇").replace("I", "Ｉ").replace(",", "，").replace(" ", "\u3000")
    expected = tokenize(straight.encode(), strip_breaks=True, rule=RULE)
    assert expected == tokenize(straight.encode(), strip_breaks=True)
    for other in (curly.encode(), windows, full_width.encode(), straight.upper().encode(), curly.upper().encode()):
        assert tokenize(other, strip_breaks=True, rule=RULE) == expected


def test_bytes_that_are_not_utf_8_are_read_one_by_one() -> None:
    cases = {
        b"caf\xe9": ["caf\xe9"],
        b"don\x92t": ["don't"],
        b"a\x81b": ["a", "b"],  # a hole of Windows-1252
        b"\xe2\x82": ["\xe2"],  # the second byte is a low quotation mark there
        b"a\xed\xa0\x80b": ["a", "b"],  # a surrogate
        b"a\xed\xa0b": ["a\xed", "b"],
        b"\xc0\xc1\xff": ["\xe0\xe1\xff"],
        b"\xf4\x90\x80\x80": ["\xf4"],
    }
    for text, expected in cases.items():
        assert tokenize(text, strip_breaks=True, rule=RULE) == [word.encode() for word in expected]


def feed_all(config: TokenizerConfig, pieces: list[bytes]) -> list[bytes]:
    stream = TextStream(Tokenizer(config, Vocabulary((*SPECIAL_TOKENS, b"film"), find_rule(config))))
    return [*(word for piece in pieces for word in stream.feed(piece)), *stream.finish()]


@given(text=TEXTS, strip_breaks=st.booleans(), reading=st.sampled_from(READINGS))
def test_a_stream_gives_the_words_of_the_whole_at_every_cut(text: bytes, strip_breaks: bool, reading: Reading) -> None:
    config = config_of(reading, strip_breaks=strip_breaks)
    expected = tokenize(text, strip_breaks=strip_breaks, rule=find_rule(config))
    for cut in range(len(text) + 1):
        assert feed_all(config, [text[:cut], text[cut:]]) == expected
    assert feed_all(config, [bytes([byte]) for byte in text]) == expected


@pytest.mark.parametrize("reading", READINGS)
def test_a_stream_of_random_pieces_gives_the_words_of_the_whole(reading: Reading) -> None:
    rng = np.random.default_rng(15)
    config = config_of(reading, strip_breaks=True)
    name, marks = reading
    for _ in range(1000):
        pieces = [PIECES[i] for i in rng.integers(0, len(PIECES), rng.integers(0, 30))]
        expected = unicode_reference.tokenize(b"".join(pieces), marks=marks, rule=name)
        assert feed_all(config, pieces) == expected


@pytest.mark.parametrize("unit", ["é", "好\u3099", "\u0e31", "\u200d", "a\u200d", "한", "x", "😀", "好"])
def test_a_stream_finds_the_end_of_long_runs(unit: str) -> None:
    text = f"begin {unit * 700} end {unit * 300}".encode()
    expected = unicode_reference.tokenize(text)
    for cut in range(len(text) - 40, len(text), 7):
        assert feed_all(CONFIG, [text[:cut], text[cut:]]) == expected
        assert feed_all(CONFIG, [text[: cut // 2], text[cut // 2 : cut], text[cut:]]) == expected


def test_a_stream_returns_a_token_when_it_is_finished() -> None:
    config = CONFIG
    stream = TextStream(Tokenizer(config, Vocabulary((*SPECIAL_TOKENS, b"film"), find_rule(config))))
    assert stream.feed("很好".encode()) == ["很".encode()]
    assert stream.held == "好".encode()  # a mark may follow
    assert stream.feed("吃".encode()[:2]) == []  # the character is not finished
    assert stream.feed("吃".encode()[2:]) == ["好".encode()]
    assert stream.feed("，good".encode()) == ["吃".encode()]
    assert stream.feed("😀".encode()) == [b"good", "😀".encode()]
    assert stream.held == b""
    assert stream.finish() == []


def test_a_token_without_end_needs_bounded_memory() -> None:
    stream = TextStream(Tokenizer(CONFIG, Vocabulary((*SPECIAL_TOKENS, b"film"), RULE)))
    for _ in range(40):
        assert stream.feed("é".encode() * 5_000 + b"\xc3") == []
        assert stream.feed(b"\xa9") == []
    assert len(stream.held) <= 1 << 16
    (word,) = stream.feed(b" ")
    assert set(word.decode()) == {"é"}


def test_dropped_characters_do_not_cut_a_token() -> None:
    text = b"fi" + "\u200d".encode() * 60_000 + b"lm"
    assert feed_all(CONFIG, [text[i : i + 9_999] for i in range(0, len(text), 9_999)]) == [b"film"]
    assert feed_all(CONFIG, [text, b"s"]) == [b"films"]


@given(TEXTS, st.integers(1, 6), st.booleans(), st.sampled_from(["left", "right"]), st.booleans())
def test_an_encoding_and_its_positions_are_a_cut_of_all_tokens(
    text: bytes, max_length: int, start: bool, side: str, strip_breaks: bool
) -> None:
    config = TokenizerConfig(max_length, start, strip_breaks, "batch", "left", side, "unicode-14")  # type: ignore[arg-type]  # from the strategy
    vocabulary = Vocabulary((*SPECIAL_TOKENS, b"a", "好".encode(), "é".encode(), "😀".encode()), RULE)
    tokenizer = Tokenizer(config, vocabulary)
    located = unicode_reference.locate(text, strip_breaks=strip_breaks)
    everything = [START_ID] * start + vocabulary.encode(word for word, _, _ in located)
    expected = everything[-max_length:] if side == "left" else everything[:max_length]
    encoding = tokenizer.encode(text)
    assert encoding.ids.tolist() == expected
    assert encoding.token_count == len(located)
    kept = len(expected) - (START_ID in expected)
    positions = [(first, end) for _, first, end in located]
    assert tokenizer.locate(text) == (positions[len(positions) - kept :] if side == "left" else positions[:kept])


def test_a_position_is_that_of_the_original_text() -> None:
    text = "Ｇｏｏｄ so\xadft\xad 好\ufe0f\u3099. don’t".encode()
    spans = Tokenizer(CONFIG, Vocabulary((*SPECIAL_TOKENS, b"film"), RULE)).locate(text)
    # A dropped character within a token belongs to it, and one after its end does not.
    assert [text[a:b].decode() for a, b in spans] == ["Ｇｏｏｄ", "so\xadft", "好\ufe0f\u3099", "don’t"]


def test_a_vocabulary_is_sorted_by_frequency_then_by_bytes() -> None:
    vocabulary = Vocabulary.build(["好B 好b É".encode(), "é😀".encode()], 6, strip_breaks=True, rule=RULE)
    assert vocabulary.tokens == (*SPECIAL_TOKENS, b"b", "é".encode(), "好".encode())
    assert vocabulary.encode(["好".encode(), "😀".encode(), b"b"]) == [5, UNKNOWN_ID, 3]
    assert Vocabulary.from_bytes(vocabulary.to_bytes(), RULE) == vocabulary


@pytest.mark.parametrize(
    "word", ["", "A", "a b", "É", "好吃", "a好", "don’t", "—", "a\u200d", "\u200d", "！", "!", "\x92", "x😀", "ſ"]
)
def test_a_vocabulary_holds_only_tokens_of_the_rule(word: str) -> None:
    with pytest.raises(ModelError, match="line 5 is"):
        Vocabulary((*SPECIAL_TOKENS, b"film", word.encode(), "好".encode()), RULE)


def test_a_token_that_is_not_utf_8_is_not_in_a_vocabulary() -> None:
    Vocabulary((*SPECIAL_TOKENS, b"caf\xe9"))
    with pytest.raises(ModelError, match="line 4 is"):
        Vocabulary((*SPECIAL_TOKENS, b"caf\xe9"), RULE)


def test_a_mark_is_in_a_vocabulary_if_it_is_a_token() -> None:
    assert Vocabulary((*SPECIAL_TOKENS, b"!", b"?"), find_rule(WITH_MARKS)).encode([b"?"]) == [4]
