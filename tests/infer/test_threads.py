"""Tests that many threads can share a predictor, and get the answers that one thread gets, bit for bit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

import rnnx

THREADS, ROUNDS = 8, 6
WORDS = ("wonderful", "awful", "the", "film", "plot", "it's", "café", "qzx", "and", "dull", ".", "London")


@pytest.fixture(autouse=True)
def impatient_threads() -> Iterator[None]:
    """Makes Python switch threads a thousand times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


def make_batches(seed: int) -> list[list[str]]:
    """Draws batches of short and long texts, from a single text to several batches of the network, with repetitions."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, length)) for length in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 700)]
    sizes = (1, 2, 3, 7, 20, 40)
    return [[texts[i] for i in rng.integers(0, len(texts), size)] for size in sizes]


def ask_at_once(ask: Callable[[list[str]], Any], batches: list[list[str]]) -> list[tuple[int, Any]]:
    """Lets every thread ask for every batch, each in its own order; all threads start at the same time."""
    barrier = Barrier(THREADS)

    def work(who: int) -> list[tuple[int, Any]]:
        barrier.wait(timeout=60)
        order = np.random.default_rng(who).permutation(len(batches) * ROUNDS) % len(batches)
        return [(int(i), ask(batches[i])) for i in order]

    with ThreadPoolExecutor(THREADS) as pool:
        return [answer for answers in pool.map(work, range(THREADS)) for answer in answers]


@pytest.mark.parametrize("name", ["imdb", "imdb-article", "pos"])
def test_many_threads_get_the_answers_of_one(name: str) -> None:
    batches = make_batches(1)[: 3 if name == "pos" else 6]
    alone = rnnx.load(name, batch_size=8)
    expected = [alone.predict(batch) for batch in batches]
    shared = rnnx.load(
        name, batch_size=8, threads=2
    )  # its files are not loaded yet, so the threads also compete for that
    answers = ask_at_once(shared.predict, batches)
    assert len(answers) == THREADS * ROUNDS * len(batches)
    assert all(answer == expected[i] for i, answer in answers)


def test_the_check_finds_state_that_threads_share() -> None:
    kept: list[str] = []

    def ask(batch: list[str]) -> list[str]:
        kept[:] = batch
        time.sleep(0)
        return list(kept)

    batches = make_batches(1)
    assert any(answer != batches[i] for i, answer in ask_at_once(ask, batches))


def test_streams_of_one_predictor_do_not_disturb_each_other(streaming_bundle: Path) -> None:
    predictor = rnnx.load(streaming_bundle)
    texts = [[text] for batch in make_batches(3)[:4] for text in batch]

    def follow(batch: list[str]) -> float:
        stream = predictor.stream()
        for start in range(0, len(batch[0]), 50):
            stream.feed(batch[0][start : start + 50])
        return stream.finish().predictions[0].probability

    expected = [follow(batch) for batch in texts]
    assert all(answer == expected[i] for i, answer in ask_at_once(follow, texts[:4]))
