from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.bundle.directory import read_directory
from rnnx.bundle.samples import samples_from_json
from rnnx.datasets import Dataset
from rnnx.errors import UsageError
from rnnx.text.tokenizer import Vocabulary
from rnnx.train.fit import Observer
from rnnx.train.run import train
from tests.texts import make_texts, tiny_recipe

pytestmark = pytest.mark.train


def test_a_run_holds_the_results_of_the_training(tiny_run: Path, tiny_dataset: Dataset) -> None:
    run = read_directory(tiny_run)
    history = json.loads(run["history.json"])
    metrics = json.loads(run["metrics.json"])
    training = run.config.training
    assert training is not None
    assert [epoch["epoch"] for epoch in history] == [1, 2, 3]
    assert max(epoch["validation_accuracy"] for epoch in history) == metrics["validation_accuracy"]
    assert metrics["epoch"] == training.best_epoch
    counts = {"article": (192, 48), "default": (216, 24)}  # a fifth and a tenth of each label are held out
    assert (training.train_count, training.validation_count) == counts[tiny_run.name]
    assert run["curves.png"].startswith(b"\x89PNG")
    vocabulary = Vocabulary.from_bytes(run["vocabulary.txt"])
    assert len(vocabulary) == run.config.vocabulary_size == 24
    samples = samples_from_json(run["samples.json"])
    assert {sample.label for sample in samples} == {"neg", "pos"}
    assert {sample.text for sample in samples} <= set(tiny_dataset.train.texts)
    assert tiny_dataset.test is not None
    only_test = set(tiny_dataset.test.texts) - set(tiny_dataset.train.texts)
    assert only_test, "some texts should be in the test part alone"
    assert not {sample.text for sample in samples} & only_test


def test_the_network_learns(tiny_dataset: Dataset, tmp_path: Path) -> None:
    recipe = dataclasses.replace(tiny_recipe("default"), epochs=12)
    fitted = train(tiny_dataset, recipe, tmp_path / "run", seed=3, observer=Observer())
    assert fitted.best.validation_score >= 0.9


def test_the_same_seed_gives_the_same_run(tiny_dataset: Dataset, tmp_path: Path) -> None:
    histories = []
    for name in ("a", "b"):
        train(tiny_dataset, tiny_recipe("default"), tmp_path / name, epochs=1, seed=5, observer=Observer())
        histories.append(read_directory(tmp_path / name)["history.json"])
    assert histories[0] == histories[1]


def test_an_interrupt_keeps_the_best_epoch_so_far(tiny_dataset: Dataset, tmp_path: Path) -> None:
    def stop(progress: object) -> None:
        if progress.epoch == 3:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    fitted = train(tiny_dataset, tiny_recipe("default"), tmp_path / "run", seed=3, observer=Observer(on_batch=stop))
    run = read_directory(tmp_path / "run")
    assert fitted.is_interrupted
    assert len(json.loads(run["history.json"])) == 2
    assert run.config.training is not None
    assert run.config.training.best_epoch in (1, 2)


def test_an_interrupt_in_the_first_epoch_leaves_nothing(tiny_dataset: Dataset, tmp_path: Path) -> None:
    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny_dataset, tiny_recipe("default"), tmp_path / "run", observer=Observer(on_batch=stop))
    assert not (tmp_path / "run").exists()


def test_three_labels_train_a_softmax(tmp_path: Path) -> None:
    pairs = make_texts(60, 4) + [(b"neither here nor there", "mixed")] * 20
    fitted = train(
        Dataset.from_pairs("three", pairs), tiny_recipe("default"), tmp_path / "run", epochs=1, observer=Observer()
    )
    assert fitted.model.output_shape == (None, 3)
    assert read_directory(tmp_path / "run").config.labels == ("mixed", "neg", "pos")


def test_training_does_not_overwrite_foreign_files(tiny_dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="choose another --out"):
        train(tiny_dataset, tiny_recipe("default"), tmp_path, observer=Observer())
