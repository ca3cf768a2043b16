"""Tests that batches hold every example once, in the order of seed and epoch, with as little padding as needed."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.bundle.config import TokenizerConfig
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train.batches import Batches, SoftTextSource, TextSource

pytestmark = pytest.mark.train

CONFIG = TokenizerConfig(40, True, True, "batch", "left", "left")
TOKENIZER = Tokenizer(CONFIG, Vocabulary((*SPECIAL_TOKENS, b"a")))


def make(count: int, *, by_length: bool, seed: int | None) -> Batches:
    rng = np.random.default_rng(1)
    rows = [np.full(rng.integers(1, 40), i + 1, np.int32) for i in range(count)]
    source = TextSource(rows, np.arange(count, dtype=np.int32), TOKENIZER)
    return Batches(source, batch_size=8, by_length=by_length, seed=seed)


@pytest.mark.parametrize("by_length", [True, False])
@pytest.mark.parametrize("seed", [None, 3])
def test_an_epoch_holds_every_row_once_with_its_label(by_length: bool, seed: int | None) -> None:
    seen = []
    for ids, labels in make(100, by_length=by_length, seed=seed).epoch(1):
        assert ids.shape[0] == labels.shape[0] <= 8
        assert (ids.max(axis=1) == labels[:, 0] + 1).all()  # all ids of row i are i + 1
        seen += labels[:, 0].tolist()
    assert sorted(seen) == list(range(100))


def test_batches_of_similar_length_hold_less_padding() -> None:
    padding = {
        by_length: sum(int((ids == 0).sum()) for ids, _ in make(400, by_length=by_length, seed=3).epoch(1))
        for by_length in (True, False)
    }
    assert padding[True] < padding[False] / 4


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(batches: Batches, epoch: int) -> list[list[list[int]]]:
        return [labels.tolist() for _, labels in batches.epoch(epoch)]

    once = make(100, by_length=True, seed=3)
    first, second = order(once, 1), order(once, 2)
    assert first != second
    assert first != order(make(100, by_length=True, seed=4), 1)
    assert second == order(make(100, by_length=True, seed=3), 2), "here, no earlier epoch was drawn"


def test_keras_gets_one_epoch_after_the_other() -> None:
    batches = make(20, by_length=True, seed=3)
    expected = [labels.tolist() for epoch in (4, 5) for _, labels in batches.epoch(epoch)]
    assert expected == [labels.tolist() for _, labels in batches.as_tf((4, 5)).as_numpy_iterator()]


@pytest.mark.parametrize("pad_to", ["batch", "max_length"])
def test_the_cost_of_a_batch_is_its_number_of_ids(pad_to: Literal["batch", "max_length"]) -> None:
    tokenizer = Tokenizer(dataclasses.replace(CONFIG, pad_to=pad_to), TOKENIZER.vocabulary)
    rows = [np.ones(length, np.int32) for length in (3, 9, 1, 17, 2)]
    source = TextSource(rows, np.zeros(5, np.int32), tokenizer)
    batches = Batches(source, batch_size=2, by_length=False, seed=5)
    assert [ids.size for ids, _ in batches.epoch(2)] == batches.steps(2)


def test_keras_knows_that_lengths_vary() -> None:
    """The first batches all have the same length here, but a later one has another."""
    rows = [np.ones(40, np.int32)] * 32 + [np.ones(7, np.int32)] * 8
    batches = Batches(TextSource(rows, np.zeros(40, np.int32), TOKENIZER), batch_size=8, by_length=False, seed=None)
    assert [ids.shape for ids, _ in batches.as_tf()] == [(8, 40)] * 4 + [(8, 7)]
    assert int(batches.as_tf().cardinality()) == len(batches) == 5


@given(st.lists(st.integers(0, 600), min_size=1, max_size=60), st.integers(1, 9))
def test_a_batch_is_only_as_long_as_its_longest_text(lengths: list[int], batch_size: int) -> None:
    tokenizer = Tokenizer(dataclasses.replace(CONFIG, max_length=600), TOKENIZER.vocabulary)
    source = TextSource([np.ones(n, np.int32) for n in lengths], np.zeros(len(lengths), np.int32), tokenizer)
    for ids, _ in Batches(source, batch_size=batch_size, by_length=True, seed=1).epoch(1):
        assert ids.shape[1] == max(int((ids > 0).sum(axis=1).max()), 1)


def test_the_probabilities_of_a_teacher_stay_with_their_texts() -> None:
    rows = [np.full(n, n, np.int32) for n in (3, 11, 5, 7)]
    probs = np.array([[0.3], [0.11], [0.5], [0.7]], np.float32)
    source = SoftTextSource(TextSource(rows, np.zeros(4, np.int32), TOKENIZER), probs)
    assert source.lengths == [3, 11, 5, 7]
    batches = Batches(source, batch_size=2, by_length=True, seed=3)
    seen = {int(ids[i].max()): float(soft[0]) for ids, batch in batches.epoch(1) for i, soft in enumerate(batch)}
    assert seen == {len(row): float(soft[0]) for row, soft in zip(rows, probs, strict=True)}
    for (_, expected), (_, actual) in zip(batches.epoch(1), batches.as_tf().as_numpy_iterator(), strict=True):
        np.testing.assert_array_equal(expected, actual)
