"""What must not matter: that it passes where nothing does, and fails where something does."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.invariance import Run, compare_answers, compare_forms, compare_ways
from rnnx.propagation import decide
from rnnx.reference import Dense, Embedding, Network, Node, SimpleRNN

RNG = np.random.default_rng(0)
IDS = np.array([[0, 0, 3, 4, 5], [1, 2, 3, 8, 7], [0, 0, 0, 0, 2]], np.int32)


def network(*, mask_zero: bool) -> Network:
    def draw(*shape: int) -> np.ndarray:
        return RNG.normal(size=shape)

    return Network(
        [
            Node("embedding", Embedding(draw(9, 4), mask_zero=mask_zero), ("ids",)),
            Node("rnn", SimpleRNN(draw(4, 6), draw(6, 6), draw(6), "tanh", return_sequences=False), ("embedding",)),
            Node("probs", Dense(draw(6, 1), draw(1), "sigmoid"), ("rnn",)),
        ]
    )


MASKED, UNMASKED = network(mask_zero=True), network(mask_zero=False)


def run_masked(ids: np.ndarray) -> np.ndarray:
    return MASKED.predict(ids).astype(np.float32)


def test_a_right_file_does_not_mind() -> None:
    reports = compare_ways("file", MASKED, run_masked, IDS, decide(MASKED, IDS))
    assert {report.way for report in reports} == {
        "each row alone",
        "the rows in another order",
        "the batch in halves",
        "each row without its padding",
        "more padding in front",
        "more padding at the end",
    }
    assert all(report.passed for report in reports)


def test_padding_is_not_varied_where_the_network_sees_it() -> None:
    reports = compare_ways(
        "file", UNMASKED, lambda ids: UNMASKED.predict(ids).astype(np.float32), IDS, decide(UNMASKED, IDS)
    )
    assert len(reports) == 3
    assert all(report.passed for report in reports)


@pytest.mark.parametrize(
    ("way", "run"),
    [
        ("each row without its padding", lambda ids: UNMASKED.predict(ids).astype(np.float32)),
        ("more padding at the end", lambda ids: run_masked(ids) + np.float32(1e-3 * (ids[0, -1] == 0))),
        ("each row alone", lambda ids: run_masked(ids) + np.float32(1e-3 * (len(ids) == 1))),
        ("the rows in another order", lambda ids: run_masked(ids) + np.float32(1e-3) * np.arange(len(ids))[:, None]),
        ("the batch in halves", lambda ids: run_masked(ids) + np.float32(1e-3 * (len(ids) == 2))),
    ],
)
def test_a_file_that_minds_fails_there(way: str, run: Run) -> None:
    reports = compare_ways("file", MASKED, run, IDS, decide(MASKED, IDS))
    assert way in {report.way for report in reports if not report.passed}


def test_forms_are_compared_with_the_first() -> None:
    bounds, probs = decide(MASKED, IDS), run_masked(IDS)
    near, far = compare_forms(
        {"a": probs, "b": np.nextafter(probs, np.float32(2)), "c": probs + np.float32(0.01)}, bounds
    )
    assert (near.way, near.has_same_bits, near.passed) == ("beside a", False, True)
    assert not far.passed


def test_nan_and_another_shape_fail() -> None:
    bounds, probs = decide(MASKED, IDS), run_masked(IDS)
    broken = probs.copy()
    broken[1] = np.nan
    assert not compare_answers("file", "way", probs, broken, bounds).passed
    assert not compare_answers("file", "way", probs, probs[:, 0], bounds).passed
    assert compare_answers("file", "way", probs, probs, bounds).has_same_bits
