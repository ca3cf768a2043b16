"""Tests that the shipped model reads a line in the same way however its marks are written."""

from __future__ import annotations

import pytest

import rnnx
from rnnx.infer.predictor import Predictor

NEGATIONS = (
    "I don't like this film",
    "We didn't laugh, not once",
    "You can't take it seriously",
    "The ending wasn't good",
    "She doesn't act well at all",
    "I wouldn't watch it again",
    "They aren't believable",
    "It isn't great",
)
PAIRS = (
    ("a superb\u2014moving film", "a superb - moving film"),
    ("A boring film\U0001f4a9", "A boring film"),
    ("A \u201cgreat\u201d film", 'A "great" film'),
    ("dreadful\u2026", "dreadful..."),
    ("Dreadful\u00a0dialogue", "Dreadful dialogue"),
    ("Superb cast\uff01", "Superb cast!"),
)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return rnnx.load("imdb")


@pytest.mark.parametrize("line", NEGATIONS)
def test_a_curly_apostrophe_answers_as_a_straight_one(predictor: Predictor, line: str) -> None:
    straight, curly = predictor.predict([line, line.replace("'", "\u2019")])
    assert (curly.label, curly.tokens) == (straight.label, straight.tokens)
    assert curly.probs == pytest.approx(straight.probs, abs=1e-12)


@pytest.mark.parametrize(("written", "plain"), PAIRS)
def test_dashes_marks_and_emoji_separate_words(predictor: Predictor, written: str, plain: str) -> None:
    found, expected = predictor.predict([written, plain])
    assert found.label == expected.label
