from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnx.datasets import Dataset, Examples, split_by_group, split_by_label
from rnnx.errors import DataError


@given(
    st.lists(st.integers(0, 2), min_size=6).filter(lambda ids: all(ids.count(i) >= 2 for i in (0, 1, 2))),
    st.integers(0, 9),
)
def test_a_split_is_stratified_disjoint_complete_and_repeatable(ids: list[int], seed: int) -> None:
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
    with pytest.raises(DataError, match="label 1 has a single training example"):
        split_by_label(Examples([b"a", b"b", b"c"], np.array([0, 0, 1], np.int32)), 0.2, 0)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from("abcdefgh")), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 9),
)
def test_no_group_is_in_both_parts(pairs: list[tuple[int, str]], fraction: float, seed: int) -> None:
    """A split has every label in both parts and holds out about the requested share, or it is refused."""
    ids, groups = [label_id for label_id, _ in pairs], [group for _, group in pairs]
    examples = Examples([b"%d" % i for i in range(len(ids))], np.array(ids, np.int32), groups)
    try:
        kept, held_out = split_by_group(examples, fraction, seed)
    except DataError as error:
        assert "too few groups" in str(error)  # noqa: PT017  # both outcomes are right; the drawn groups decide
        return
    assert set(kept.groups or ()).isdisjoint(held_out.groups or ())
    assert set(kept.label_ids.tolist()) == set(held_out.label_ids.tolist()) == set(ids)
    wanted, largest = min(max(round(len(ids) * fraction), 1), len(ids) - 1), max(map(groups.count, groups))
    assert wanted <= len(held_out) < wanted + largest, "only the last group may exceed the requested share"
    again = split_by_group(examples, fraction, seed)[1]
    assert (again.texts, again.groups) == (held_out.texts, held_out.groups)
    for part in (kept, held_out):
        indices = [int(text) for text in part.texts]
        assert indices == sorted(indices)
        assert [(ids[i], groups[i]) for i in indices] == list(zip(part.label_ids, part.groups or (), strict=True))
    assert sorted([*kept.texts, *held_out.texts]) == sorted(examples.texts)


def test_another_seed_holds_out_other_groups() -> None:
    examples = Examples([b""] * 400, np.arange(400, dtype=np.int32) % 2, [str(i // 4) for i in range(400)])
    first, second = (set(split_by_group(examples, 0.1, seed)[1].groups or ()) for seed in (0, 1))
    assert len(first) == len(second) == 10
    assert first != second


def test_one_group_cannot_be_split_by_group() -> None:
    examples = Examples([b"a", b"b", b"c", b"d"], np.array([0, 1, 0, 1], np.int32), ["film"] * 4)
    with pytest.raises(
        DataError, match="the split by group leaves a part without a text of label 0; there are too few groups"
    ):
        split_by_group(examples, 0.5, 0)
    with pytest.raises(ValueError, match="no groups"):
        split_by_group(Examples([b"a"], np.zeros(1, np.int32)), 0.5, 0)


def test_labels_are_sorted_and_must_be_printable() -> None:
    data = Dataset.from_pairs("d", [(b"x", "pos"), (b"y", "neg")])
    assert data.labels == ("neg", "pos")
    assert data.train.label_ids.tolist() == [1, 0]
    assert data.test is None
    with pytest.raises(DataError, match=r"the label 'p\\x1bs' is not printable"):
        Dataset.from_pairs("d", [(b"x", "p\x1bs"), (b"y", "pos")])
    with pytest.raises(DataError, match="no labelled text"):
        Dataset.from_pairs("d", [])
    with pytest.raises(DataError, match="labels that the training part lacks: odd"):
        Dataset.from_pairs("d", [(b"x", "pos"), (b"y", "neg")], [(b"z", "odd")])


def test_the_test_part_is_chosen_if_there_is_one() -> None:
    pairs = [(b"x", "pos"), (b"y", "neg")]
    assert Dataset.from_pairs("d", pairs).choose(None)[1] == "train"
    assert Dataset.from_pairs("d", pairs, pairs[:1]).choose(None)[1] == "test"
    assert len(Dataset.from_pairs("d", pairs, pairs[:1]).choose("train")[0]) == 2
    with pytest.raises(DataError, match="no test part"):
        Dataset.from_pairs("d", pairs).choose("test")
