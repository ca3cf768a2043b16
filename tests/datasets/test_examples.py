from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.datasets import Dataset, Examples, split_by_label
from rnnx.errors import DataError


@given(
    st.lists(st.integers(0, 2), min_size=6).filter(lambda ids: all(ids.count(i) >= 2 for i in (0, 1, 2))),
    st.integers(0, 9),
)
def test_a_split_is_stratified_disjoint_whole_and_repeatable(ids: list[int], seed: int) -> None:
    examples = Examples([b"%d" % i for i in range(len(ids))], np.array(ids, np.int32))
    kept, held_out = split_by_label(examples, 0.2, seed)
    assert sorted([*kept.texts, *held_out.texts]) == sorted(examples.texts)
    for label in range(3):
        count = int((held_out.label_ids == label).sum())
        assert count == min(max(round(ids.count(label) * 0.2), 1), ids.count(label) - 1)
    assert split_by_label(examples, 0.2, seed)[1].texts == held_out.texts
    for part in (kept, held_out):
        assert [ids[int(text)] for text in part.texts] == part.label_ids.tolist()


def test_a_label_with_one_text_cannot_be_split() -> None:
    with pytest.raises(DataError, match="single training text"):
        split_by_label(Examples([b"a", b"b", b"c"], np.array([0, 0, 1], np.int32)), 0.2, 0)


def test_labels_are_sorted_and_printable() -> None:
    data = Dataset.from_pairs("d", [(b"x", "pos"), (b"y", "neg")])
    assert data.labels == ("neg", "pos")
    assert data.train.label_ids.tolist() == [1, 0]
    assert data.test is None
    with pytest.raises(DataError, match=r"the label 'p\\x1bs' is not printable"):
        Dataset.from_pairs("d", [(b"x", "p\x1bs"), (b"y", "pos")])
    with pytest.raises(DataError, match="no labelled text"):
        Dataset.from_pairs("d", [])
    with pytest.raises(DataError, match="labels that the training part has not: odd"):
        Dataset.from_pairs("d", [(b"x", "pos"), (b"y", "neg")], [(b"z", "odd")])


def test_the_test_part_is_measured_on_where_there_is_one() -> None:
    pairs = [(b"x", "pos"), (b"y", "neg")]
    assert Dataset.from_pairs("d", pairs).choose(None)[1] == "train"
    assert Dataset.from_pairs("d", pairs, pairs[:1]).choose(None)[1] == "test"
    assert len(Dataset.from_pairs("d", pairs, pairs[:1]).choose("train")[0]) == 2
    with pytest.raises(DataError, match="no test part"):
        Dataset.from_pairs("d", pairs).choose("test")
