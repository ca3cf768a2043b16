"""What has to hold whatever comes in: answers or one clear line, a documented exit code, nothing outside the target."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.fuzz.job import SECRET, Job, Outcome

# Of the commands that can be told apart here; 130 is Ctrl-C's.
OK, FAILED, USAGE, PARITY, MODEL, DEVICE = 0, 1, 2, 3, 4, 5
# A line that a person shall read; names of files and labels come on top.
_LONGEST_LINE = 2000
_SAID = ("error: ", "warning: ")


class Runner(Protocol):
    """What runs jobs: `tests.fuzz.worker.Worker`, or the process itself."""

    def run(self, job: Job) -> Outcome:
        """Runs one."""


class Fuzz:
    """Runs jobs and checks what comes of them.

    Attributes:
        bundles: By name, the folder of a bundle that is not to be broken.
        files: By name, its files.
        counts: By test, the jobs that were run and checked.
        test: The test that is running.
    """

    def __init__(self, runner: Runner, bundles: Mapping[str, Path], broken: Path) -> None:
        """Reads the bundles.

        Args:
            runner: Runs the jobs.
            bundles: By name.
            broken: Where the files of a job that failed are kept.
        """
        self.bundles = bundles
        self.files = {name: _read_files(path) for name, path in bundles.items()}
        self.counts: Counter[str] = Counter()
        self.test = ""
        self._runner = runner
        self._broken = broken

    def __repr__(self) -> str:
        return "fuzz"

    def run(self, job: Job, codes: Collection[int], *, notes: tuple[str, ...] = ()) -> Outcome:
        """Runs a job.

        Args:
            job: The job.
            codes: The exit codes that it may end with.
            notes: How further lines on stderr may begin.

        Raises:
            AssertionError: If something does not hold; says what, and how to see it again.
        """
        outcome = self._runner.run(job)
        self.counts[self.test] += 1
        if problem := find_problem(job, outcome, codes, notes):
            self.fail(job, outcome, problem)
        return outcome

    def fail(self, job: Job, outcome: Outcome, problem: str) -> None:
        """Keeps the files and says how to run the job again."""
        folder = self._broken / self.test
        for name, data in {**job.files, "stdin": job.stdin}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        shown = "\n".join(f"  {name} ({len(data)} bytes): {data!r:.300}" for name, data in job.files.items())
        raise AssertionError(
            f"{problem}\n$ cd {folder} && {job.command()} <stdin\n{shown}\n  stdin: {job.stdin!r:.300}\n"
            f"code {outcome.code}\nstdout: {outcome.out!r:.1500}\nstderr: {outcome.err!r:.1500}\n"
            f"{outcome.escaped}{outcome.death}"
        )


def _read_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def find_problem(job: Job, outcome: Outcome, codes: Collection[int], notes: tuple[str, ...]) -> str:
    """What does not hold of every run, in words; empty if nothing."""
    if outcome.death:
        return f"the process {outcome.death.splitlines()[0]}"
    if outcome.escaped or b"Traceback" in outcome.err:
        return f"a traceback: {outcome.escaped.strip().splitlines()[-1:]}"
    if outcome.strayed:
        return f"outside its target: {outcome.strayed}"
    if outcome.code not in codes:
        return f"exit code {outcome.code}, not one of {sorted(codes)}"
    if SECRET in outcome.out + outcome.err:
        return "it read what lies outside"
    if problem := _odd_characters(job, outcome):
        return problem
    return _odd_lines(outcome, notes)


def _odd_characters(job: Job, outcome: Outcome) -> str:
    """What may steer a terminal. CoNLL-U into a pipe takes the bytes of the words as they are."""
    streams = {"stderr": outcome.err}
    if job.is_terminal or "--conllu" not in job.arguments:
        streams["stdout"] = outcome.out
    for name, data in streams.items():
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            return f"{name} is not UTF-8: {error}"
        if strange := [c for c in set(text) if not c.isprintable() and c not in "\t\n"]:
            return f"{name} holds {strange[0]!r}"
    return ""


def _odd_lines(outcome: Outcome, notes: tuple[str, ...]) -> str:
    lines = outcome.err.decode().splitlines()
    if outcome.err and not outcome.err.endswith(b"\n"):
        return "stderr ends within a line"
    errors = [line for line in lines if line.startswith("error: ")]
    # Of a proof that failed, the table stands there too.
    strange = [line for line in lines if not line.startswith((*_SAID, *notes)) and outcome.code != PARITY]
    if strange:
        return f"a line on stderr that says neither error nor warning: {strange[0]!r}"
    if long := [line for line in lines if len(line) > _LONGEST_LINE]:
        return f"a line of {len(long[0])} characters: {long[0][:100]!r}"
    if outcome.code == OK and errors:
        return "an error, and exit code 0"
    if outcome.code in (FAILED, USAGE, MODEL, DEVICE) and not errors:
        return f"exit code {outcome.code}, and no word why"
    if outcome.code in (USAGE, MODEL, DEVICE) and len(errors) != 1:
        return f"{len(errors)} lines for one error"
    if any(len(line) < len("error: ") + 4 for line in errors):
        return f"an error that says nothing: {errors}"
    return ""


def read_json(data: bytes) -> Any:
    """A JSON document as any reader of JSON takes it."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(data.decode(), parse_constant=refuse)


def count_errors(outcome: Outcome) -> int:
    """How many lines of stderr say that something failed."""
    return sum(line.startswith(b"error: ") for line in outcome.err.splitlines())
