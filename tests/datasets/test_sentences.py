from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.datasets import TaggedDataset, split_sentences
from rnnx.datasets.sentences import TaggedWords
from rnnx.errors import DataError
from tests.treebank import make_sentences


@given(st.integers(2, 60), st.integers(0, 9))
def test_a_split_is_disjoint_complete_and_repeatable(count: int, seed: int) -> None:
    sentences = [TaggedWords((b"%d" % i, b"."), ("X", "XY"[i % 2])) for i in range(count)]
    everything = TaggedDataset.from_parts("d", sentences).train
    kept, held_out = split_sentences(everything, 0.2, seed)
    assert sorted([*kept.sentences, *held_out.sentences]) == sorted(everything.sentences)
    assert len(held_out) == min(max(round(count * 0.2), 1), count - 1)
    assert split_sentences(everything, 0.2, seed)[1].sentences == held_out.sentences
    for part in (kept, held_out):
        for words, tag_ids in zip(part.sentences, part.tag_ids, strict=True):
            assert tag_ids.tolist() == [0, int(words[0]) % 2]


def test_a_single_sentence_cannot_be_split() -> None:
    with pytest.raises(DataError, match="there is a single tagged sentence; at least two are needed"):
        split_sentences(TaggedDataset.from_parts("d", make_sentences(1, 0)).train, 0.2, 0)


def test_labels_are_collected_from_all_parts() -> None:
    data = TaggedDataset.from_parts("d", [TaggedWords((b"a", b"b"), ("Z", "A"))], (), [TaggedWords((b"a",), ("M",))])
    assert data.labels == ("A", "M", "Z")
    assert data.train.tag_ids[0].tolist() == [2, 0]
    assert data.validation is None
    assert data.choose(None)[1] == "test"
    assert data.summary() == "1 sentences of 2 tagged words"
    with pytest.raises(DataError, match="no tagged sentence"):
        TaggedDataset.from_parts("d", [], make_sentences(2, 0))
