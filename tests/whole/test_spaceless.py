"""Tests that taggers of Japanese and Thai learn from a treebank and tag plain text: words, tags and sentences."""

from __future__ import annotations

import dataclasses
import io
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.cli import run
from rnnx.datasets import load_sentences
from rnnx.text.word_vocabulary import VocabularySize
from rnnx.train.fit import Observer
from rnnx.train.recipes import TAGGER
from rnnx.train.run import train
from tests.conversions import shared
from tests.spaceless import LANGUAGES, make_spaceless, to_text, write_spaceless

pytestmark = pytest.mark.train


@pytest.mark.parametrize("language", LANGUAGES)
def test_plain_text_is_tagged_as_the_treebank_is(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    recipe = dataclasses.replace(
        TAGGER, vocabulary_size=VocabularySize(100, 300, least_word_count=2, least_feature_count=1), epochs=8
    )
    fitted = train(
        load_sentences(str(write_spaceless(tmp_path, language))), recipe, tmp_path / "run", seed=3, observer=Observer()
    )
    assert fitted.best.validation_score >= 0.98
    with shared():
        assert run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "own")]) == 0
    capsysbinary.readouterr()
    sentences = make_spaceless(language, 20, 9)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(to_text(sentences))))
    assert run(["infer", "--model", str(tmp_path / "own"), "--conllu", "-"]) == 0
    blocks = capsysbinary.readouterr().out.decode().strip().split("\n\n")
    rows = [[line.split("\t") for line in block.splitlines() if line[0] != "#"] for block in blocks]
    assert [[row[1] for row in block] for block in rows] == [
        [word.decode() for word in sentence.words] for sentence in sentences
    ]
    tags = [
        (row[3], tag) for block, s in zip(rows, sentences, strict=True) for row, tag in zip(block, s.tags, strict=True)
    ]
    assert sum(actual == expected for actual, expected in tags) / len(tags) >= 0.98
    # Words stay joined in the text that is written.
    assert blocks[0].splitlines()[1] == f"# text = {b''.join(sentences[0].words).decode()}"
