"""Tests that a text that is too long to be held in memory gives the same answer as the whole text."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnx
from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.infer import long_text, text_files
from rnnx.infer.encoders import TextReader
from rnnx.infer.input_items import Item
from rnnx.infer.long_text import ReadText, TextCollector
from rnnx.infer.text_files import read_files, read_lines, read_treebank
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary

WORDS = Vocabulary((*SPECIAL_TOKENS, b"film", b"good", "é".encode()))
PIECES = st.lists(
    st.one_of(
        st.sampled_from([b"good ", b"film", b" ", b"<br", b" />", b"\xc3", b"\xa9", b"\0", b"\xef\xbb\xbf"]),
        st.sampled_from([b"\xe5\xa5", b"\xbd", b"\xe3\x82\x99", b"\xe2\x80\x8d", b"\xf0\x9f\x98\x80", b"\x92"]),
        st.binary(),
    ),
    max_size=40,
)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every text of more than 64 bytes a long one."""
    for module in (long_text, text_files):
        monkeypatch.setattr(module, "PIECE_BYTES", 64)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("rule", ["bytes", "unicode-14", "unicode-14-marks"])
@given(pieces=PIECES, has_start=st.booleans(), strip_breaks=st.booleans())
def test_a_text_in_pieces_is_encoded_as_the_whole(
    side: Literal["left", "right"], rule: TextRuleName, pieces: list[bytes], has_start: bool, strip_breaks: bool
) -> None:
    config = TokenizerConfig(6, has_start, strip_breaks, "batch", "left", "left", rule)
    tokenizer = Tokenizer(dataclasses.replace(config, truncation_side=side), WORDS)
    collector = TextCollector(tokenizer)
    collector.add(b"film " * 20)
    for piece in pieces:
        collector.add(piece)
    read, whole = collector.take(), b"film " * 20 + b"".join(pieces)
    assert isinstance(read, ReadText)
    assert read.encoding is not None
    expected = tokenizer.encode(whole)
    np.testing.assert_array_equal(expected.ids, read.encoding.ids)
    assert read.encoding[1:] == expected[1:]
    assert (-1 if read.zero_at is None else read.zero_at) == whole.find(b"\0")
    assert read.invalid_at == find_invalid(whole)
    assert not collector.has_begun


def find_invalid(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


LONG = b"\xef\xbb\xbfnobody " + b"wonderful, superb <br /><br />film " * 9 + b"caf\xc3\xa9"
TEXTS = [b"a fine film", LONG, b"", b"x" * 300, LONG + b"\xff", LONG + b"\0", b"PK\x03\x04" + LONG, b"awful\r", LONG]


@pytest.mark.parametrize("source", ["file", "stdin", "stream"])
def test_items_do_not_depend_on_the_size_of_the_pieces(
    tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = rnnx.load("imdb-article")
    assert isinstance(predictor.reader, TextReader)
    tokenizer = predictor.reader.tokenizer
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n".join(TEXTS))
    files = [tmp_path / f"{i}.txt" for i in range(len(TEXTS))]
    for file, text in zip(files, TEXTS, strict=True):
        file.write_bytes(text)

    def read() -> list[Item]:
        with path.open("rb") as stdin:
            stream = stdin if source == "stdin" else io.BytesIO(path.read_bytes())
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
            lines = [item for item in read_lines([str(path) if source == "file" else "-"], tokenizer) if item]
            return [*lines, *read_files(map(str, files), tokenizer)]

    whole = read()
    for module in (long_text, text_files):
        monkeypatch.setattr(module, "PIECE_BYTES", 64)
    monkeypatch.setattr(text_files, "_CHUNK_BYTES", 50)
    short = read()
    assert sum(item.encoded is not None for item in short) == 8
    for expected, actual in zip(whole, short, strict=True):
        assert (actual.source, actual.line, actual.error) == (expected.source, expected.line, expected.error)
        given: list[Any] = [item.given for item in (expected, actual) if item.given is not None]
        assert len(given) in (0, 2)
        if given:
            assert predictor.predict(given[:1]) == predictor.predict(given[1:])


def test_a_line_that_must_be_held_whole_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_text, "MOST_WHOLE_BYTES", 64)
    (tmp_path / "a.txt").write_bytes(b"fine\n" + b"x" * 65 + b"\nawful")
    items = [item for item in read_lines([str(tmp_path / "a.txt")]) if item]
    assert [item.text for item in items] == [b"fine", None, b"awful"]
    assert "longer than 16 MB" in (items[1].error or "")


def test_a_sentence_of_a_treebank_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MOST_WHOLE_BYTES", 400)
    word = "1\tfine\t_\tADJ" + "\t_" * 6 + "\n"
    for end in ("x" * 500, "# a comment\n" * 50):
        (tmp_path / "a.conllu").write_text(f"{word}\n" * 30 + end, encoding="utf-8")
        items = list(read_treebank(str(tmp_path / "a.conllu")))
        assert len(items) == 31
        assert "a sentence of 0 MB" in (items[-1].error or "")
