"""`rnnx export` under SIGKILL: whenever it comes, the old bundle stands there or the new one, whole."""

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

# How often the export is killed; RNNX_KILLS=200 takes about fifteen minutes.
KILLS = int(os.environ.get("RNNX_KILLS", "4"))
# After so many kills one export may end, and has to leave nothing behind; and the next one begins with an empty place.
ENDS_EVERY = 10

Capture = pytest.CaptureFixture[str]


class Exports:
    """Exports of one network into one place, each bundle under a name of its own, most of them killed."""

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
        """What lies beside the bundle."""
        return {path.name for path in self.out.parent.iterdir()} - {self.out.name} if self.count else set()

    def kill(self, once: str, seconds: float) -> str:
        """Begins one, and kills it so many seconds after it has begun, or publishes, or has replaced the old one."""
        before, beside, place = self.name(), self.hidden(), self._identity()
        moments: dict[str, Callable[[], bool]] = {
            "begun": lambda: True,
            "publishing": lambda: bool(self.hidden() - beside),
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
        assert after in (before, str(self.count)), "neither the old one nor the new one"
        left = self.hidden() - beside
        assert len(self.hidden()) <= 1, "what an earlier kill has left should go when this one begins to publish"
        if after == before:
            return "while it is written" if left else "before"
        return "while the old one goes" if left else "after"

    def end(self) -> tuple[float, float]:
        """Lets one end, which leaves nothing behind; the seconds of the whole and of the publishing."""
        beside, began, published = self.hidden(), time.monotonic(), 0.0
        process = self.start()
        while process.is_alive():
            if not published and self.hidden() - beside:
                published = time.monotonic()
            time.sleep(0.0005)
        ended = time.monotonic()
        assert process.exitcode == 0, self.log.read_text(encoding="utf-8")
        assert self.name() == str(self.count)
        assert not self.hidden()
        assert not list(self.scratch.iterdir())
        return ended - began, ended - published

    def name(self) -> str | None:
        """Of the bundle that stands there, whole; None if there is none."""
        return read_directory(self.out).config.name if self.out.exists() else None

    def _identity(self) -> int | None:
        return self.out.stat().st_ino if self.out.exists() else None

    def start(self) -> Any:
        """Begins one."""
        self.count += 1
        self.out.parent.mkdir(exist_ok=True)
        return start([*self._arguments, "--name", str(self.count)], self.log, self.scratch)


def test_kills_leave_the_old_bundle_or_the_new_one(tmp_path: Path, capsys: Capture) -> None:
    """Half of them anywhere in an export, half while it publishes: at any moment of that, or when the old one goes."""
    exports = Exports(tmp_path)
    start(["--help"], tmp_path / "help.log").join()  # the server is there from now on
    whole, publishing = exports.end()
    rng = np.random.default_rng([7, KILLS])
    fell: Counter[str] = Counter()
    while sum(fell.values()) < KILLS:
        once = ("publishing", "begun", "replaced", "begun")[fell.total() % 4]
        # The end of the publishing is the end of the process; few kills hit just before that.
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


def test_ctrl_c_leaves_nothing_but_the_old_bundle_or_the_new_one(tmp_path: Path) -> None:
    exports = Exports(tmp_path)
    whole, _ = exports.end()
    rng = np.random.default_rng(KILLS)
    for _ in range((KILLS + 3) // 4):
        before, log = exports.name(), tmp_path / "interrupted.txt"
        exports.log = log
        process = exports.start()
        process.join(rng.uniform(0.2, 0.9) * whole)
        with suppress(ProcessLookupError):  # it was faster
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
