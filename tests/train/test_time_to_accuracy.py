"""Tests `bench.training.time_to_accuracy` on a few reviews: three trainings run, and the figures are theirs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_each_training_is_timed_to_the_accuracy(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    for label, word in (("pos", "fine"), ("neg", "dull")):
        folder = tmp_path / "aclImdb" / "train" / label
        folder.mkdir(parents=True)
        for i in range(320):
            (folder / f"{i}_1.txt").write_text(f"a {word} film " * (1 + i % 5), encoding="utf-8")
    script = [sys.executable, "-m", "bench.training.time_to_accuracy", "--data-dir", str(tmp_path)]
    command = [*script, "--target", "0.5", "--save", "--out", str(tmp_path / "results")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)  # noqa: S603  # ours
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    results = json.loads((tmp_path / "results" / "training.json").read_text(encoding="utf-8"))
    assert (results["training_texts"], results["validation_texts"]) == (512, 128)
    trainings = results["trainings"]
    assert [training["share"] for training in trainings] == [1.0, 1.0, 0.25]
    for training in trainings:
        count = len(training["accuracy"])
        assert count > 1 / training["share"]
        assert max(training["accuracy"]) >= 0.5
        assert count == len(training["ended_s"]) == len(training["training_s"])
        assert sorted(training["ended_s"]) == training["ended_s"]
        assert 0 < sum(training["training_s"]) < training["ended_s"][-1]
    rows = (tmp_path / "results" / "training.md").read_text(encoding="utf-8").splitlines()
    assert sum("| 1 of 1 |" in row for row in rows) == 3
