"""The fuzz suite's profile, its bundles and its worker.

In CI the inputs are the same 20 000 each time: what turns red there is what the change has done, not luck, and a
failure comes again on any machine by the same command. `RNNX_FUZZ=200000` runs that many, and others each time; what
fails is printed with hypothesis's blob, and kept as files beside the command that reads them.
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

IN_CI = 20_000
TOTAL = int(os.environ.get("RNNX_FUZZ", str(IN_CI)))
IS_RANDOM = "RNNX_FUZZ" in os.environ
# Texts to labels; words to tags; numbers to labels; numbers to numbers; ids to tags.
NAMES = ("texts", "words", "series", "sensor", "ids")

T = TypeVar("T", bound=Callable[..., Any])


def fuzzed(count: int) -> Callable[[T], T]:
    """Says how many inputs of CI's 20 000 a test runs; more of them in the same proportion where more are asked for."""
    scaled = -(-count * TOTAL // IN_CI)

    def decorate(test: T) -> T:
        test.fuzz_count = scaled  # type: ignore[attr-defined]
        return settings(
            max_examples=scaled,
            deadline=None,  # the worker has its own, which stops what hangs
            derandomize=not IS_RANDOM,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.explicit, Phase.generate, Phase.shrink),
        )(test)

    return decorate


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The committed bundles of all kinds, without what only people read."""
    return slim(BUNDLES, tmp_path_factory.mktemp("bundles"))


def slim(made: Path, folder: Path) -> dict[str, Path]:
    """Copies bundles without the test data of ONNX, which takes the time of a whole run to be hashed."""
    for name in NAMES:
        whole = read_directory(made / name)
        files = {file: data for file, data in whole.files.items() if not file.endswith(".pb")}
        write_directory(folder / name, dataclasses.replace(whole.config, files={}), files)
    return {name: folder / name for name in NAMES}


@pytest.fixture(scope="session")
def fuzz(bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    """What runs and checks; one process for all tests, as long as it lives."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of our own in it: removing folders is slow on disks
    place = Path(tempfile.mkdtemp(prefix="rnnx-fuzz-", dir=memory if os.access(memory, os.W_OK) else None))
    worker = Worker(place / "worker")
    try:
        yield Fuzz(worker, bundles, tmp_path_factory.mktemp("broken"))
    finally:
        worker.stop()
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture(autouse=True)
def counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Makes sure that a test ran as many inputs as it says."""
    count = getattr(request.function, "fuzz_count", 0)
    if not count:
        yield
        return
    fuzz: Fuzz = request.getfixturevalue("fuzz")
    fuzz.test = request.node.name
    yield
    assert fuzz.counts[fuzz.test] >= count, f"{fuzz.counts[fuzz.test]} inputs were run, not {count}"
