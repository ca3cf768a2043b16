"""Shared fixtures: a small data set of our own, a network trained on it for real, and its bundle."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from rnnx.datasets import Dataset

if TYPE_CHECKING:
    from rnnx.train.recipes import Recipe
    from tests.fake_cuda import FakeCuda

# TensorFlow logs and looks for a GPU on import; the tests are about neither.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# No test fails because the machine is busy. By default Hypothesis fails an example that takes more than 200 ms, and a
# test whose examples take long to draw.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

GOOD = ("wonderful", "great", "loved", "superb", "fun", "moving")
BAD = ("awful", "boring", "hated", "dull", "waste", "wooden")
NEUTRAL = ("the", "film", "a", "plot", "actor", "scene", "it's", "and", "was", "camera", "café")


def make_texts(count: int, seed: int) -> list[tuple[bytes, str]]:
    """Short reviews of three to thirty words whose label shows in two of them."""
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(count):
        label, words = (("neg", BAD), ("pos", GOOD))[i % 2]
        text = [*rng.choice(NEUTRAL, rng.integers(1, 28)), *rng.choice(words, 2)]
        rng.shuffle(text)
        pairs.append((" ".join(text).encode(), label))
    return pairs


@pytest.fixture(scope="session")
def tiny_dataset() -> Dataset:
    return Dataset.from_pairs("tiny", make_texts(240, 1), make_texts(60, 2))


def tiny_recipe(name: str) -> Recipe:
    """A shipped recipe, cut down to short texts and a few epochs; the network is the recipe's own."""
    from rnnx.train.recipes import get_recipe

    recipe = get_recipe(name)
    tokenizer = dataclasses.replace(recipe.tokenizer, max_length=20)
    return dataclasses.replace(recipe, tokenizer=tokenizer, vocabulary_size=24, epochs=3, batch_size=16)


@pytest.fixture(scope="session", params=["article", "default"])
def tiny_run(request: pytest.FixtureRequest, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run of each recipe; do not write into it."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.train.fit import Observer
    from rnnx.train.run import train

    out: Path = tmp_path_factory.mktemp("runs") / request.param
    train(tiny_dataset, tiny_recipe(request.param), out, seed=3, observer=Observer())
    return out


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported run; do not write into it."""
    from rnnx.export.pipeline import export

    out = tmp_path_factory.mktemp("bundles") / tiny_run.name
    export(tiny_run, out)
    return out


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> Path:
    """A run to break."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture(scope="session")
def streaming_bundle(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained text classifier that reads forward and masks its padding, with its streaming file; read only."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.export.pipeline import export
    from rnnx.train.fit import Observer
    from rnnx.train.run import train
    from tests.streams import forward_recipe

    folder = tmp_path_factory.mktemp("streaming")
    train(tiny_dataset, forward_recipe(), folder / "run", seed=3, observer=Observer())
    export(folder / "run", folder / "bundle", streaming=True)
    return folder / "bundle"


@pytest.fixture(scope="session")
def stream_bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles of bare networks with their streaming files, by what they give; read only."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.export.pipeline import export
    from tests.streams import bare_networks

    folder = tmp_path_factory.mktemp("streams")
    for name, model in bare_networks().items():
        model.save(folder / f"{name}.keras")
        export(folder / f"{name}.keras", folder / name, streaming=True)
    return {name: folder / name for name in bare_networks()}


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    """A machine with CUDA, as far as rnnx can see."""
    from rnnx.runtime import session
    from tests.fake_cuda import FakeCuda

    session._library_problems.cache_clear()
    yield FakeCuda(monkeypatch)
    session._library_problems.cache_clear()
