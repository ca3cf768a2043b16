"""Fuzzes the same targets guided by coverage.

Atheris looks for bytes that reach new lines, and hypothesis makes inputs from them: `python -m tests.fuzz.guided
tests/data/bundles TARGET SECONDS [CORPUS]`. A failure ends the run with a traceback that says how to run the job again.
libFuzzer itself reports crashes and hangs.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris

with atheris.instrument_imports(include=["rnnx"]):  # includes modules that commands import only when they run
    import rnnx.cli  # noqa: F401
    from tests.fuzz.worker import DEADLINE_S, prepare

    prepare()

from hypothesis import HealthCheck, given, settings

from tests.fuzz import test_inputs, test_models
from tests.fuzz.checks import Fuzz
from tests.fuzz.conftest import slim
from tests.fuzz.job import Job, Outcome, Sandbox

_TOLD_EVERY = 10
# The starting corpus: bytes that are long enough for any input.
_SEEDS, _SEED_BYTES = 30, 4096


class Here:
    """Runs jobs in this process, because this is the process that is instrumented."""

    def __init__(self, folder: Path) -> None:
        self._sandbox = Sandbox(folder)
        self._count = 0

    def run(self, job: Job) -> Outcome:
        """Runs a job; sometimes prints the number of jobs, because libFuzzer also counts bytes that make no input."""
        self._count += 1
        if self._count % _TOLD_EVERY == 0:
            sys.stderr.write(f"{self._count} inputs\n")
        return self._sandbox.execute(job)


def bind(name: str, fuzz: Fuzz) -> Any:
    """Turns a target into a function of bytes."""
    target = getattr(test_inputs, name, None) or getattr(test_models, name)
    inner, strategies = target.hypothesis.inner_test, target.hypothesis._given_kwargs

    @settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(**strategies)
    def run(**drawn: Any) -> None:
        inner(fuzz, **drawn)

    return run.hypothesis.fuzz_one_input  # type: ignore[attr-defined]  # which given adds


def main(bundles: str, target: str, seconds: str, *corpus: str) -> None:
    """Fuzzes a target for the given number of seconds."""
    place = Path(tempfile.mkdtemp(prefix="rnnx-guided-"))
    fuzz = Fuzz(Here(place / "sandbox"), slim(Path(bundles), place / "bundles"), place / "broken")
    fuzz.test = target
    seeds = place / "seeds"
    seeds.mkdir()
    rng = random.Random(0)  # noqa: S311  # nothing secret
    for i in range(_SEEDS):
        (seeds / str(i)).write_bytes(rng.randbytes(_SEED_BYTES))
    options = [
        f"-max_total_time={seconds}",
        f"-timeout={3 * DEADLINE_S:.0f}",
        "-rss_limit_mb=4096",
        "-max_len=8192",
        "-len_control=0",
    ]
    options += [f"-artifact_prefix={place}/", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, *corpus, str(seeds)], bind(target, fuzz))
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
