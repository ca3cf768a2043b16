"""Tests that the suite notices each kind of misbehaviour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz import worker
from tests.fuzz.checks import OK, Fuzz
from tests.fuzz.job import Job
from tests.fuzz.misbehaviour import MISBEHAVIOURS

SEEN = {
    "abort": r"the process died \(SIGABRT\)",
    "hang": r"the process hung: no end after .* \(SIGKILL\)",
    "raise": r"a traceback: \['IndexError",
    "write outside": r"outside its target: .*written: .*/outside\.txt",
    "write here": r"outside its target: .*changed: .*/here\.txt",
    "write elsewhere": r"outside its target: .*written: /dev/full",
    "read outside": r"outside its target: .*read: .*secret\.txt",
    "start": r"outside its target: .*subprocess\.Popen",
    "control the terminal": r"stdout holds '\\x1b'",
    "log": r"a line on stderr that says neither error nor warning",
    "long": r"a line of 5009 characters",
}


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    folder = tmp_path_factory.mktemp("suite")
    own = worker.Worker(folder / "worker")
    yield Fuzz(own, {}, folder / "broken")
    own.stop()


@pytest.mark.parametrize("name", MISBEHAVIOURS)
def test_a_misbehaviour_is_noticed(name: str, fuzz: Fuzz, monkeypatch: pytest.MonkeyPatch) -> None:
    fuzz.run(Job((), {"a": b"text"}, reader="texts"), (4,))  # first a job that succeeds, so that the process runs
    if name == "hang":
        monkeypatch.setattr(worker, "DEADLINE_S", 1.0)
    with pytest.raises(AssertionError, match=SEEN[name]) as seen:
        fuzz.run(Job((), {"a": b"text"}, reader=name), (OK,))
    assert f"reader '{name}'" in str(seen.value)


def test_a_process_that_starts_too_late_does_not_answer_the_jobs_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = worker.Worker(tmp_path)
    reads, fails = Job((), {"a": b"text"}, reader="texts"), Job((), {"a": b"text"}, reader="log")
    with monkeypatch.context() as late:
        late.setattr(worker, "_START_S", 0.0)
        with pytest.raises(AssertionError, match="did not start in 0"):
            own.run(reads)
    expected = own.run(fails)
    assert own.run(reads) != expected
    assert own.run(fails) == expected
    own.stop()
