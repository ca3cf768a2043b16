from __future__ import annotations

import pytest

from rnnx.train.pace import Pace, in_words


def test_long_batches_count_for_more_than_short_ones() -> None:
    """Ten of the hundred batches take a tenth of the time of the others, so they are a hundredth of the work."""
    pace = Pace({"train": 10 * 100 + 90 * 1000})
    for _ in range(10):
        pace.add("train", 100, 0.2)
    assert pace.seconds_left == pytest.approx(90 * 2.0)


def test_the_time_of_a_compilation_is_not_extrapolated() -> None:
    pace = Pace({"train": 1200})
    pace.add("train", 100, None)
    for _ in range(10):
        pace.add("train", 100, 0.2)
    assert pace.seconds_left == pytest.approx(0.2)


def test_validation_is_estimated_as_training_until_it_is_measured() -> None:
    pace = Pace({"train": 2000, "validation": 500})
    for _ in range(10):
        pace.add("train", 100, 0.2)
    assert pace.seconds_left == pytest.approx(1000 * 0.002 + 500 * 0.002)
    pace.add("validation", 100, 0.05)
    assert pace.seconds_left == pytest.approx(1000 * 0.002 + 400 * 0.0005)


def test_other_work_is_estimated_by_the_slowest_part() -> None:
    pace = Pace({"train": 2000, "validation": 500})
    for _ in range(9):
        pace.add("train", 100, 0.2)
    assert pace.seconds_for(50) is None
    pace.add("validation", 100, 0.05)
    assert pace.seconds_for(50) == pytest.approx(0.1)


@pytest.mark.parametrize(("batches", "seconds"), [(9, 5.0), (100, 0.009)])
def test_there_is_no_estimate_after_too_little_work(batches: int, seconds: float) -> None:
    pace = Pace({"train": 10_000})
    for _ in range(batches):
        pace.add("train", 10, seconds)
    assert pace.seconds_left is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (99, "99 s"), (100, "2 min"), (240, "4 min"), (7170, "2 h 0 min"), (7500, "2 h 5 min")],
)
def test_times_are_printed_in_a_fitting_unit(seconds: float, words: str) -> None:
    assert words == in_words(seconds)
