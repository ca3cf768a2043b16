"""Kills workers, actors, executors and main processes at random moments, and counts what goes wrong.

    python -m tests.engines.kills [--kills 5] [--only PART_OF_A_NAME] [--patience 1]

It runs the tests of kills in this folder. Each test kills one process, runs the same command again, and checks that
every id is there once and that nothing temporary is left. The moments are others each time; the seed is printed, and
`RNNX_SEED` repeats it. What is not installed is skipped, and says so.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# Multiplies the seconds after which a test gives up waiting for a process.
PATIENCE = float(os.environ.get("RNNX_PATIENCE", "1"))


def moments(count: int) -> list[int]:
    """The seeds of the moments of a test: `RNNX_KILLS` of them, or else this many."""
    first = int(os.environ.get("RNNX_SEED", "0"))
    return list(range(first, first + int(os.environ.get("RNNX_KILLS", str(count)))))


def kill(pid: int, victim: str, record: Callable[[str, object], None]) -> bool:
    """Kills a process.

    Args:
        pid: Its id.
        victim: What it is, for the counts.
        record: The fixture `record_property`.

    Returns:
        False if it had ended before.
    """
    record("victim", victim)
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    record("killed", 1)
    return True


class Counts:
    """A plugin of pytest: the kills and the violations of each victim."""

    def __init__(self) -> None:
        self.kills: Counter[str] = Counter()
        self.violations: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Counts a part of a test; what fails or is skipped before the kill counts for its file."""
        properties = dict(report.user_properties)
        victim = properties.get("victim", Path(report.nodeid.partition("::")[0]).stem)
        if report.failed or report.skipped or report.when == "call":
            self.kills[victim] += properties.get("killed", 0) if report.when == "call" else 0
            self.violations[victim] += report.failed
            self.skipped[victim] += report.skipped

    def table(self) -> str:
        """The counts of each victim, and their sums."""
        rows = [(name, self.kills[name], self.violations[name], self.skipped[name]) for name in self.kills]
        sums = [sum(column) for column in list(zip(*rows, strict=True))[1:]] or [0, 0, 0]
        heads = [("victim", "kills", "violations", "skipped"), ("---", "---:", "---:", "---:")]
        return "\n".join(f"| {' | '.join(map(str, row))} |" for row in [*heads, *rows, ("all", *sums)])


def main() -> int:
    """Runs the kills, and returns 1 if anything went wrong or nothing was killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=5, help="the number of kills of each victim")
    parser.add_argument("--only", default="", help="run only the tests whose names have this part")
    parser.add_argument("--patience", type=float, default=1, help="wait so many times as long, on a busy machine")
    given = parser.parse_args()
    os.environ["RNNX_KILLS"] = str(given.kills)
    os.environ["RNNX_PATIENCE"] = str(given.patience)
    seed = os.environ.setdefault("RNNX_SEED", str(random.randrange(1_000_000)))  # noqa: S311  # no secret
    counts = Counts()
    chosen = f"kill_ and ({given.only})" if given.only else "kill_"
    words = ["-m", "engines or slow", "-k", chosen, "-p", "no:cacheprovider", str(Path(__file__).parent)]
    code = pytest.main(words, plugins=[counts])
    sys.stdout.write(f"RNNX_SEED={seed}\n\n{counts.table()}\n")
    return int(code != 0 or not counts.kills.total())


if __name__ == "__main__":
    sys.exit(main())
