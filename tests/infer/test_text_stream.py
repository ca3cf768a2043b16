"""Tests that a text in pieces gives the words of the whole text, for any cuts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.config import TokenizerConfig
from rnnx.infer.text_stream import TextStream
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary, tokenize


def make_stream(*, strip_breaks: bool) -> TextStream:
    config = TokenizerConfig(20, True, strip_breaks, "batch", "left", "left")
    return TextStream(Tokenizer(config, Vocabulary((*SPECIAL_TOKENS, b"film", b"br"))))


def feed_all(stream: TextStream, pieces: list[bytes]) -> list[bytes]:
    return [*(word for piece in pieces for word in stream.feed(piece)), *stream.finish()]


# Pieces that join to breaks, and to texts that are nearly breaks.
PIECES = st.lists(
    st.sampled_from([b"<", b"b", b"r", b" ", b"/", b">", b"<br", b" />", b"<br />", b"it's", b"\xc3", b"\xa9", b"A"])
)


@pytest.mark.parametrize("strip_breaks", [True, False])
@given(pieces=PIECES)
def test_pieces_give_the_words_of_the_whole(strip_breaks: bool, pieces: list[bytes]) -> None:
    expected = tokenize(b"".join(pieces), strip_breaks=strip_breaks)
    assert feed_all(make_stream(strip_breaks=strip_breaks), pieces) == expected


@given(text=st.binary(max_size=60), cuts=st.lists(st.integers(0, 60)))
def test_pieces_of_any_bytes_give_the_words_of_the_whole(text: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert feed_all(make_stream(strip_breaks=True), pieces) == tokenize(text, strip_breaks=True)


def test_a_word_is_returned_when_it_is_finished() -> None:
    stream = make_stream(strip_breaks=True)
    assert stream.feed(b"A wonder") == [b"a"]
    assert stream.held == b"wonder"
    assert stream.feed(b"ful film") == [b"wonderful"]
    assert stream.feed(b"<br") == [b"film"]  # a word is finished before a `<`, whether a break follows or not
    assert stream.feed(b" />so") == []
    assert stream.finish() == [b"so"]
    assert stream.held == b""


def test_a_word_without_end_needs_bounded_memory() -> None:
    stream = make_stream(strip_breaks=True)
    for _ in range(40):
        assert stream.feed(b"a" * 10_000) == []
    assert len(stream.held) == 1 << 16
    (word,) = stream.feed(b" ")
    assert set(word) == set(b"a")
