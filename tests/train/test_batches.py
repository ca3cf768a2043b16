from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.config import TokenizerConfig
from rnnx.text import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train.batches import Batches, TextSource

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
    for ids, labels in make(100, by_length=by_length, seed=seed):
        assert ids.shape[0] == labels.shape[0] <= 8
        assert (ids.max(axis=1) == labels[:, 0] + 1).all()  # row i is filled with i + 1
        seen += labels[:, 0].tolist()
    assert sorted(seen) == list(range(100))


def test_batches_of_similar_length_hold_less_padding() -> None:
    padding = {
        by_length: sum(int((ids == 0).sum()) for ids, _ in make(400, by_length=by_length, seed=3))
        for by_length in (True, False)
    }
    assert padding[True] < padding[False] / 4


def test_the_order_is_new_each_epoch_and_the_same_for_a_seed() -> None:
    first, second = make(100, by_length=True, seed=3), make(100, by_length=True, seed=3)
    order = [labels.tolist() for _, labels in first]
    assert order == [labels.tolist() for _, labels in second]
    assert order != [labels.tolist() for _, labels in first]


def test_keras_is_told_that_lengths_vary() -> None:
    """The first batches all have the same length here, and a later one has not."""
    rows = [np.ones(40, np.int32)] * 32 + [np.ones(7, np.int32)] * 8
    batches = Batches(TextSource(rows, np.zeros(40, np.int32), TOKENIZER), batch_size=8, by_length=False, seed=None)
    assert [ids.shape for ids, _ in batches.as_tf()] == [(8, 40)] * 4 + [(8, 7)]
    assert int(batches.as_tf().cardinality()) == len(batches) == 5
