from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.config import WordsConfig
from rnnx.errors import ModelError
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID
from rnnx.text.word_vocabulary import VocabularySize, WordVocabulary

CONFIG = WordsConfig(("SUFFIX1", "SHAPE"), 10)
EVERYTHING = VocabularySize(words=1000, features=1000, least_word_count=1, least_feature_count=1)
SENTENCES = ([b"The", b"cat", b"sat"], [b"the", b"Dog", b"sat"], [b"<pad>"])


def test_words_come_before_features_by_frequency_then_by_bytes() -> None:
    vocabulary = WordVocabulary.build(SENTENCES, CONFIG, EVERYTHING)
    words, features = (b"sat", b"the", b"cat", b"dog"), vocabulary.tokens[vocabulary.word_count :]
    assert vocabulary.tokens[: vocabulary.word_count] == (*SPECIAL_TOKENS, *words)
    assert features[:5] == (b"SHAPE=xx", b"SUFFIX1=t", b"SHAPE=Xxx", b"SUFFIX1=e", b"SHAPE=<xx>")
    assert vocabulary.encode([b"the", b"SUFFIX1=e", b"mouse"]) == [4, vocabulary.word_count + 3, UNKNOWN_ID]


def test_a_special_token_in_a_text_is_an_unknown_word() -> None:
    assert WordVocabulary.build(SENTENCES, CONFIG, EVERYTHING).encode([b"<pad>", b"<start>"]) == [2, 2]


def test_rare_words_and_those_beyond_the_limit_are_left_out() -> None:
    rare = VocabularySize(words=1000, features=1000, least_word_count=2, least_feature_count=3)
    assert WordVocabulary.build(SENTENCES, CONFIG, rare).tokens[3:] == (b"sat", b"the", b"SHAPE=xx", b"SUFFIX1=t")
    few = VocabularySize(words=1, features=2, least_word_count=1, least_feature_count=1)
    assert WordVocabulary.build(SENTENCES, CONFIG, few).tokens[3:] == (b"sat", b"SHAPE=xx", b"SUFFIX1=t")


@given(st.lists(st.lists(st.binary(min_size=1, max_size=5), min_size=1), max_size=6))
def test_a_vocabulary_is_read_back_as_it_was_written(sentences: list[list[bytes]]) -> None:
    vocabulary = WordVocabulary.build(sentences, CONFIG, EVERYTHING)
    again = WordVocabulary.from_bytes(vocabulary.to_bytes())
    assert again == vocabulary
    assert again.word_count == vocabulary.word_count
    lines = vocabulary.to_bytes().split(b"\n")
    for token_id, token in enumerate(vocabulary.tokens):
        assert lines[token_id] == token  # line N holds id N - 1


SPECIAL = b"<pad>\n<start>\n<unknown>\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<pad>\n<start>\nword\n", "first three"),
        (SPECIAL + b"Upper\n", "line 4"),
        (SPECIAL + b"a\n\nb\n", "line 5"),
        (SPECIAL + b"SHAPE=x\nword\n", "line 5 .* before all features"),
        (SPECIAL + b"SUFFIX0=x\n", "line 4"),
        (SPECIAL + b"SUFFIX1=\n", "line 4"),
        (SPECIAL + b"a\nb\na\n", "two lines"),
    ],
)
def test_a_broken_vocabulary_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        WordVocabulary.from_bytes(data)


def test_words_of_scripts_without_spaces_may_be_rare() -> None:
    config = WordsConfig(("SHAPE",), 10, rule="unicode-14")
    sentences = [("北京".encode(), "好".encode(), b"Rare", "。".encode()), (b"ab", b"AB")]
    rare = VocabularySize(words=9, features=1, least_word_count=2, least_feature_count=1)
    vocabulary = WordVocabulary.build(sentences, config, rare)
    assert vocabulary.words == (b"ab", "北京".encode())
