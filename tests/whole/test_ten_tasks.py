"""Tests of the benchmark of ten tasks: what it reads, and what its table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.training.peers import Scores, score
from bench.training.series_sets import read_series, write_npz
from bench.training.ten_tasks import TASKS, count_level, to_markdown
from rnnx.datasets import load_series

TS = """# a comment
@data
1,2,3:4,5,6:a
7,8:9,10:b
"""


def test_scores_are_those_of_the_definition() -> None:
    found = score(["a", "a", "b", "c"], ["a", "a", "b", "b"], 1.5)
    assert list(found) == [0.75, pytest.approx((1 + 2 / 3 + 0) / 3), 1.5]


def test_series_are_read_as_they_are_published_and_by_rnnx(tmp_path: Path) -> None:
    (tmp_path / "series_ts").mkdir()
    for part in ("TRAIN", "TEST"):
        (tmp_path / "series_ts" / f"X_{part}.ts").write_text(TS, encoding="utf-8")
    series = read_series(tmp_path, "X")
    assert [row.tolist() for row in series.train] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [8, 10]]]
    assert series.test_labels == ["a", "b"]
    assert series.majority == 0.5
    write_npz(tmp_path / "x.npz", series)
    data = load_series(str(tmp_path / "x.npz"), "classification")
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(data.train.rows, series.train, strict=True))


def test_the_table_has_the_best_of_the_others_and_the_distance() -> None:
    scores = {"rnnx": Scores(0.9, 0.8, 3), "words": Scores(0.91, 0.7, 1), "fastText": None}
    assert to_markdown({"x": (0.5, scores)}).splitlines()[2] == (
        "| x | 0.5000 | 0.9000 / 0.8000, 3 s | 0.9100 | -1.00 | words: 0.9100 / 0.7000, 1 s |"
    )
    assert count_level([0.01, -0.005, -0.006, -0.03]) == (2, 1)
    assert len(TASKS) == 9
