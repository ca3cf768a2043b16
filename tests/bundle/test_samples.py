from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.bundle.samples import (
    SeriesSample,
    TaggedSample,
    series_samples_from_json,
    series_samples_to_json,
    tagged_samples_from_json,
    tagged_samples_to_json,
)
from rnnx.errors import ModelError

WORDS = st.tuples(st.binary(), st.sampled_from(["NOUN", "X"]), st.floats(0, 1).map(lambda p: round(p, 6)))


@given(st.lists(st.lists(WORDS, min_size=1)))
def test_tagged_samples_are_read_back_as_they_were_written(sentences: list[list[tuple[bytes, str, float]]]) -> None:
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


def test_sequences_are_read_back_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(0, 1, (5, 2)) * 10.0 ** rng.integers(-30, 30, (5, 2))).astype(np.float32)
    samples = [
        SeriesSample.of(x, np.array([0.25], np.float32), ("neg", "pos")),
        SeriesSample.of(x[:1], np.array([0.25, 0.5, 0.25], np.float32), ("a", "b", "c")),
        SeriesSample.of(x, np.array([1e-30, -3.5], np.float32), ()),
    ]
    assert samples[0].probs == {"neg": 0.75, "pos": 0.25}
    for before, after in zip(samples, series_samples_from_json(series_samples_to_json(samples)), strict=True):
        assert np.array_equal(before.x, after.x)
        assert (before.probs, before.values) == (after.probs, after.values)


@pytest.mark.parametrize(
    "data",
    [b"[", b"[1]", b'[{"x": [1, 2]}]', b'[{"x": []}]', b'[{"probs": {}}]', b'[{"x": [["a"]]}]', b'[{"x": [[1e39]]}]'],
)
def test_broken_sequences_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match="samples: "):
        series_samples_from_json(data)
