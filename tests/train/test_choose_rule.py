"""Tests that the punctuation marks are words where they say something about the labels, and nowhere else."""

from __future__ import annotations

import dataclasses
from typing import get_args

import numpy as np
import pytest

from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.datasets import Dataset, LabelSetDataset, RatingDataset
from rnnx.train import choose_rule as module
from rnnx.train.choose_rule import choose_rule

CONFIG = TokenizerConfig(600, True, True, "batch", "left", "left", "unicode-14")
# Each label has marks and words of its own; the others say nothing.
MARKS, WORDS = {"happy": " :)", "sad": " :(", "calm": "."}, {"happy": " great", "sad": " awful", "calm": " flat"}


def draw(endings: dict[str, str], count: int = 400) -> list[tuple[bytes, str]]:
    """Draws texts of the same words, which end by their label."""
    rng = np.random.default_rng(8)
    labels = rng.choice(list(endings), count)
    words = [f"w{i}" for i in range(30)]
    return [(" ".join(rng.choice(words, 6)).encode() + endings[label].encode(), str(label)) for label in labels]


def test_marks_that_tell_the_label_are_words() -> None:
    assert choose_rule(Dataset.from_pairs("faces", draw(MARKS)), CONFIG) == "unicode-14-marks"


def test_marks_that_say_no_more_than_the_words_are_dropped() -> None:
    both = {label: WORDS[label] + MARKS[label] for label in MARKS}
    for endings in (WORDS, both, dict.fromkeys(MARKS, " !?")):
        assert choose_rule(Dataset.from_pairs("words", draw(endings)), CONFIG) == "unicode-14"


def test_several_labels_per_text_are_looked_at_one_by_one() -> None:
    def with_sets(endings: dict[str, str]) -> LabelSetDataset:
        pairs = [(text, () if label == "calm" else (label,)) for text, label in draw(endings)]
        return LabelSetDataset.from_pairs("sets", pairs)

    assert choose_rule(with_sets(MARKS), CONFIG) == "unicode-14-marks"
    assert choose_rule(with_sets(WORDS), CONFIG) == "unicode-14"


def test_a_file_sorted_by_label_is_seen_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TEXTS", 100)
    pairs = sorted(draw(MARKS), key=lambda pair: pair[1])
    assert choose_rule(Dataset.from_pairs("sorted", pairs), CONFIG) == "unicode-14-marks"


@pytest.mark.parametrize("rule", [name for name in get_args(TextRuleName) if name != "unicode-14"])
def test_a_recipe_with_another_rule_keeps_it(rule: TextRuleName) -> None:
    config = dataclasses.replace(CONFIG, rule=rule)
    assert choose_rule(Dataset.from_pairs("faces", draw(MARKS)), config) == rule


def test_ratings_and_too_many_labels_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stars = {"happy": 5.0, "sad": 1.0, "calm": 3.0}
    ratings = RatingDataset.from_pairs("stars", [(text, stars[label]) for text, label in draw(MARKS)])
    assert choose_rule(ratings, CONFIG) == "unicode-14"
    monkeypatch.setattr(module, "_MOST_LABELS", 2)
    assert choose_rule(Dataset.from_pairs("faces", draw(MARKS)), CONFIG) == "unicode-14"


def test_a_few_texts_change_nothing() -> None:
    assert choose_rule(Dataset.from_pairs("few", draw(MARKS, 399)), CONFIG) == "unicode-14"


def test_texts_without_words_change_nothing() -> None:
    pairs = [(b"" if i % 3 else b"one", str(i % 2)) for i in range(400)]
    assert choose_rule(Dataset.from_pairs("empty", pairs), CONFIG) == "unicode-14"
