"""Checks what must hold for any input.

There is an answer or one clear line, the exit code is documented, and nothing outside the target is touched.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from hypothesis import currently_in_test_context, event

from tests.fuzz.job import SECRET, Job, Outcome

# The exit codes that a command can end with here; 130 is that of Ctrl-C.
OK, FAILED, USAGE, PARITY, MODEL, DEVICE = 0, 1, 2, 3, 4, 5
# The longest line that a person should have to read, with generous room for names of files and labels.
_LONGEST_LINE = 2000
# A column that was given by number is named.
_SAID = ("error: ", "warning: ", "text column: ")
# A part of a line with its own direction (Unicode's standard annex 9).
_MARKED = re.compile("[\u2066\u2067]([^\u2066-\u2069\n]*)\u2069")
_JOINERS = "\u200c\u200d"


class Runner(Protocol):
    """Runs jobs: either `tests.fuzz.worker.Worker`, or this process itself."""

    def run(self, job: Job) -> Outcome:
        """Runs one job."""


class Fuzz:
    """Runs jobs and checks their outcomes.

    Attributes:
        bundles: The folder of each valid bundle, by name; it must not be changed.
        files: The files of each bundle, by name of the bundle.
        counts: The number of jobs that were run and checked, by test.
        test: The name of the running test.
    """

    def __init__(self, runner: Runner, bundles: Mapping[str, Path], broken: Path) -> None:
        """Reads the bundles.

        Args:
            runner: Runs the jobs.
            bundles: The folder of each bundle, by name.
            broken: The folder where the files of a failed job are kept.
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
        """Runs a job and checks its outcome.

        Args:
            job: The job.
            codes: The exit codes that are allowed.
            notes: Beginnings of further lines that are allowed on stderr.

        Raises:
            AssertionError: If a check fails; the message says which, and how to run the job again.
        """
        outcome = self._runner.run(job)
        self.counts[self.test] += 1
        if currently_in_test_context():
            event(f"exit code {outcome.code}")  # for --hypothesis-show-statistics
        if problem := find_problem(job, outcome, codes, notes):
            self.fail(job, outcome, problem)
        return outcome

    def fail(self, job: Job, outcome: Outcome, problem: str) -> None:
        """Keeps the files of a job, and raises an error that says how to run it again."""
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
    """Describes the first check that fails, of those that must hold for every run; returns "" if all hold."""
    if outcome.death:
        return f"the process {outcome.death.splitlines()[0]}"
    if outcome.escaped or b"Traceback" in outcome.err:
        return f"a traceback: {outcome.escaped.strip().splitlines()[-1:]}"
    if outcome.strayed:
        return f"outside its target: {outcome.strayed}"
    if outcome.code not in codes:
        return f"exit code {outcome.code}, not one of {sorted(codes)}"
    if SECRET in outcome.out + outcome.err:
        return "it read a file outside its folder"
    if problem := _odd_characters(job, outcome):
        return problem
    return _odd_lines(outcome, notes)


def _odd_characters(job: Job, outcome: Outcome) -> str:
    """Describes a character that could control a terminal.

    Into a pipe, `--conllu` writes the bytes of the words as they are, and `infer --text-column` those of the cells. On
    a terminal there may be the spaces and joiners of other scripts, and marks around text from right to left, if they
    end in the line where they begin.
    """
    streams = {"stderr": outcome.err}
    is_data = "--conllu" in job.arguments or {"infer", "--text-column"} <= set(job.arguments)
    if job.is_terminal or not is_data:
        streams["stdout"] = outcome.out
    for name, data in streams.items():
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            return f"{name} is not UTF-8: {error}"
        harmless = "\t\n"
        if job.is_terminal:
            text, harmless = _MARKED.sub(r"\1", text), f"{harmless}{_JOINERS}"
            harmless += "".join(c for c in set(text) if unicodedata.category(c) == "Zs")
        if strange := [c for c in set(text) if not c.isprintable() and c not in harmless]:
            return f"{name} holds {strange[0]!r}"
    return ""


def _odd_lines(outcome: Outcome, notes: tuple[str, ...]) -> str:
    lines = outcome.err.decode().splitlines()
    if outcome.err and not outcome.err.endswith(b"\n"):
        return "stderr ends within a line"
    errors = [line for line in lines if line.startswith("error: ")]
    # After a failed proof, stderr also has the table of its comparisons.
    strange = [line for line in lines if not line.startswith((*_SAID, *notes)) and outcome.code != PARITY]
    if strange:
        return f"a line on stderr that says neither error nor warning: {strange[0]!r}"
    if long := [line for line in lines if len(line) > _LONGEST_LINE]:
        return f"a line of {len(long[0])} characters: {long[0][:100]!r}"
    if outcome.code == OK and errors:
        return "an error line, but exit code 0"
    if outcome.code in (FAILED, USAGE, MODEL, DEVICE) and not errors:
        return f"exit code {outcome.code} without an error line"
    if outcome.code in (USAGE, MODEL, DEVICE) and len(errors) != 1:
        return f"{len(errors)} lines for one error"
    if any(len(line) < len("error: ") + 4 for line in errors):
        return f"an error that says nothing: {errors}"
    return ""


def read_json(data: bytes) -> Any:
    """Reads JSON as strictly as any reader of JSON may."""

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(data.decode(), parse_constant=refuse)


def count_errors(outcome: Outcome) -> int:
    """Counts the error lines on stderr."""
    return sum(line.startswith(b"error: ") for line in outcome.err.splitlines())
