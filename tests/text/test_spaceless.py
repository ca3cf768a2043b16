"""Tests that a treebank teaches the words of a script without spaces: known ones are found, others are characters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnx.bundle.config import WordsConfig
from rnnx.datasets import load_sentences
from rnnx.text.word_encoder import WordEncoder
from rnnx.text.word_vocabulary import VocabularySize, WordVocabulary
from tests.spaceless import LANGUAGES, make_spaceless, to_text, write_spaceless

CONFIG = WordsConfig(features=("SUFFIX1", "PREFIX1", "SHAPE"), max_length=200, rule="unicode-14")
# As in the recipe: a word that occurs once is unknown, except in scripts without spaces.
SIZE = VocabularySize(words=20_000, features=20_000, least_word_count=2, least_feature_count=3)


def make_encoder(folder: Path, language: str, count: int) -> WordEncoder:
    sentences = load_sentences(str(write_spaceless(folder, language, count))).train.sentences
    return WordEncoder(CONFIG, WordVocabulary.build(sentences, CONFIG, SIZE))


def split(encoder: WordEncoder, text: bytes) -> Iterator[tuple[bytes, ...]]:
    for words in encoder.split_text(text):
        assert [text[word.start : word.end] for word in words] == [word.word for word in words]
        yield tuple(word.word for word in words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_split_as_its_treebank_is(tmp_path: Path, language: str) -> None:
    encoder = make_encoder(tmp_path, language, 120)
    expected = make_spaceless(language, 50, 7)
    assert list(split(encoder, to_text(expected))) == [sentence.words for sentence in expected]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("ja", "彼は奈良で本を見ます。", "彼 は 奈 良 で 本 を 見 ます 。"),
        ("ja", "彼はロンドンで本を見ます。", "彼 は ロンドン で 本 を 見 ます 。"),
        ("ja", "私もABCと2026を見ました\uff01", "私 も ABC と 2026 を 見 ました \uff01"),
        ("th", "ฉันจะอ่านดี", "ฉัน จะ อ่าน ดี"),
        ("th", "ฉันได้มา ที่กรุงเทพ", "ฉัน ได้ ม า ที่ กรุงเทพ"),
    ],
)
def test_what_the_treebank_does_not_have_is_a_word_for_each_character(
    tmp_path: Path, language: str, text: str, expected: str
) -> None:
    encoder = make_encoder(tmp_path, language, 120)
    assert [b" ".join(words).decode() for words in split(encoder, text.encode())] == [expected]


def test_a_word_of_a_script_without_spaces_is_known_if_it_occurs_once(tmp_path: Path) -> None:
    path = write_spaceless(tmp_path, "ja", 40)
    path.write_bytes(path.read_bytes().replace("\t東京\t".encode(), "\t北海道\t".encode(), 1))
    sentences = load_sentences(str(path)).train.sentences
    encoder = WordEncoder(CONFIG, WordVocabulary.build(sentences, CONFIG, SIZE))
    (words,) = split(encoder, "彼は北海道で本を買います。".encode())
    assert words[2].decode() == "北海道"
