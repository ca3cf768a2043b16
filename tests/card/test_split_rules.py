"""Tests that the rule in the card of a tagger is whole: its patterns, put together again, are those of the code."""

from __future__ import annotations

import dataclasses
import re

import pytest

from rnnx.bundle.config import ModelConfig, WordRuleName
from rnnx.bundle.directory import read_directory
from rnnx.card.card_kinds import card_kind
from rnnx.text import sentence_split, unicode_sentences
from tests.make_bundles import BUNDLES


def blocks_of(card: str) -> list[list[str]]:
    """Returns the lines of each block of patterns."""
    found = re.findall(r"```text\n(.*?)\n *```", card, re.DOTALL)
    return [[line.strip() for line in block.splitlines()] for block in found]


def config_with(rule: WordRuleName, *, joins_hyphens: bool = False) -> ModelConfig:
    config = read_directory(BUNDLES / "words").config
    assert config.words
    changed = dataclasses.replace(config.words, rule=rule, joins_hyphens=joins_hyphens)
    return dataclasses.replace(config, words=changed)


def test_the_patterns_of_bytes_are_those_of_the_code() -> None:
    card = card_kind(config_with("bytes")).use()
    names, space, words, ending, sentence_end = blocks_of(card)
    parts = dict(line.split(" = ", 1) for line in names)

    def whole(pattern: str) -> bytes:
        while filled := re.sub(r"\{([A-Z]+)\}", lambda match: parts[match[1]], pattern):
            if filled == pattern:
                return pattern.encode()
            pattern = filled
        raise AssertionError

    assert b"|".join(map(whole, words)) == sentence_split._WORD.pattern
    assert [whole(line) for line in ending] == [sentence_split._ENDING.pattern]
    assert [whole(line) for line in space] == [sentence_split._WIDE_SPACE.pattern]
    assert [whole(line) for line in sentence_end] == [sentence_split._SENTENCE_END.pattern]
    assert "a word `<pad>` of a text has the id 2" in card


@pytest.mark.parametrize("joins_hyphens", [False, True])
def test_the_patterns_of_every_script_are_those_of_the_code(joins_hyphens: bool) -> None:
    card = card_kind(config_with("unicode-14", joins_hyphens=joins_hyphens)).use()
    classes, words, sentence_end = blocks_of(card)
    splitter = unicode_sentences.SentenceSplitter((), {}, joins_hyphens=joins_hyphens)  # type: ignore[arg-type]
    assert "|".join(words) == re.sub(r"\s", "", splitter._pattern.pattern)
    assert sentence_end == [unicode_sentences._SENTENCE_END.pattern]
    assert len({line[0] for line in classes}) == len(classes) == 10
