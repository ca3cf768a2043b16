from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.errors import ModelError
from rnnx.samples import TaggedSample, tagged_samples_from_json, tagged_samples_to_json

WORDS = st.tuples(st.binary(), st.sampled_from(["NOUN", "X"]), st.floats(0, 1).map(lambda p: round(p, 6)))


@given(st.lists(st.lists(WORDS, min_size=1)))
def test_tagged_samples_survive_their_file(sentences: list[list[tuple[bytes, str, float]]]) -> None:
    samples = [
        TaggedSample(tuple(w for w, _, _ in s), tuple(t for _, t, _ in s), tuple(p for _, _, p in s)) for s in sentences
    ]
    assert tagged_samples_from_json(tagged_samples_to_json(samples)) == samples


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"{}x", "not a list of words"),
        (b'[{"words": ["a"]}]', "not a list of words"),
        (b'[{"words": ["a"], "tags": ["X", "X"], "probabilities": [1]}]', "as many tags"),
    ],
)
def test_broken_samples_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        tagged_samples_from_json(data)
