"""Tests `rnnx export` under SIGKILL: after any kill, the old or the new bundle is there, and complete."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.datasets import Dataset
from rnnx.train.fit import Observer
from rnnx.train.run import train
from tests.processes import start
from tests.texts import make_texts, tiny_recipe

pytestmark = [
    pytest.mark.train,
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork"),
]

# The number of kills; RNNX_KILLS=200 takes about fifteen minutes.
KILLS = int(os.environ.get("RNNX_KILLS", "4"))
# After this many kills, one export may finish and must leave no temporary files. The next one starts without a bundle.
ENDS_EVERY = 10

Capture = pytest.CaptureFixture[str]


class Exports:
    """Exports one network again and again to one path, each bundle under another name; most exports are killed."""

    def __init__(self, folder: Path) -> None:
        self.out = folder / "bundles" / "bundle"
        self.scratch = folder / "scratch"
        self.scratch.mkdir()
        self.log = folder / "log.txt"
        self.count = 0
        recipe = dataclasses.replace(tiny_recipe("article"), epochs=1)
        train(Dataset.from_pairs("tiny", make_texts(80, 1)), recipe, folder / "run", observer=Observer())
        self._arguments = ["export", str(folder / "run"), "--out", str(self.out)]

    def hidden(self) -> set[str]:
        """Returns the names of all files next to the bundle."""
        return {path.name for path in self.out.parent.iterdir()} - {self.out.name} if self.count else set()

    def kill(self, once: str, seconds: float) -> str:
        """Starts an export and kills it some seconds after the given moment.

        Args:
            once: `begun`, `publishing` or `replaced`; with `replaced`, the new bundle has taken the place of the old
                one.
            seconds: The delay after that moment.

        Returns:
            Where the kill hit, as seen from the files that are left.
        """
        before, present, place = self.name(), self.hidden(), self._identity()
        moments: dict[str, Callable[[], bool]] = {
            "begun": lambda: True,
            "publishing": lambda: bool(self.hidden() - present),
            "replaced": lambda: self._identity() != place,
        }
        has_come = moments[once]
        process = self.start()
        while process.is_alive() and not has_come():
            time.sleep(0.0005)
        process.join(seconds)
        process.kill()
        process.join()
        if process.exitcode == 0:
            return "too late"
        assert process.exitcode == -9, self.log.read_text(encoding="utf-8")
        after = self.name()
        assert after in (before, str(self.count)), "neither the old bundle nor the new one"
        left = self.hidden() - present
        assert len(self.hidden()) <= 1, "a new export should remove what an earlier kill left"
        if after == before:
            return "while it is written" if left else "before"
        return "while the old one goes" if left else "after"

    def end(self) -> tuple[float, float]:
        """Lets an export finish, which must leave no temporary files.

        Returns:
            The seconds that the export took, and those of its publishing.
        """
        present, began, published = self.hidden(), time.monotonic(), 0.0
        process = self.start()
        while process.is_alive():
            if not published and self.hidden() - present:
                published = time.monotonic()
            time.sleep(0.0005)
        ended = time.monotonic()
        assert process.exitcode == 0, self.log.read_text(encoding="utf-8")
        assert self.name() == str(self.count)
        assert not self.hidden()
        assert not list(self.scratch.iterdir())
        return ended - began, ended - published

    def name(self) -> str | None:
        """Returns the name of the bundle, which must be complete, or None if there is no bundle."""
        return read_directory(self.out).config.name if self.out.exists() else None

    def _identity(self) -> int | None:
        return self.out.stat().st_ino if self.out.exists() else None

    def start(self) -> Any:
        """Starts an export in a process of its own."""
        self.count += 1
        self.out.parent.mkdir(exist_ok=True)
        return start([*self._arguments, "--name", str(self.count)], self.log, self.scratch)


def test_a_kill_leaves_the_old_bundle_or_the_new_one(tmp_path: Path, capsys: Capture) -> None:
    """Half of the kills come anywhere in an export, and half while it publishes or after the replacement."""
    exports = Exports(tmp_path)
    start(["--help"], tmp_path / "help.log").join()  # this starts the server that later exports fork from
    whole, publishing = exports.end()
    rng = np.random.default_rng([7, KILLS])
    fell: Counter[str] = Counter()
    while sum(fell.values()) < KILLS:
        once = ("publishing", "begun", "replaced", "begun")[fell.total() % 4]
        # The process ends with its publishing, so kills that come shortly before that end would often be too late.
        longest = {"begun": whole, "publishing": 0.8 * publishing, "replaced": 0.1 * publishing}[once]
        where = exports.kill(once, rng.uniform(0, longest))
        if where == "too late":
            continue
        fell[where] += 1
        if exports.name() is not None:
            assert run(["verify", str(exports.out)]) == 0, capsys.readouterr().err
        if fell.total() % ENDS_EVERY == 0:
            exports.end()
            shutil.rmtree(exports.out)
    exports.end()
    assert run(["verify", str(exports.out)]) == 0
    capsys.readouterr()
    print(f"killed {dict(fell)}; an export alone takes {whole:.1f} s, its publishing {publishing:.2f} s")  # noqa: T201
    assert fell["before"]
    assert fell["while it is written"] + fell["while the old one goes"] + fell["after"]


def test_ctrl_c_leaves_only_the_old_bundle_or_the_new_one(tmp_path: Path) -> None:
    exports = Exports(tmp_path)
    whole, _ = exports.end()
    rng = np.random.default_rng(KILLS)
    for _ in range((KILLS + 3) // 4):
        before, log = exports.name(), tmp_path / "interrupted.txt"
        exports.log = log
        process = exports.start()
        process.join(rng.uniform(0.2, 0.9) * whole)
        with suppress(ProcessLookupError):  # the process has ended already
            os.kill(process.pid, signal.SIGINT)
        process.join()
        said = log.read_text(encoding="utf-8")
        log.unlink()
        assert process.exitcode in (0, 130), said
        assert "Traceback" not in said
        assert ("error: interrupted\n" in said) == (process.exitcode == 130)
        assert exports.name() in (before, str(exports.count))
        assert not exports.hidden()
        assert not list(exports.scratch.iterdir())
