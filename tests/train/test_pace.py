from __future__ import annotations

import pytest

from rnnx.train.pace import Pace, in_words


def test_long_batches_count_for_more_than_short_ones() -> None:
    """Ten short batches of a hundred are done in a tenth of their time: a hundredth of the whole, not a tenth."""
    pace = Pace({"train": 10 * 100 + 90 * 1000})
    for _ in range(10):
        pace.add("train", 100, 0.2)
    assert pace.seconds_left == pytest.approx(90 * 2.0)


def test_a_compilation_says_nothing_of_the_rest() -> None:
    pace = Pace({"train": 1200})
    pace.add("train", 100, None)
    for _ in range(10):
        pace.add("train", 100, 0.2)
    assert pace.seconds_left == pytest.approx(0.2)


def test_validation_costs_as_much_as_training_until_it_was_measured() -> None:
    pace = Pace({"train": 2000, "validation": 500})
    for _ in range(10):
        pace.add("train", 100, 0.2)
    assert pace.seconds_left == pytest.approx(1000 * 0.002 + 500 * 0.002)
    pace.add("validation", 100, 0.05)
    assert pace.seconds_left == pytest.approx(1000 * 0.002 + 400 * 0.0005)


def test_other_work_is_told_by_the_dearest_part() -> None:
    pace = Pace({"train": 2000, "validation": 500})
    for _ in range(9):
        pace.add("train", 100, 0.2)
    assert pace.seconds_for(50) is None
    pace.add("validation", 100, 0.05)
    assert pace.seconds_for(50) == pytest.approx(0.1)


@pytest.mark.parametrize(("batches", "seconds"), [(9, 5.0), (100, 0.009)])
def test_too_little_was_seen_to_tell(batches: int, seconds: float) -> None:
    pace = Pace({"train": 10_000})
    for _ in range(batches):
        pace.add("train", 10, seconds)
    assert pace.seconds_left is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (99, "99 s"), (100, "2 min"), (240, "4 min"), (7170, "2 h 0 min"), (7500, "2 h 5 min")],
)
def test_times_are_told_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert words == in_words(seconds)
