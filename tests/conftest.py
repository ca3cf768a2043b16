"""Sorts tests into tiers and defines the fixtures that folders share.

Fixtures are committed bundles to read, and small trainings for tests that need a fresh model. `pytest` alone runs the
fast tier: tests that need no TensorFlow and train nothing, on the bundles of `tests/data`. pyproject.toml lists the
marks of the other tiers. This file adds the marks that a test's fixtures and folder imply.
"""

from __future__ import annotations

import gc
import inspect
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from rnnx.datasets import Dataset
from tests import texts
from tests.make_bundles import BUNDLES

if TYPE_CHECKING:
    from tests.fake_cuda import FakeCuda

# On import, TensorFlow logs and looks for a GPU; no test is about either.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# A process that traces and converts graphs for half an hour makes many objects that stay. Python would look for garbage
# whenever there are 700 more, which took 8 % of the time.
gc.set_threshold(50_000)

# No test may fail because the machine is busy. By default, Hypothesis fails an example that takes more than 200 ms, and
# a test whose examples take long to draw.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A test that uses one of these fixtures trains or exports, even if it has no mark that says so.
_TRAINING_FIXTURES = {"tiny_run", "run_copy", "exported_run", "exported_copy"}
# So does a test that contains this call, and every test of a module that begins with it.
_ASKS_FOR_TENSORFLOW = 'importorskip("tensorflow"'
_FOLDER_MARKS = {"fuzz", "runtimes"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Adds the marks that a test's folder, its fixtures and its imports imply."""
    needs_tensorflow = {
        path: f"\npytest.{_ASKS_FOR_TENSORFLOW}" in path.read_text(encoding="utf-8")
        for path in {item.path for item in items}
    }
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in _FOLDER_MARKS:
            item.add_marker(folder)
        trains = _TRAINING_FIXTURES.intersection(getattr(item, "fixturenames", ()))
        asks = isinstance(item, pytest.Function) and _ASKS_FOR_TENSORFLOW in inspect.getsource(item.function)
        if trains or asks or needs_tensorflow[item.path]:
            item.add_marker("train")


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    return texts.tiny_dataset()


@pytest.fixture(scope="session", params=["article", "default"])
def tiny_run(request: pytest.FixtureRequest, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains a small run of each recipe; do not write into it."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.train.fit import Observer
    from rnnx.train.run import train

    out: Path = tmp_path_factory.mktemp("runs") / request.param
    train(tiny_dataset, texts.tiny_recipe(request.param), out, seed=3, observer=Observer())
    return out


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """Copies a run, so that a test can damage it."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def exported_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports the run of each recipe to a bundle, for tests of the export; do not write into it."""
    from rnnx.export.pipeline import export

    out = tmp_path_factory.mktemp("bundles") / tiny_run.name
    export(tiny_run, out)
    return out


@pytest.fixture
def exported_copy(exported_run: Path, tmp_path: Path) -> Path:
    """Copies a bundle that this session exported, so that a test can damage it."""
    return Path(shutil.copytree(exported_run, tmp_path / "bundle"))


@pytest.fixture(params=["article", "default"])
def tiny_bundle(request: pytest.FixtureRequest) -> Path:
    """Returns the committed bundle of each recipe; do not write into it."""
    return BUNDLES / str(request.param)


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """Copies a committed bundle, so that a test can damage it."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def streaming_bundle() -> Path:
    """Returns a committed text classifier that reads forward, masks its padding and has a streaming file; read only."""
    return BUNDLES / "texts"


@pytest.fixture
def stream_bundles() -> dict[str, Path]:
    """Returns committed bundles of bare networks with streaming files, by what they read or put out; read only."""
    return {name: BUNDLES / name for name in ("ids", "states", "sensor")}


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """Simulates a machine with CUDA."""
    from rnnx.runtime import session
    from tests.fake_cuda import FakeCuda

    session._library_problems.cache_clear()
    yield FakeCuda(monkeypatch)
    session._library_problems.cache_clear()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Lets processes that a test starts receive Ctrl-C, even if pytest ignores it (`nohup pytest &`)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
