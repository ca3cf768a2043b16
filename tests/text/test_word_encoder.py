from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.config import ModelConfig, WordsConfig
from rnnx.bundle.directory import Directory
from rnnx.errors import ModelError
from rnnx.strict_json import from_json, to_json
from rnnx.text.ids import read_id_encoder
from rnnx.text.word_encoder import WordEncoder, pieces
from rnnx.text.word_features import features_of, lower
from rnnx.text.word_vocabulary import WordVocabulary

CONFIG = WordsConfig(("SUFFIX2", "SHAPE"), 4)
TOKENS = (b"<pad>", b"<start>", b"<unknown>", b"the", b"cat", b"SUFFIX2=he", b"SUFFIX2=at", b"SHAPE=xx")
ENCODER = WordEncoder(CONFIG, WordVocabulary(TOKENS))


def test_a_sentence_encoded_by_hand() -> None:
    row = ENCODER.encode([b"The", b"cat", b"sat", b"."])
    assert row.ids.tolist() == [3, 4, 2, 2]
    assert row.features.tolist() == [[5, 2], [6, 7], [6, 7], [2, 2]]
    assert row.ids.dtype == row.features.dtype == np.int32


def test_an_empty_sentence_has_a_shape() -> None:
    row = ENCODER.encode([])
    assert (row.ids.shape, row.features.shape) == ((0,), (0, 2))
    batch = ENCODER.pad([row])
    assert (batch.ids.tolist(), batch.features.tolist()) == ([[0]], [[[0, 0]]])
    assert ENCODER.pad([]).features.shape == (0, 1, 2)


WORDS = st.one_of(st.sampled_from([b"the", b"THE", b"cat", b"hat", b"<pad>", b"SHAPE=xx"]), st.binary(min_size=1))


@given(st.lists(st.lists(WORDS, max_size=6), min_size=1, max_size=4))
def test_ids_are_line_numbers_of_the_vocabulary(sentences: list[list[bytes]]) -> None:
    batch = ENCODER.pad([ENCODER.encode(words) for words in sentences])
    assert batch.ids.shape == (len(sentences), max(1, *map(len, sentences)))
    for words, ids, features in zip(sentences, batch.ids, batch.features, strict=True):
        assert not ids[len(words) :].any()
        assert not features[len(words) :].any()
        for word, token_id, row in zip(words, ids, features, strict=False):
            tokens = [lower(word), *features_of(word, CONFIG.features)]
            expected = [TOKENS.index(token) if token in TOKENS[3:] else 2 for token in tokens]
            assert [token_id, *row] == expected


@given(st.integers(0, 200), st.integers(1, 30))
def test_a_long_sentence_is_split_into_even_pieces(length: int, longest: int) -> None:
    cuts = [range(length)[cut] for cut in pieces(length, longest)]
    assert [i for cut in cuts for i in cut] == list(range(length))
    assert len(cuts) == -(-length // longest)
    assert not cuts or max(map(len, cuts)) - min(map(len, cuts)) <= 1


MODEL = ModelConfig(
    name="m",
    labels=("A", "B"),
    output_size=2,
    vocabulary_size=len(TOKENS),
    tokenizer=None,
    architecture=(),
    parameter_count=1,
    training=None,
    tools={},
    words=CONFIG,
    task="tagging",
)


def test_the_encoder_of_a_run_is_read_from_its_files() -> None:
    config = from_json(ModelConfig, to_json(MODEL))
    assert config == MODEL
    encoder = read_id_encoder(Directory(Path("m"), config, {"vocabulary.txt": ENCODER.vocabulary.to_bytes()}))
    assert isinstance(encoder, WordEncoder)
    assert (encoder.config, encoder.vocabulary) == (CONFIG, ENCODER.vocabulary)
    plain = dataclasses.replace(MODEL, words=None, task="classification")
    assert read_id_encoder(Directory(Path("m"), plain, {})) is None
    with pytest.raises(ModelError, match=r"has 7 tokens, but config\.json says 8"):
        read_id_encoder(Directory(Path("m"), config, {"vocabulary.txt": b"\n".join(TOKENS[:-1])}))
    with pytest.raises(ModelError, match=r"no vocabulary\.txt"):
        read_id_encoder(Directory(Path("m"), config, {}))


def test_the_rule_of_a_tagger_is_read_from_its_config() -> None:
    words = WordsConfig(("SHAPE",), 4, rule="unicode-14", joins_hyphens=True)
    tokens = "<pad>\n<start>\n<unknown>\nübel\n北京\nSHAPE=Xxx\n".encode()
    config = from_json(ModelConfig, to_json(dataclasses.replace(MODEL, vocabulary_size=6, words=words)))
    assert config.words == words
    encoder = read_id_encoder(Directory(Path("m"), config, {"vocabulary.txt": tokens}))
    assert isinstance(encoder, WordEncoder)
    sentences = [[word.word for word in sentence] for sentence in encoder.split_text("Übel-x。北京".encode())]
    assert sentences == [["Übel-x".encode(), "。".encode()], ["北京".encode()]]
    assert encoder.encode(["Übel".encode(), "北京".encode()]).ids.tolist() == [3, 4]
    assert encoder.encode(["Übel".encode()]).features.tolist() == [[5]]
    with pytest.raises(ModelError, match="line 4"):
        read_id_encoder(Directory(Path("m"), config, {"vocabulary.txt": tokens.replace("ü".encode(), "Ü".encode())}))
    with pytest.raises(ValueError, match="joins_hyphens is not supported by the rule bytes"):
        WordsConfig(("SHAPE",), 4, joins_hyphens=True)


def test_the_words_of_a_config_must_fit_its_task() -> None:
    assert dataclasses.replace(MODEL, words=None).task == "tagging"  # a tagger that reads arrays has no words
    with pytest.raises(ValueError, match="words are not allowed for the task classification"):
        dataclasses.replace(MODEL, task="classification")
    for features, max_length, reason in (
        (("SUFFIX0",), 5, "not 'SUFFIX0'"),
        (("SHAPE", "SHAPE"), 5, "different names"),
        ((), 5, "different names"),
        (("SHAPE",), 0, "max_length"),
    ):
        with pytest.raises(ValueError, match=reason):
            WordsConfig(features, max_length)
