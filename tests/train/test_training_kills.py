"""Tests `rnnx train` under SIGKILL: after any kill, the old run or the new one is there, and complete."""

from __future__ import annotations

import csv
import json
import os
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.bundle.directory import HISTORY_NAME, read_directory
from rnnx.train.checkpoint import checkpoint_place
from tests.processes import start
from tests.texts import make_texts

pytestmark = [
    pytest.mark.train,
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork"),
]

# The number of kills; RNNX_KILLS=60 takes about fifteen minutes.
KILLS = int(os.environ.get("RNNX_KILLS", "2"))
# After this many kills, one training may finish and must leave no temporary files. The next one starts without a run.
ENDS_EVERY = 10


class Trainings:
    """Trains again and again into one folder, each time with another seed; most trainings are killed."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "runs" / "run"
        self.out.parent.mkdir()
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.log = folder / "log.txt"
        self.seed = 0
        table = folder / "texts.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "label"), *((t.decode(), label) for t, label in make_texts(200, 1))])
        self._arguments = ["train", str(table), "--epochs", "4", "--recipe", "article", "--out", str(self.out)]

    def start(self, *, is_resumed: bool) -> Any:
        """Starts a training in a process of its own: of a new seed, or once more that of the last one."""
        self.seed += not is_resumed
        more = [] if is_resumed else ["--fresh"]
        return start([*self._arguments, "--seed", str(self.seed), *more], self.log, self.scratch)

    def hidden(self) -> set[str]:
        """Returns the names of all files next to the run and its checkpoint."""
        return {path.name for path in self.out.parent.iterdir()} - {self.out.name, checkpoint_place(self.out).name}

    def seed_of_run(self) -> int | None:
        """Returns the seed of the run, which must be complete, or None if there is no run."""
        if not self.out.exists():
            return None
        run = read_directory(self.out)
        assert run.config.training is not None
        assert len(json.loads(run[HISTORY_NAME])) == run.config.training.epochs
        return run.config.training.seed

    def kill(self, seconds: float, *, is_resumed: bool) -> str:
        """Starts a training and kills it after some seconds.

        Returns:
            What the kill has left, next to the old run or the new one.
        """
        before = self.seed_of_run()
        process = self.start(is_resumed=is_resumed)
        process.join(seconds)
        process.kill()
        process.join()
        if process.exitcode == 0:
            return "too late"
        assert process.exitcode == -9, self.log.read_text(encoding="utf-8")
        after = self.seed_of_run()
        assert after in (before, self.seed), "neither the old run nor the new one"
        assert len(self.hidden()) <= 1, "a new training should remove what an earlier kill left"
        which = "the new run" if after != before else "no run" if before is None else "the old run"
        return which + (" and a checkpoint" if checkpoint_place(self.out).exists() else "")

    def end(self) -> float:
        """Lets a training finish, which must leave no temporary files; returns its seconds."""
        began = time.monotonic()
        process = self.start(is_resumed=False)
        process.join()
        assert process.exitcode == 0, self.log.read_text(encoding="utf-8")
        assert self.seed_of_run() == self.seed
        assert not checkpoint_place(self.out).exists()
        assert not self.hidden()
        assert not list(self.scratch.iterdir())
        return time.monotonic() - began


def test_a_kill_leaves_the_old_run_or_the_new_one(tmp_path: Path) -> None:
    """A third of the trainings resume the one that was killed before; the others are of another seed."""
    trainings = Trainings(tmp_path)
    start(["--help"], tmp_path / "help.log").join()  # this starts the server that later trainings fork from
    whole = trainings.end()
    rng = np.random.default_rng([5, KILLS])
    left: Counter[str] = Counter()
    is_killed = False
    while left.total() < KILLS:
        is_resumed = is_killed and rng.random() < 1 / 3
        where = trainings.kill(rng.uniform(0, whole), is_resumed=is_resumed)
        is_killed = where != "too late"
        if not is_killed:
            continue
        left[where] += 1
        print(f"{left.total()} kills left {dict(left)}", flush=True)  # noqa: T201
        if left.total() % ENDS_EVERY == 0:
            whole = trainings.end()
            is_killed = False
            shutil.rmtree(trainings.out)
    trainings.end()
