"""Texts in chunks to compare the kits for streams with rnnx, and the models that read them."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import TokenizerConfig
from rnnx.bundle.directory import STREAM_NAME, VOCABULARY_NAME, Directory, read_directory
from rnnx.bundle.embed import write_project
from rnnx.bundle.kits import add_stream
from rnnx.infer.stream import Stream
from rnnx.runtime.session import Session
from rnnx.text.ids import read_id_encoder
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from tests.make_bundles import BUNDLES
from tests.runtimes.kits import run
from tests.unicode_texts import BROKEN, LINES, PIECES, draw_texts

BUNDLE = BUNDLES / "texts"
# The rules of the tokenizer that the kits have: a name, and whether `!` and `?` are words.
RULES = ("bytes", "unicode-14", "unicode-14 marks")
_WORDS = (
    "wonderful",
    "film",
    "the",
    "a",
    "dull",
    "caf\xe9",
    "it's",
    "\u96fb",
    "\u5f71",
    "\u597d",
    "\u0e14",
    "\U0001f600",
)
_KNOWN = ("br", "s", "1", "\u043f\u0440\u0438\u0432\u0435\u0442", "w5", "zz", "9", "x", "b")
_PARTS = (
    *(word.encode() for word in _WORDS),
    b" ",
    b" ",
    b"\n",
    b"<br />",
    b"<br",
    b"<",
    b" />",
    b".",
    b"!",
    b"?",
    b"\xc2\xad",
)

Chunks = list[bytes]


def draw_chunks(count: int) -> list[Chunks]:
    """Draws texts that are cut at random bytes, some chunks being empty; and words longer than a stream holds back."""
    rng = np.random.default_rng(7)
    parts = (*_PARTS, *_PARTS, *_PARTS, *PIECES, *BROKEN)
    texts = [b"".join(parts[i] for i in rng.integers(len(parts), size=rng.integers(16))) for _ in range(count)]
    texts += [*LINES, *draw_texts(rng, count // 8, 10)]
    texts += [piece * 40_000 + b" film" for piece in (b"aa", "\xe9".encode(), "\u200b".encode(), "\u0e31".encode())]
    return [_cut(text, sorted(rng.integers(len(text) + 1, size=rng.integers(6)).tolist())) for text in texts]


def draw_long_text() -> bytes:
    """Draws a megabyte of words. Text that repeats a few words would not do: the network amplifies rounding there."""
    words = ("wonderful", "film", "the", "a", "dull", "boring", "great")
    return " ".join(words[i] for i in np.random.default_rng(3).integers(len(words), size=200_000)).encode()


def write_stream(rule: str, folder: Path) -> None:
    """Writes the files that a kit reads, of a model whose tokenizer has a rule."""
    add_stream(_directory(rule), folder)


def format_chunks(texts: Sequence[Chunks]) -> bytes:
    """Formats the chunks of texts for a program that runs a kit."""
    return json.dumps([[chunk.hex() for chunk in chunks] for chunks in texts]).encode()


def require_same_answers(rule: str, texts: Sequence[Chunks], found: Sequence[Any], errors: str) -> None:
    """Makes sure that a kit finds the words of rnnx after each chunk, and gives its answers.

    Args:
        rule: One of `RULES`.
        texts: The chunks of each text.
        found: For each text and each of its chunks, and for the end of it, the new words, label, probability and
            probabilities.
        errors: How the kit decodes words that are not UTF-8.
    """
    stream = open_stream(rule)
    assert len(found) == len(texts)
    for chunks, rows in zip(texts, found, strict=True):
        stream.reset()
        answers = [*(stream.feed(chunk) for chunk in chunks), stream.finish()]
        for answer, (words, label, probability, probs) in zip(answers, rows, strict=True):
            expected = [word.encode("utf-8", "surrogateescape").decode("utf-8", errors) for word in answer.words]
            assert words == expected, chunks
            if not answer.predictions:
                assert (label, probability, probs) == (None, None, [])
                continue
            (prediction,) = answer.predictions
            assert probs == pytest.approx(list(prediction.probs.values()), abs=1e-6), chunks
            assert probability == pytest.approx(prediction.probability, abs=1e-6)
            assert label == prediction.label or abs(probability - 0.5) < 1e-6


class PythonKit:
    """The package for Python, in which a state is saved or goes on."""

    def __init__(self, folder: Path) -> None:
        write_project("python", BUNDLE, folder, streaming=True)
        self._folder = folder

    def save(self, chunk: str) -> str:
        """Returns the state after a chunk, as JSON."""
        return self._run("print(model.step(model.begin(), chunk)[0].to_json())", chunk, "").strip()

    def finish(self, state: str, chunk: str) -> tuple[str, float]:
        """Goes on from a state in JSON, and returns the label and its probability at the end of the text."""
        code = "answer = model.finish(model.step(State.from_json(text), chunk)[0])[1]"
        label, probability = self._run(f"{code}; print(answer.label, answer.probability)", chunk, state).split()
        return label, float(probability)

    def _run(self, code: str, chunk: str, text: str) -> str:
        begin = "import sys; from rnnx_text_stream import State, StreamModel; model = StreamModel.load()"
        given = "chunk, text = sys.argv[1], sys.stdin.read()"
        done = run([sys.executable, "-B", "-c", f"{begin}; {given}; {code}", chunk], self._folder, text.encode())
        assert done.returncode == 0, done.stderr
        return done.stdout


def open_stream(rule: str) -> Stream:
    """Returns rnnx's own stream of the model whose tokenizer has a rule."""
    directory = _directory(rule)
    tokenizer = read_id_encoder(directory)
    assert isinstance(tokenizer, Tokenizer)
    return Stream(Session(directory[STREAM_NAME], device="cpu"), directory.config, tokenizer)


@cache
def _directory(rule: str) -> Directory:
    """Returns the streaming bundle of the tests, with another tokenizer and other words of the same number."""
    bundle = read_directory(BUNDLE)
    name, _, marks = rule.partition(" ")
    if name == "bytes":
        return bundle
    config = TokenizerConfig(20, True, True, "batch", "left", "left", rule="unicode-14", marks=bool(marks))
    words = [word.encode() for word in (*_WORDS, *_KNOWN)]
    words[-2:] = [b"!", b"?"] if marks else words[-2:]
    vocabulary = Vocabulary((*SPECIAL_TOKENS, *words), find_rule(config))
    files = {**bundle.files, VOCABULARY_NAME: vocabulary.to_bytes()}
    return dataclasses.replace(bundle, config=dataclasses.replace(bundle.config, tokenizer=config), files=files)


def _cut(text: bytes, places: Sequence[int]) -> Chunks:
    edges = [0, *places, len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]
