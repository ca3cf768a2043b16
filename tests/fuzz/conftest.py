"""Sets the profile of the fuzz suite, and provides its bundles and its worker.

In CI, the 10 000 inputs are the same in each run. A failure there is therefore caused by the change under test, and the
same command shows it again on any machine. `RNNX_FUZZ=200000` runs that many inputs, drawn at random each time. A
failure prints the blob of hypothesis, and its files are kept together with the command that reads them.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings

from rnnx.bundle.directory import read_directory, write_directory
from tests.fuzz.checks import Fuzz
from tests.fuzz.worker import Worker
from tests.make_bundles import BUNDLES

IN_CI = 10_000
TOTAL = int(os.environ.get("RNNX_FUZZ", str(IN_CI)))
# What the counts of the tests add up to.
OF_COUNTS = 20_000
IS_RANDOM = "RNNX_FUZZ" in os.environ
# Networks from texts to labels, words to tags, numbers to labels, numbers to numbers, and ids to tags.
NAMES = ("texts", "words", "series", "sensor", "ids")

T = TypeVar("T", bound=Callable[..., Any])


def fuzzed(count: int) -> Callable[[T], T]:
    """Decorates a test with the number of inputs that it runs, out of 20 000 of all tests.

    For the inputs in CI, or as many as `RNNX_FUZZ` asks for, every test runs proportionally fewer or more.
    """
    scaled = -(-count * TOTAL // OF_COUNTS)

    def decorate(test: T) -> T:
        test.fuzz_count = scaled  # type: ignore[attr-defined]
        return settings(
            max_examples=scaled,
            deadline=None,  # the worker has its own deadline and stops a job that hangs
            derandomize=not IS_RANDOM,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
        )(test)

    return decorate


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Returns a committed bundle of each kind, without the files that only people read."""
    return slim(BUNDLES, tmp_path_factory.mktemp("bundles"))


def slim(made: Path, folder: Path) -> dict[str, Path]:
    """Copies bundles without their ONNX test data, which would take as long to hash as a whole run takes."""
    for name in NAMES:
        whole = read_directory(made / name)
        files = {file: data for file, data in whole.files.items() if not file.endswith(".pb")}
        write_directory(folder / name, dataclasses.replace(whole.config, files={}), files)
    return {name: folder / name for name in NAMES}


@pytest.fixture(scope="session")
def fuzz(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    """Provides the object that runs and checks jobs; all tests share its process as long as that lives."""
    memory = Path("/dev/shm")  # noqa: S108  # in memory, because removing folders is slow on disks
    place = Path(tempfile.mkdtemp(prefix="rnnx-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    worker = Worker(place / "worker")
    try:
        yield Fuzz(worker, bundles, tmp_path_factory.mktemp("broken"))
    finally:
        worker.stop()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Checks that a test ran as many inputs as it promises."""
    count = getattr(request.function, "fuzz_count", 0)
    if not count:
        yield
        return
    fuzz: Fuzz = request.getfixturevalue("fuzz")
    fuzz.test = request.node.name
    yield
    assert fuzz.counts[fuzz.test] >= count, f"{fuzz.counts[fuzz.test]} inputs were run, not {count}"
