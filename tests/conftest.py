"""Tiers of tests, and shared fixtures: committed bundles to read, and small trainings for what has to train.

`pytest` alone runs the fast tier: what needs no TensorFlow and no training, on the bundles of `tests/data`. The marks
of the other tiers are in pyproject.toml; a test gets those that its fixtures and its folder imply.
"""

from __future__ import annotations

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

# TensorFlow logs and looks for a GPU on import; the tests are about neither.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# No test fails because the machine is busy. By default Hypothesis fails an example that takes more than 200 ms, and a
# test whose examples take long to draw.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# A test that uses one of these trains or exports, whatever its own marks say.
_TRAINING_FIXTURES = {"tiny_run", "run_copy", "exported_run", "exported_copy"}
# So does one that asks for TensorFlow, at the head of its module or by itself.
_ASKS_FOR_TENSORFLOW = 'importorskip("tensorflow"'
_FOLDER_MARKS = {"fuzz", "runtimes"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what a test's folder, its fixtures and its imports imply."""
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
    """A training run of each recipe; do not write into it."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.train.fit import Observer
    from rnnx.train.run import train

    out: Path = tmp_path_factory.mktemp("runs") / request.param
    train(tiny_dataset, texts.tiny_recipe(request.param), out, seed=3, observer=Observer())
    return out


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """A run to break."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def exported_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the run, exported just now, for tests of the export; do not write into it."""
    from rnnx.export.pipeline import export

    out = tmp_path_factory.mktemp("bundles") / tiny_run.name
    export(tiny_run, out)
    return out


@pytest.fixture
def exported_copy(exported_run: Path, tmp_path: Path) -> Path:
    """A bundle that was exported just now, to break."""
    return Path(shutil.copytree(exported_run, tmp_path / "bundle"))


@pytest.fixture(params=["article", "default"])
def tiny_bundle(request: pytest.FixtureRequest) -> Path:
    """The committed bundle of each recipe; do not write into it."""
    return BUNDLES / str(request.param)


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def streaming_bundle() -> Path:
    """A committed text classifier that reads forward and masks its padding, with its streaming file; read only."""
    return BUNDLES / "texts"


@pytest.fixture
def stream_bundles() -> dict[str, Path]:
    """Committed bundles of bare networks with their streaming files, by what they read or give; read only."""
    return {name: BUNDLES / name for name in ("ids", "states", "sensor")}


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A machine with CUDA, as far as rnnx can see."""
    from rnnx.runtime import session
    from tests.fake_cuda import FakeCuda

    session._library_problems.cache_clear()
    yield FakeCuda(monkeypatch)
    session._library_problems.cache_clear()


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Lets processes that a test starts get Ctrl-C, even where pytest itself is to ignore it (`nohup pytest &`)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
