"""Tests that a training that dies and is resumed ends like one that did not, bit for bit."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.bundle.directory import HISTORY_NAME, read_directory
from rnnx.card.card import write_card
from rnnx.datasets import Dataset
from rnnx.errors import ModelError, UsageError
from rnnx.train.checkpoint import checkpoint_place
from rnnx.train.fit import Observer, Progress
from rnnx.train.recipes import Recipe
from rnnx.train.run import train
from tests.processes import start
from tests.texts import make_texts, tiny_recipe
from tests.trainings import DeathError, assert_same_run, dying, weights_of

pytestmark = pytest.mark.train

# The number of kills for both recipes together; RNNX_KILLS=50 takes about eight minutes.
KILLS = int(os.environ.get("RNNX_KILLS", "2"))


def averaging_recipe() -> Recipe:
    return dataclasses.replace(
        tiny_recipe("default"),
        optimizer=lambda steps: keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(5e-3, steps), use_ema=True, ema_momentum=0.9
        ),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "article": lambda: tiny_recipe("article"),
    "averaging": averaging_recipe,
}


@pytest.mark.parametrize("name", list(RECIPES))
def test_crashes_do_not_change_the_run(tiny_dataset: Dataset, tmp_path: Path, name: str) -> None:
    """The training dies in the first epoch, in the third, and when only the run is left to be written."""
    recipe = RECIPES[name]()
    train(tiny_dataset, recipe, tmp_path / "whole", seed=3, observer=Observer())
    resumed: list[tuple[int, int]] = []
    for epoch, batch in ((1, 4), (3, 7), (3, None)):
        with pytest.raises(DeathError):
            train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=dying(epoch, batch))
    assert not (tmp_path / "run").exists()
    observer = Observer(on_resume=lambda done, epochs: resumed.append((done, epochs)))
    train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=observer)
    assert resumed == [(3, 3)]
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    assert not checkpoint_place(tmp_path / "run").exists()


def test_dropout_is_resumed_with_its_random_state(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """If the checkpoint lacks the states of the random generators, the same crash does change the weights."""
    from rnnx.train import saved_state

    recipe = tiny_recipe("default")
    train(tiny_dataset, recipe, tmp_path / "whole", seed=3, observer=Observer())
    with pytest.raises(DeathError):
        train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=dying(1, None))
    put = saved_state.put_state
    with pytest.MonkeyPatch.context() as patch:

        def put_without(model: keras.Model, arrays: saved_state.Arrays) -> None:
            fresh = saved_state.take_state(model)
            is_seed = [variable.name == "seed_generator_state" for variable in model.variables]
            assert sum(is_seed) >= 3
            put(model, {n: fresh[n] if n in seeds(is_seed) else array for n, array in arrays.items()})

        patch.setattr("rnnx.train.fit.put_state", put_without)
        train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=Observer())
    assert weights_of(tmp_path / "whole") != weights_of(tmp_path / "run")


def seeds(is_seed: list[bool]) -> set[str]:
    return {f"network/{i}" for i, yes in enumerate(is_seed) if yes}


def test_an_interrupt_leaves_a_run_that_the_same_call_resumes(tiny_dataset: Dataset, tmp_path: Path) -> None:
    def stop(p: Progress) -> None:
        if p.epoch == 3:
            raise KeyboardInterrupt

    recipe = tiny_recipe("default")
    train(tiny_dataset, recipe, tmp_path / "whole", seed=3, observer=Observer())
    fitted = train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=Observer(on_batch=stop))
    assert fitted.ending == "interrupted"
    assert [epoch.get("ending") for epoch in history_of(tmp_path / "run")] == [None, "interrupted"]
    fitted = train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=Observer())
    assert fitted.ending == "whole"
    assert_same_run(tmp_path / "whole", tmp_path / "run")


def history_of(run_dir: Path) -> list[dict[str, Any]]:
    history: list[dict[str, Any]] = json.loads(read_directory(run_dir)[HISTORY_NAME])
    return history


def test_another_training_is_refused_and_the_first_can_be_resumed(tiny_dataset: Dataset, tmp_path: Path) -> None:
    recipe = tiny_recipe("default")
    with pytest.raises(DeathError):
        train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=dying(2, None))
    other_data = Dataset.from_pairs("tiny", make_texts(240, 7))
    slower = dataclasses.replace(recipe, optimizer=lambda steps: keras.optimizers.AdamW(1e-4, weight_decay=1e-4))
    for data, other, seed, told in (
        (tiny_dataset, recipe, 4, "seed 3, not 4"),
        (other_data, recipe, 3, "other data"),
        (tiny_dataset, dataclasses.replace(recipe, epochs=4), 3, "epochs 3, not 4"),
        (tiny_dataset, tiny_recipe("article"), 3, "recipe default, not article"),
        (tiny_dataset, slower, 3, "other settings"),
    ):
        with pytest.raises(UsageError, match=rf"another training that is not complete \(.*{told}.*--fresh"):
            train(data, other, tmp_path / "run", seed=seed, observer=Observer())
    resumed: list[int] = []
    observer = Observer(on_resume=lambda done, epochs: resumed.append(done))
    train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=observer)
    assert resumed == [2]


def test_the_state_of_another_network_is_refused() -> None:
    from rnnx.train.saved_state import put_state, take_state

    models = []
    for units in (3, 4):
        models.append(keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)]))
        models[-1].compile(optimizer="adam", loss="mse")
        models[-1].optimizer.build(models[-1].trainable_variables)
    with pytest.raises(ModelError, match=r"network/0 should be \(\(2, 4\), 'float32'\), not \(\(2, 3\), 'float32'\)"):
        put_state(models[1], take_state(models[0]))


def test_training_stops_when_nothing_improves(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """With a learning rate of zero, the validation figures do not change after the first epoch."""
    flat = dataclasses.replace(
        tiny_recipe("default"), epochs=9, patience=2, optimizer=lambda steps: keras.optimizers.SGD(0.0)
    )
    with pytest.raises(DeathError):
        train(tiny_dataset, flat, tmp_path / "run", observer=dying(3, None))
    fitted = train(tiny_dataset, flat, tmp_path / "run", observer=Observer())
    assert [epoch.epoch for epoch in fitted.history] == [1, 2, 3], "its patience had run out when it died"
    assert (fitted.best.epoch, fitted.ending) == (1, "stopped early")
    assert history_of(tmp_path / "run")[-1]["ending"] == "stopped early"
    directory = read_directory(tmp_path / "run")
    assert directory.config.training is not None
    assert directory.config.training.ending == "stopped early"
    assert "It stopped early, after epoch 3" in write_card(directory.config, directory.files)


def test_each_better_epoch_restarts_the_patience(tiny_dataset: Dataset, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe("default"), epochs=4, patience=1)
    fitted = train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=Observer())
    ranks = [(epoch.validation_score, -epoch.validation_loss) for epoch in fitted.history]
    assert len(ranks) >= 2
    assert all(later > max(ranks[: i + 1]) for i, later in enumerate(ranks[1:-1])), (
        "every epoch but the last should be better"
    )
    assert len(ranks) == 4 or ranks[-1] <= max(ranks[:-1])


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="SIGKILL and fork")
@pytest.mark.parametrize(("recipe", "kills"), [("article", (KILLS + 1) // 2), ("default", KILLS // 2)])
def test_kills_at_random_moments_do_not_change_the_run(tmp_path: Path, recipe: str, kills: int) -> None:
    """`rnnx train` gets SIGKILL again and again, until the requested number of kills have hit."""
    table = tmp_path / "texts.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *((t.decode(), label) for t, label in make_texts(600, 1))])
    arguments = [str(table), "--epochs", "12", "--recipe", recipe, "--out"]
    start(["--help"], tmp_path / "help.log").join()  # this starts the server that later trainings fork from
    began = time.monotonic()
    whole = start(["train", *arguments, str(tmp_path / "whole")], tmp_path / "whole.log")
    whole.join()
    duration = time.monotonic() - began
    assert whole.exitcode == 0, (tmp_path / "whole.log").read_text(encoding="utf-8")
    rng = np.random.default_rng(11)
    hits = trainings = resumed = 0
    log = tmp_path / "run.log"
    # A kill in the first epoch leaves nothing to resume, so there are more kills until a training was resumed.
    while hits < kills or (resumed == 0 and hits < kills + 8):
        process = start(["train", *arguments, str(tmp_path / "run")], log)
        process.join(rng.uniform(0.4, 0.95) * duration)
        process.kill()
        process.join()
        hits += process.exitcode == -9
        if process.exitcode == 0:
            trainings += 1
            assert_same_run(tmp_path / "whole", tmp_path / "run")
        else:
            assert process.exitcode == -9, log.read_text(encoding="utf-8")
        resumed = log.read_text(encoding="utf-8").count("resuming after epoch")
    process = start(["train", *arguments, str(tmp_path / "run")], log)
    process.join()
    assert process.exitcode == 0, log.read_text(encoding="utf-8")
    assert_same_run(tmp_path / "whole", tmp_path / "run")
    assert not checkpoint_place(tmp_path / "run").exists()
    resumed = log.read_text(encoding="utf-8").count("resuming after epoch")
    print(f"{recipe}: {hits} kills, {resumed} resumed, {trainings + 1} trainings ended, {duration:.1f} s one alone")  # noqa: T201
    assert resumed > 0
