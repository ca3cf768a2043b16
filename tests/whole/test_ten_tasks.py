"""Tests of the benchmark of ten tasks: what it reads, and what its table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.training.label_sets import LabelSetTexts, measure_peer, read_cedr
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
    assert (found.accuracy, found.cpu_s) == (0.75, 1.5)
    assert found.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3)


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
    assert len(TASKS) == 10


def test_several_labels_are_read_and_a_peer_gets_the_better_thresholds(tmp_path: Path) -> None:
    (tmp_path / "cedr").mkdir()
    content = "text,labels,source\njoy,[0],x\nfear and grief,[1 3],x\nhouse,[],x\n"
    for part in ("train", "test"):
        (tmp_path / "cedr" / f"cedr-main-{part}.csv").write_text(content, encoding="utf-8")
    texts = read_cedr(tmp_path)
    assert texts.labels == ("0", "1", "3")
    assert texts.train == [(("0",), "joy"), (("1", "3"), "fear and grief"), ((), "house")]
    assert texts.majority == pytest.approx(2 / 6)
    # The right probability of each label is 0.4, of the others 0.1: no label is given from 0.5 on.
    shy = measure_peer(
        LabelSetTexts(texts.train * 20, texts.test, texts.labels),
        lambda rows, _, test: np.where(rows.has_label(test), 0.4, 0.1),
    )
    assert (shy.accuracy, shy.macro_f1) == (1.0, 1.0)
