"""Tests that the tokenizer in the graph gives the ids of `rnnx.text.tokenizer`, for any bytes."""

from __future__ import annotations

import itertools
from functools import cache
from typing import Literal

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

from hypothesis import given, settings
from hypothesis import strategies as st

from rnnx.bundle.config import TokenizerConfig
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.text_form.tokenizer_nodes import add_tokenizer
from tests.text_form.tokenizer_graphs import assert_same_ids, make_model

pytestmark = pytest.mark.train

WORDS = (
    b"a",
    b"zz",
    b"br",
    b"it's",
    b"caf\xc3\xa9",
    b"abc",
    b"abcdef",
    b"abcdefg",
    b"wonderfully",
    b"9",
    b"'",
    b"\xff",
)
Side = Literal["left", "right"]
BOOLS = (False, True)
PAD_TO: tuple[Literal["batch", "max_length"], ...] = ("batch", "max_length")
SIDES: tuple[Side, ...] = ("left", "right")
CONFIGS = [TokenizerConfig(*c) for c in itertools.product((1, 4), BOOLS, BOOLS, PAD_TO, SIDES, SIDES)]
PIECES = (*WORDS, b"A", b"ZZ", b"<br />", b"<br />br<br />", b"<br", b" />", b"<BR />", b" ", b"\0", b".", b"s")
TEXTS = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))


@cache
def tokenizer_and_session(config: TokenizerConfig, words: tuple[bytes, ...] = WORDS) -> tuple[Tokenizer, Session]:
    vocabulary = Vocabulary((*SPECIAL_TOKENS, *words))
    model = make_model(lambda graph: add_tokenizer(graph, "text", vocabulary, config))
    return Tokenizer(config, vocabulary), Session(model.SerializeToString(), device="cpu")


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_ids_equal_those_of_the_tokenizer_for_every_config(config: TokenizerConfig) -> None:
    tokenizer, session = tokenizer_and_session(config)
    rng = np.random.default_rng(0)
    for count in (1, 1, 3, 20):
        texts = [b"".join(rng.choice(np.array(PIECES, object), rng.integers(12))) for _ in range(count)]
        assert_same_ids(tokenizer, session, texts)


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(CONFIGS), st.integers(0, 3))
def test_ids_equal_those_of_the_tokenizer_for_any_bytes(
    texts: list[bytes], config: TokenizerConfig, padding: int
) -> None:
    assert_same_ids(*tokenizer_and_session(config), texts, padding)


@pytest.mark.parametrize("shape", [(1, 0), (3, 0), (0, 0), (0, 5)])
def test_a_batch_may_be_empty(shape: tuple[int, int]) -> None:
    tokenizer, session = tokenizer_and_session(CONFIGS[8])
    (actual,) = session.run(np.zeros(shape, np.uint8))
    assert tokenizer.pad([tokenizer.encode(b"").ids] * shape[0]).tolist() == actual.tolist()


@pytest.mark.parametrize("count", [1, 3, 2000])
def test_long_words_and_long_texts_get_the_same_ids(count: int) -> None:
    config = TokenizerConfig(400, True, True, "batch", "left", "left")
    longest = b"x" * 255
    tokenizer, session = tokenizer_and_session(config, (*WORDS, longest, longest[:-1]))
    texts = [b" ".join([longest, longest + b"x", longest[:-1], longest[:-2], b"zz"] * count), b"y" * 5000]
    assert_same_ids(tokenizer, session, texts)
    assert_same_ids(tokenizer, session, texts[:1])


def test_a_vocabulary_without_words_makes_every_word_unknown() -> None:
    assert_same_ids(*tokenizer_and_session(CONFIGS[-1], ()), [b"a b c", b""])
