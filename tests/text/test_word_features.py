from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.text.word_features import features_of, lower, shape

SLOTS = ("SUFFIX1", "SUFFIX3", "PREFIX2", "SHAPE")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("Walking", ["SUFFIX1=g", "SUFFIX3=ing", "PREFIX2=wa", "SHAPE=Xxx"]),
        ("a", ["SUFFIX1=a", "SUFFIX3=a", "PREFIX2=a", "SHAPE=x"]),
        ("Éclat", ["SUFFIX1=t", "SUFFIX3=lat", "PREFIX2=Éc", "SHAPE=uuxx"]),
        ("naïveté", ["SUFFIX1=é", "SUFFIX3=eté", "PREFIX2=na", "SHAPE=xxuuxxuu"]),
        ("U.S.", ["SUFFIX1=.", "SUFFIX3=.s.", "PREFIX2=u.", "SHAPE=X.X."]),
        ("1990s", ["SUFFIX1=s", "SUFFIX3=90s", "PREFIX2=19", "SHAPE=ddx"]),
        ("12/31/2000", ["SUFFIX1=0", "SUFFIX3=000", "PREFIX2=12", "SHAPE=dd/dd/dd"]),
        ("PG&E", ["SUFFIX1=e", "SUFFIX3=g&e", "PREFIX2=pg", "SHAPE=XX&X"]),
        ("....", ["SUFFIX1=.", "SUFFIX3=...", "PREFIX2=..", "SHAPE=.."]),
    ],
)
def test_features_of_a_word_computed_by_hand(word: str, expected: list[str]) -> None:
    assert features_of(word.encode(), SLOTS) == [feature.encode() for feature in expected]


def test_bytes_that_are_not_utf8_form_characters_too() -> None:
    assert features_of(b"\xa9\xa9ab\xff", ("PREFIX1", "PREFIX2", "SUFFIX2")) == [
        b"PREFIX1=\xa9\xa9",
        b"PREFIX2=\xa9\xa9a",
        b"SUFFIX2=b\xff",
    ]


@given(st.text(min_size=1))
def test_features_count_the_characters_of_utf8(word: str) -> None:
    data = word.encode("utf-8", "surrogatepass")
    lowered = "".join(c.lower() if c.isascii() else c for c in word)
    expected = [f"SUFFIX2={lowered[-2:]}", f"PREFIX3={lowered[:3]}"]
    actual = features_of(data, ("SUFFIX2", "PREFIX3"))
    assert actual == [feature.encode("utf-8", "surrogatepass") for feature in expected]


@given(st.binary(min_size=1))
def test_no_feature_can_be_a_word(word: bytes) -> None:
    features = features_of(word, SLOTS)
    assert len(features) == len(SLOTS)
    assert all(lower(feature) != feature for feature in features)
    assert lower(lower(word)) == lower(word)
    assert 1 <= len(shape(word)) <= 8
