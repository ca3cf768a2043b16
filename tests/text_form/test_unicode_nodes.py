"""Tests that the graphs of `unicode-14` and `unicode-14-marks` give the ids of `rnnx.text.tokenizer`, for any bytes."""
# ruff: noqa: RUF001  # characters that look like others are what is tested

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.onnx_file.graph_builder import RecordedGraph
from rnnx.runtime.session import Session
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.text.unicode_table import CHARACTER_COUNT, CharacterKind, load_table
from rnnx.text_form.alphabet import NO_LETTER, SpelledVocabulary, spell_vocabulary
from rnnx.text_form.unicode_nodes import add_unicode_tokenizer
from tests.text_form.tokenizer_graphs import assert_same_ids, make_model
from tests.unicode_texts import BROKEN, LINES, PIECES, WORDS, draw_texts

pytestmark = pytest.mark.train

BOOLS = (False, True)
SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
PAD_TO: tuple[Literal["batch", "max_length"], ...] = ("batch", "max_length")
# The name of each rule, and whether `!` and `?` are tokens nevertheless.
READINGS: tuple[tuple[TextRuleName, bool], ...] = (
    ("unicode-14", False),
    ("unicode-14", True),
    ("unicode-14-marks", False),
)
CONFIGS = [
    TokenizerConfig(*fields[:-1], *fields[-1])
    for fields in itertools.product((1, 4), BOOLS, BOOLS, PAD_TO, SIDES, SIDES, READINGS)
]
PLAIN = TokenizerConfig(400, False, False, "batch", "right", "right", rule="unicode-14")
TEXTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=30).map(str.encode),
    st.lists(st.sampled_from((*PIECES, *BROKEN)), max_size=12).map(b"".join),
)


def make_vocabulary(config: TokenizerConfig, words: Sequence[str]) -> Vocabulary:
    """Makes a vocabulary of the tokens of words, so that each of its words is a token."""
    rule = find_rule(config)
    tokens = [token for word in words for token in rule.to_words(word.encode(), strip_breaks=False).split()]
    return Vocabulary((*SPECIAL_TOKENS, *dict.fromkeys(tokens)), rule)


class RecordedNames(RecordedGraph):
    """Records the name of every value, also of those that are given twice."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """See `GraphBuilder`."""
        self.names.append(output)
        return super().add(op_type, inputs, output, **attributes)

    def add_constant(self, name: str, array: npt.NDArray[Any]) -> str:
        """See `GraphBuilder`."""
        self.names.append(name)
        return super().add_constant(name, array)


def model_of(spelled: SpelledVocabulary, config: TokenizerConfig) -> onnx.ModelProto:
    return make_model(lambda graph: add_unicode_tokenizer(graph, "text", spelled, config))


def session_of(vocabulary: Vocabulary, config: TokenizerConfig) -> Session:
    return Session(model_of(spell_vocabulary(vocabulary, config), config).SerializeToString(), device="cpu")


@cache
def tokenizer_and_session(config: TokenizerConfig, words: tuple[str, ...] = WORDS) -> tuple[Tokenizer, Session]:
    vocabulary = make_vocabulary(config, words)
    return Tokenizer(config, vocabulary), session_of(vocabulary, config)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_ids_equal_those_of_the_tokenizer_for_every_config(config: TokenizerConfig) -> None:
    tokenizer, session = tokenizer_and_session(config)
    rng = np.random.default_rng(0)
    for count in (1, 1, 3, 40):
        assert_same_ids(tokenizer, session, draw_texts(rng, count, 12), more_padding=count - 1)


@settings(deadline=None, max_examples=300)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(CONFIGS), st.integers(0, 3))
def test_ids_equal_those_of_the_tokenizer_for_any_bytes(
    texts: list[bytes], config: TokenizerConfig, padding: int
) -> None:
    assert_same_ids(*tokenizer_and_session(config), texts, padding)


@pytest.mark.parametrize("strip_breaks", BOOLS)
@pytest.mark.parametrize(("rule", "marks"), READINGS)
def test_ids_equal_those_of_the_tokenizer_for_thousands_of_texts(
    strip_breaks: bool, rule: TextRuleName, marks: bool
) -> None:
    config = TokenizerConfig(400, True, strip_breaks, "batch", "left", "left", rule, marks)
    tokenizer, session = tokenizer_and_session(config)
    texts = draw_texts(np.random.default_rng(7), 5000, 40)
    for start in range(0, len(texts), 50):
        assert_same_ids(tokenizer, session, texts[start : start + 50])


@pytest.mark.parametrize(("rule", "marks"), READINGS)
def test_lines_of_many_languages_get_the_same_ids(rule: TextRuleName, marks: bool) -> None:
    config = dataclasses.replace(PLAIN, rule=rule, marks=marks)
    vocabulary = Vocabulary.build(LINES, 1000, strip_breaks=False, rule=find_rule(config))
    tokenizer, session = Tokenizer(config, vocabulary), session_of(vocabulary, config)
    changed = [line.decode().swapcase().encode() for line in LINES]
    cut = [line[:end] for line in LINES for end in range(len(line))]
    for texts in (LINES, changed, cut, [line.replace(b" ", b"") for line in LINES]):
        assert_same_ids(tokenizer, session, texts)
    assert all(len(set(tokenizer.encode(line).ids.tolist())) > 2 for line in changed)


def test_a_vocabulary_of_more_than_256_characters_gets_the_same_ids() -> None:
    """Every table that can need 16 bits does, and no two values have one name."""
    characters = "".join(map(chr, range(0x4E00, 0x4E00 + 16 * 330, 16)))
    vocabulary = make_vocabulary(PLAIN, (characters, "w1", "w2"))
    recorded = RecordedNames()
    add_unicode_tokenizer(recorded, "text", spell_vocabulary(vocabulary, PLAIN), PLAIN)
    assert sum(name.endswith("_stored_high") for name in recorded.names) == 5
    assert len(recorded.names) == len(set(recorded.names))
    tokenizer, session = Tokenizer(PLAIN, vocabulary), session_of(vocabulary, PLAIN)
    assert_same_ids(tokenizer, session, [characters.encode(), "w1 w2 w3 一丁".encode(), characters[::-3].encode()])


@pytest.mark.parametrize(("rule", "marks"), READINGS)
def test_every_character_between_letters_gets_the_same_ids(rule: TextRuleName, marks: bool) -> None:
    config = TokenizerConfig(512, False, True, "batch", "right", "right", rule, marks)
    words = (*WORDS, "ab", "a'b", "aab", "azb", "a9b", "b", "aσb", "o", "?", ":", "(", '"', "-", "…", "。", "<", "€")
    tokenizer, session = tokenizer_and_session(config, words)
    characters = [chr(code).encode(errors="surrogatepass") for code in range(0x110000)]
    assert len(characters) > 5 * CHARACTER_COUNT
    texts = [
        b" ".join(b"a%sb" % character for character in characters[start : start + 100])
        for start in range(0, len(characters), 100)
    ]
    for start in range(0, len(texts), 100):
        assert_same_ids(tokenizer, session, texts[start : start + 100])


def test_each_character_of_the_table_has_its_own_symbol_if_it_is_a_word() -> None:
    """A vocabulary of all characters: the graph gives each of them the id of its replacement."""
    table = load_table()
    in_tokens = (table.kinds != CharacterKind.SEPARATOR) & (table.kinds != CharacterKind.DROPPED)
    words = [chr(code) for code in np.flatnonzero(in_tokens & (table.replacements == np.arange(CHARACTER_COUNT)))]
    spelled = spell_vocabulary(make_vocabulary(PLAIN, words[::8]), PLAIN)
    assert len(spelled.words) - len(SPECIAL_TOKENS) == len(words[::8])
    expected = np.zeros(CHARACTER_COUNT, np.int64)
    for word, symbols in zip(words[::8], spelled.words[len(SPECIAL_TOKENS) :], strict=True):
        expected[table.replacements == ord(word)] = symbols[0]
    assert np.array_equal(expected[expected > 0], spelled.alphabet.symbols[expected > 0])
    others = set(spelled.alphabet.symbols[expected == 0].tolist())
    assert not others & {symbols[0] for symbols in spelled.words[len(SPECIAL_TOKENS) :]}


def test_every_sequence_of_boundary_bytes_gets_the_same_ids() -> None:
    tokenizer, session = tokenizer_and_session(PLAIN, ("a", "z", "é", "世", "õ", "ô", "â", "ð"))
    firsts = (
        0x7F,
        0x80,
        0xBF,
        0xC0,
        0xC1,
        0xC2,
        0xDF,
        0xE0,
        0xE1,
        0xEC,
        0xED,
        0xEE,
        0xEF,
        0xF0,
        0xF1,
        0xF3,
        0xF4,
        0xF5,
        0xFF,
    )
    others = (0x20, 0x61, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xE4)
    sequences = [bytes(sequence) for sequence in itertools.product(firsts, others, others, others)]
    texts = [b" a".join(sequences[start : start + 50]) for start in range(0, len(sequences), 50)]
    for start in range(0, len(texts), 100):
        assert_same_ids(tokenizer, session, texts[start : start + 100])
    for sequence in itertools.product(firsts, others):
        assert_same_ids(tokenizer, session, [bytes(sequence), b"z" + bytes(sequence[:1]), b"zz"])  # the end of a row


@pytest.mark.parametrize("shape", [(1, 0), (3, 0), (0, 0), (0, 5), (2, 9)])
def test_a_batch_may_be_empty(shape: tuple[int, int]) -> None:
    tokenizer, session = tokenizer_and_session(CONFIGS[17])
    (actual,) = session.run(np.zeros(shape, np.uint8))
    assert tokenizer.pad([tokenizer.encode(b"").ids] * shape[0]).tolist() == actual.tolist()


@pytest.mark.parametrize("count", [1, 3, 2000])
def test_long_words_and_long_texts_get_the_same_ids(count: int) -> None:
    longest, greek = "x" * 255, "ω" * 127
    tokenizer, session = tokenizer_and_session(
        TokenizerConfig(400, True, True, "batch", "left", "left", rule="unicode-14"),
        (*WORDS, longest, longest[:-1], greek),
    )
    words = (longest, longest + "x", longest[:-1], longest[:-2], greek, greek.upper(), greek + "ω", greek[1:], "zz")
    texts = [" ".join(words * count).encode(), b"y" * 5000, "世".encode() * 3000]
    assert_same_ids(tokenizer, session, texts)
    assert_same_ids(tokenizer, session, texts[:1])


@pytest.mark.parametrize(("letters", "per_chunk"), [(26, 3), (300, 2), (2500, 1)])
def test_words_of_any_alphabet_are_compared_as_a_whole(letters: int, per_chunk: int) -> None:
    """Korean words of one to seven syllables; each text has words that differ from one of the vocabulary by little."""
    rng = np.random.default_rng(letters)
    syllables = [chr(0xAC00 + 4 * i) for i in range(letters)]

    def draw(size: int) -> str:
        return "".join(rng.choice(syllables, size))

    words = tuple(dict.fromkeys([*syllables, *(draw(int(size)) for size in rng.integers(1, 8, 3000))]))
    vocabulary = make_vocabulary(PLAIN, words)
    assert spell_vocabulary(vocabulary, PLAIN).alphabet.per_chunk == per_chunk
    session = session_of(vocabulary, PLAIN)
    near = [word[:i] + draw(1) + word[i + 1 :] for word in words for i in (0, len(word) // 2, len(word) - 1)]
    cut = [word[:-1] for word in words] + [word + draw(1) for word in words] + [word + "世" for word in words]
    together = [*words, *near, *cut]
    texts = [" ".join(together[start : start + 390]).encode() for start in range(0, len(together), 390)]
    for start in range(0, len(texts), 20):
        assert_same_ids(Tokenizer(PLAIN, vocabulary), session, texts[start : start + 20])


def test_a_vocabulary_without_words_makes_every_word_unknown() -> None:
    assert_same_ids(*tokenizer_and_session(CONFIGS[-1], ()), [b"a b c", "世 a".encode(), b""])


def test_a_line_that_is_no_token_has_an_id_that_no_text_gets() -> None:
    vocabulary = Vocabulary(
        (*SPECIAL_TOKENS, b"a", "a–b".encode(), b"\xe9", "Éa".encode(), "世界".encode(), "世".encode())
    )
    tokenizer, session = Tokenizer(PLAIN, vocabulary), session_of(vocabulary, PLAIN)
    assert_same_ids(tokenizer, session, ["a–b Éa éa 世界".encode(), b"\xe9 a\xe9"])


def test_all_numbers_are_below_two_to_the_24() -> None:
    vocabulary = make_vocabulary(PLAIN, (*WORDS, *map(chr, range(0x4E00, 0x6000))))
    model = model_of(spell_vocabulary(vocabulary, PLAIN), PLAIN)
    inferred = onnx.shape_inference.infer_shapes(model)
    integers = [
        value
        for value in inferred.graph.value_info
        if value.type.tensor_type.elem_type in (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    ]
    assert len(integers) > 80
    model.graph.output.extend(integers)
    session = Session(model.SerializeToString(), device="cpu")
    texts = [*draw_texts(np.random.default_rng(3), 200, 40), b"\xf4\x8f\xbf\xbf" * 3, b"\xf7\xff\xff\xff" * 3]
    width = max(map(len, texts))
    batch = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8).reshape(len(texts), width)
    for name, values in zip(session.output_names, session.run(batch), strict=True):
        assert np.abs(values, dtype=np.int64).max(initial=0) < 1 << 24, name


def test_the_words_can_be_read_from_the_file() -> None:
    vocabulary = make_vocabulary(PLAIN, WORDS)
    spelled = spell_vocabulary(vocabulary, PLAIN)
    tensors = {tensor.name: numpy_helper.to_array(tensor) for tensor in model_of(spelled, PLAIN).graph.initializer}
    ends = np.cumsum(tensors["rnnx.text.vocabulary_lengths_stored"].astype(int))
    letters = "".join(spelled.alphabet.letters[symbol] for symbol in tensors["rnnx.text.vocabulary_stored"])
    words = [letters[start:end] for start, end in itertools.pairwise([0, *ends])]
    assert [word.decode() for word in vocabulary.tokens[3:]] == words[3:]
    assert NO_LETTER not in "".join(words)
