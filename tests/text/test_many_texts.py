from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.text import many_texts
from rnnx.text.many_texts import ManyTextsEncoder, WordTable
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID, Tokenizer, Vocabulary

# Words around the sizes at which the table changes what it does, and words that share their first 8 or 16 bytes.
WORDS = [b"a" * size for size in (1, 7, 8, 9, 15, 16, 17, 40)]
WORDS += [b"a" * 8 + b"b", b"a" * 16 + b"b", b"abcdefgh", b"abcdefghi", b"it's", b"9", b"caf\xc3\xa9", "слово".encode()]
UNKNOWN_WORDS = [b"b", b"a" * 10, b"a" * 18, b"abcdefg", b"abcdefghij", b"z" * 16, "слова".encode()]
# Bytes for every rule: known and unknown words, breaks, marks, line ends, zeros, and bytes that are not UTF-8.
PIECES = [*WORDS, *UNKNOWN_WORDS, b" ", b"  ", b"<br />", b"\n", b".", b"!", b"\0", b"\xff", b"A", "很好".encode()]
TEXTS = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))

Side: TypeAlias = Literal["left", "right"]


def make_tokenizer(rule: TextRuleName, max_length: int = 5, side: Side = "left", *, start: bool = True) -> Tokenizer:
    config = TokenizerConfig(max_length, start, True, "batch", "left", side, rule=rule)
    return Tokenizer(config, Vocabulary((*SPECIAL_TOKENS, *WORDS), find_rule(config)))


def require_same(tokenizer: Tokenizer, texts: list[bytes]) -> None:
    encodings = list(ManyTextsEncoder(tokenizer).encode(texts))
    assert len(encodings) == len(texts)
    for text, encoding in zip(texts, encodings, strict=True):
        expected = tokenizer.encode(text)
        assert encoding.ids.dtype == np.int32
        assert encoding.ids.tolist() == expected.ids.tolist()
        assert encoding[1:] == expected[1:]


@given(
    st.lists(TEXTS, max_size=12),
    st.sampled_from(["bytes", "unicode-14", "unicode-14-marks"]),
    st.integers(1, 6),
    st.sampled_from(["left", "right"]),
    st.booleans(),
)
def test_many_texts_are_encoded_as_single_ones(
    texts: list[bytes], rule: TextRuleName, max_length: int, side: Side, start: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many_texts, "_LEAST_TEXTS", 0)
        require_same(make_tokenizer(rule, max_length, side, start=start), texts)


@pytest.mark.parametrize("count", [0, 1, many_texts._LEAST_TEXTS - 1, many_texts._LEAST_TEXTS, 300])
def test_any_number_of_texts_is_encoded(count: int) -> None:
    require_same(make_tokenizer("bytes"), [PIECES[i % len(PIECES)] + b" a9" * (i % 7) for i in range(count)])


def test_long_texts_are_encoded_among_short_ones() -> None:
    long = b"a " * many_texts._GROUP_BYTES
    texts = [long, *[b"abcdefgh caf\xc3\xa9"] * many_texts._LEAST_TEXTS, long, b"", long]
    require_same(make_tokenizer("bytes"), texts)


def test_words_with_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_texts, "_FIRST_FACTOR", np.uint64(0))  # every word has the hash 0
    vocabulary = make_tokenizer("bytes").vocabulary
    words = [*WORDS, *UNKNOWN_WORDS, *reversed(WORDS)]
    ids, starts = WordTable(vocabulary).find(b" ".join(words))
    assert ids.tolist() == vocabulary.encode(words)
    assert starts.tolist() == [sum(len(word) + 1 for word in words[:i]) for i in range(len(words))]


@pytest.mark.parametrize("words", [(), (b"a" * 17,)])
def test_a_table_may_hold_no_short_word(words: tuple[bytes, ...]) -> None:
    table = WordTable(Vocabulary((*SPECIAL_TOKENS, *words)))
    assert table.find(b" a  bc ")[0].tolist() == [UNKNOWN_ID, UNKNOWN_ID]
    assert table.find(b"a" * 17)[0].tolist() == [3 if words else UNKNOWN_ID]
    assert table.find(b" ")[0].tolist() == []
