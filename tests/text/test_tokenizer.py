from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.config import TokenizerConfig
from rnnx.errors import ModelError
from rnnx.text.tokenizer import SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Tokenizer, Vocabulary, to_bytes, to_text, tokenize

CONFIG = TokenizerConfig(
    max_length=5, start=True, strip_breaks=True, pad_to="batch", padding_side="left", truncation_side="left"
)
# Bytes for every rule: letters, breaks, apostrophes, UTF-8, line ends, zeros.
TEXTS = st.one_of(
    st.binary(max_size=80),
    st.lists(st.sampled_from([b"a", b"Zz", b"'", b"<br />", b" ", b"\xc3\xa9", b"\0", b".", b"9"])).map(b"".join),
)


@given(st.binary(max_size=80))
def test_bytes_can_be_restored_from_their_text(data: bytes) -> None:
    assert to_bytes(to_text(data)) == data


def words_by_definition(text: bytes, *, strip_breaks: bool) -> list[bytes]:
    """Splits by the rule of the tokenizer as a regular expression, independent of the code under test."""
    if strip_breaks:
        text = text.replace(b"<br />", b" ")
    lowered = bytes(b + 32 if 65 <= b <= 90 else b for b in text)
    return re.findall(rb"[a-z0-9'\x80-\xff]+", lowered)


@given(TEXTS, st.booleans())
def test_tokens_follow_the_definition(text: bytes, strip_breaks: bool) -> None:
    assert tokenize(text, strip_breaks=strip_breaks) == words_by_definition(text, strip_breaks=strip_breaks)


def test_breaks_are_spaces_only_if_the_config_says_so() -> None:
    assert tokenize(b"end.<br /><br />Next", strip_breaks=True) == [b"end", b"next"]
    assert tokenize(b"end.<br />Next", strip_breaks=False) == [b"end", b"br", b"next"]


def test_letters_outside_ascii_are_not_lowercased() -> None:
    assert tokenize("Éa CAFÉ".encode(), strip_breaks=True) == ["Éa".encode(), b"caf\xc3\x89"]


def test_a_vocabulary_is_sorted_by_frequency_then_by_bytes() -> None:
    vocabulary = Vocabulary.build([b"b a b", b"c a b d"], 6, strip_breaks=True)
    assert vocabulary.tokens == (*SPECIAL_TOKENS, b"b", b"a", b"c")
    assert vocabulary.encode([b"a", b"d", b"b"]) == [4, UNKNOWN_ID, 3]


@given(st.sets(st.binary(min_size=1, max_size=6).filter(lambda w: words_by_definition(w, strip_breaks=False) == [w])))
def test_a_vocabulary_is_read_back_as_it_was_written(words: set[bytes]) -> None:
    vocabulary = Vocabulary((*SPECIAL_TOKENS, *sorted(words)))
    assert Vocabulary.from_bytes(vocabulary.to_bytes()) == vocabulary


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<pad>\n<start>\nword\n", "first three"),
        (b"<pad>\n<start>\n<unknown>\ntwo words\n", "line 4"),
        (b"<pad>\n<start>\n<unknown>\nUpper\n", "line 4"),
        (b"<pad>\n<start>\n<unknown>\na\n\nb\n", "line 5"),
        (b"<pad>\n<start>\n<unknown>\na\nb\na\n", "two lines"),
        (b"", "first three"),
    ],
)
def test_a_broken_vocabulary_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        Vocabulary.from_bytes(data)


VOCABULARY = Vocabulary((*SPECIAL_TOKENS, *(b"w%d" % i for i in range(10))))


@pytest.mark.parametrize(
    ("count", "ids", "truncated"),
    [
        (0, [START_ID], False),
        (3, [START_ID, 3, 4, 5], False),
        (4, [START_ID, 3, 4, 5, 6], False),  # exactly the maximum length, with the start token
        (5, [3, 4, 5, 6, 7], False),  # the start token is dropped before any word
        (6, [4, 5, 6, 7, 8], True),
    ],
)
def test_a_long_text_keeps_its_end(count: int, ids: list[int], truncated: bool) -> None:
    text = b" ".join(b"w%d" % i for i in range(count))
    encoding = Tokenizer(CONFIG, VOCABULARY).encode(text)
    assert encoding.ids.tolist() == ids
    assert encoding.ids.dtype == np.int32
    assert (encoding.token_count, encoding.is_truncated) == (count, truncated)


@given(TEXTS, st.integers(1, 6), st.booleans(), st.sampled_from(["left", "right"]))
def test_an_encoding_is_a_cut_of_all_ids(text: bytes, max_length: int, start: bool, side: str) -> None:
    config = TokenizerConfig(max_length, start, True, "batch", "left", side)  # type: ignore[arg-type]  # from the strategy
    encoding = Tokenizer(config, VOCABULARY).encode(text)
    words = words_by_definition(text, strip_breaks=True)
    everything = [START_ID] * start + VOCABULARY.encode(words)
    expected = everything[-max_length:] if side == "left" else everything[:max_length]
    assert encoding.ids.tolist() == expected
    assert encoding.token_count == len(words)
    kept = len(expected) - (START_ID in expected)
    assert encoding.is_truncated == (len(words) > kept)


@given(TEXTS, st.integers(1, 6), st.booleans(), st.sampled_from(["left", "right"]), st.booleans())
def test_the_kept_words_are_located_in_the_text(
    text: bytes, max_length: int, start: bool, side: str, strip_breaks: bool
) -> None:
    config = TokenizerConfig(max_length, start, strip_breaks, "batch", "left", side)  # type: ignore[arg-type]  # from the strategy
    tokenizer = Tokenizer(config, VOCABULARY)
    # The rule as a regular expression over the original text, in which dots of the same length replace a break.
    whole = text.replace(b"<br />", b"......") if strip_breaks else text
    everything = [match.span() for match in re.finditer(rb"[A-Za-z0-9'\x80-\xff]+", whole)]
    kept = [i for i in tokenizer.encode(text).ids.tolist() if i != START_ID]
    expected = everything[len(everything) - len(kept) :] if side == "left" else everything[: len(kept)]
    spans = tokenizer.locate(text)
    assert spans == expected
    assert VOCABULARY.encode(text[a:b].lower() for a, b in spans) == kept


def test_words_are_counted_across_chunks() -> None:
    # In 3 MB, the words that are cut off are counted in chunks of 1 MB, and some words lie across two chunks.
    for word in (b"ab ", b"abc ", b"abcd "):
        count = 3_000_000 // len(word)
        assert Tokenizer(CONFIG, VOCABULARY).encode(word * count).token_count == count


def test_padding_has_the_side_and_length_of_the_config() -> None:
    rows = [np.array([3, 4], np.int32), np.array([5], np.int32)]
    assert Tokenizer(CONFIG, VOCABULARY).pad(rows).tolist() == [[3, 4], [0, 5]]
    fixed = TokenizerConfig(4, True, True, "max_length", "right", "left")
    assert Tokenizer(fixed, VOCABULARY).pad(rows).tolist() == [[3, 4, 0, 0], [5, 0, 0, 0]]
    assert Tokenizer(CONFIG, VOCABULARY).pad([np.array([], np.int32)]).tolist() == [[0]]
