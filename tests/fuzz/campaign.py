"""Runs a long campaign of random inputs, whose counts are known at any moment.

    python -m tests.fuzz.campaign FOLDER [--inputs 200000] [--only PART_OF_A_NAME]

The targets are the tests of `tests.fuzz.test_inputs` and `tests.fuzz.test_models`, and the tests that compare the
tokenizers in Python with those in the graph. They take turns, each with a share in proportion to its inputs in CI. The
inputs are random, and others each time.

After each batch, `FOLDER/counts.json` has the inputs and the violations of every target so far. A violation does not
end the campaign: the message and the command that shows it again are appended to `FOLDER/violations.txt`, and the files
of the job are kept below `FOLDER/broken/`. A batch ends at its first violation. A second call with the same folder goes
on with the counts of the first.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz import test_inputs, test_models
from tests.fuzz.checks import Fuzz
from tests.fuzz.conftest import OF_COUNTS, TOTAL, slim
from tests.fuzz.worker import Worker
from tests.make_bundles import BUNDLES
from tests.text_form import test_tokenizer_nodes, test_unicode_nodes

# In one round, every target gets this part of the inputs that it promises out of 20 000.
_ROUNDS = 20
# The inputs of a comparison of tokenizers, for every 20 000 inputs.
_TEXTS = 2000


@dataclasses.dataclass(frozen=True)
class Target:
    """One property of all inputs.

    Attributes:
        name: The name of the test.
        per_round: The number of inputs in a round.
        check: Checks a number of random inputs, and counts them. Raises at the first violation.
    """

    name: str
    per_round: int
    check: Callable[[int, Counter], None]


class Counter:
    """Counts the inputs of one batch."""

    def __init__(self) -> None:
        self.count = 0


def _bind(test: Any, *fixtures: Any) -> Callable[[int, Counter], None]:
    """Turns a test of hypothesis into a function that checks a number of random inputs."""
    inner, drawn = test.hypothesis.inner_test, test.hypothesis._given_kwargs

    def check(count: int, counter: Counter) -> None:
        @settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        )
        @given(**drawn)
        def run(**values: Any) -> None:
            counter.count += 1
            inner(*fixtures, **values)

        run()

    return check


def find_targets(fuzz: Fuzz) -> list[Target]:
    """Returns every target.

    Args:
        fuzz: Runs the jobs of the tests that need a process of their own.
    """

    def named(test: Any) -> Callable[[int, Counter], None]:
        check = _bind(test, fuzz)

        def run(count: int, counter: Counter) -> None:
            fuzz.test = test.__name__
            check(count, counter)

        return run

    found = [
        Target(name, -(-test.fuzz_count * OF_COUNTS // TOTAL // _ROUNDS), named(test))
        for module in (test_inputs, test_models)
        for name, test in vars(module).items()
        if hasattr(test, "fuzz_count")
    ]
    for module in (test_tokenizer_nodes, test_unicode_nodes):
        test = module.test_ids_equal_those_of_the_tokenizer_for_any_bytes
        found.append(Target(module.__name__.rpartition(".")[2], _TEXTS // _ROUNDS, _bind(test)))
    return found


class Campaign:
    """The counts of a campaign, which a file has after each batch."""

    def __init__(self, folder: Path) -> None:
        """Reads the counts of an earlier call with the same folder."""
        self._folder = folder
        self._path = folder / "counts.json"
        self.counts: dict[str, dict[str, int]] = {}
        self.seconds = 0.0
        if self._path.exists():
            before = json.loads(self._path.read_text(encoding="utf-8"))
            self.counts, self.seconds = before["targets"], before["seconds"]

    @property
    def inputs(self) -> int:
        """The inputs so far."""
        return sum(count["inputs"] for count in self.counts.values())

    def run(self, target: Target) -> None:
        """Runs one batch of a target and writes the counts."""
        began, counter = time.monotonic(), Counter()
        count = self.counts.setdefault(target.name, {"inputs": 0, "violations": 0})
        try:
            target.check(target.per_round, counter)
        except Exception:  # noqa: BLE001  # any error of a target is a violation, and is kept
            count["violations"] += 1
            with (self._folder / "violations.txt").open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(f"=== {target.name}\n{traceback.format_exc()}\n")
        count["inputs"] += counter.count
        self.seconds += time.monotonic() - began
        violations = sum(count["violations"] for count in self.counts.values())
        summary = {"inputs": self.inputs, "violations": violations, "seconds": self.seconds, "targets": self.counts}
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(summary, indent=1), encoding="utf-8")
        new.replace(self._path)


def turns(targets: list[Target]) -> Iterator[Target]:
    """Yields the targets again and again."""
    while True:
        yield from targets


def main() -> None:
    """Runs a campaign until it has had the wanted number of inputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the folder for the counts and the violations")
    parser.add_argument("--inputs", type=int, default=200_000, help="the number of inputs of the whole campaign")
    parser.add_argument("--only", default="", help="run the targets only whose names have this part")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="rnnx-campaign-"))
    worker = Worker(place / "worker")
    try:
        fuzz = Fuzz(worker, slim(BUNDLES, place / "bundles"), asked.folder / "broken")
        campaign = Campaign(asked.folder)
        for target in turns([target for target in find_targets(fuzz) if asked.only in target.name]):
            if campaign.inputs >= asked.inputs:
                break
            campaign.run(target)
    finally:
        worker.stop()
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
