"""Tests training on numbers: what is folded into the weights, and what is written to the run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.bundle.directory import read_directory
from rnnx.bundle.samples import series_samples_from_json
from rnnx.card.card import write_card
from rnnx.datasets import Dataset, Series, SeriesDataset
from rnnx.errors import DataError, UsageError
from rnnx.keras_models.read_network import read_network
from rnnx.rounding.decisions import decide
from rnnx.train.batches import BatchSource, SeriesSource
from rnnx.train.fit import Observer, fit
from rnnx.train.numbers import Scale, fold, series
from rnnx.train.recipes import DEFAULT, SERIES
from rnnx.train.run import make_task, train
from rnnx.train.task import StageProgress
from tests.sensors import decays, oscillations
from tests.texts import make_texts

pytestmark = pytest.mark.train


def test_a_folded_network_gives_the_answers_of_the_trained_one() -> None:
    """Folding rounds each weight once, which is less than the bound allows for the roundings of a step."""
    x = oscillations(8, 1)[0].astype(np.float32)
    scale = Scale.of(x.reshape(-1, 2))
    values = Scale(np.array([5.0, -2.0]), np.array([0.5, 100.0]))
    keras.utils.set_random_seed(0)
    trained = SERIES.build(2, 2, "linear")
    bare = fold(trained, Scale(np.zeros(2), np.ones(2)), None)
    standardised = (x - scale.mean) / scale.deviation
    expected = read_network(bare).predict(standardised) * values.deviation + values.mean
    folded = fold(trained, scale, values)
    assert [tuple(tensor.shape) for tensor in folded.inputs] == [(None, None, 2)]
    decision = decide(read_network(folded), x)["values"]
    assert (np.abs(expected - decision.values) <= decision.bounds).all()
    assert (np.ptp(expected, axis=0) > 100 * decision.bounds.max(axis=0)).all()


def test_padding_does_not_reach_the_network() -> None:
    model = SERIES.build(2, 3, "softmax")
    rows = [np.ones((3, 2), np.float32), np.full((7, 2), -1, np.float32)]
    source = SeriesSource(rows, np.zeros((2, 1), np.int32))
    (numbers, present), targets = source.stack(np.array([0, 1]))
    assert (numbers.shape, present.sum(axis=1).tolist(), targets.tolist()) == ((2, 7, 2), [3, 7], [[0], [0]])
    together = model([numbers, present]).numpy()
    for row, expected in zip(rows, together, strict=True):
        alone = model([row[None], np.ones((1, len(row)), np.bool_)]).numpy()[0]
        assert alone == pytest.approx(expected, abs=1e-6)  # probabilities may differ by some ulp


def test_a_constant_feature_is_accepted_and_one_with_a_large_offset_refused() -> None:
    scale = Scale.of(np.array([[7e6, 1], [7e6, 3]], np.float32))
    assert (scale.mean.tolist(), scale.deviation.tolist()) == ([7e6, 2], [7e6, 1])
    rows = [np.array([[1.6e9 + 200 * i, i]], np.float32) for i in range(8)]
    dataset = SeriesDataset("clock", ("a", "b"), Series(rows, np.arange(8, dtype=np.int32) % 2), None, "classification")
    with pytest.raises(
        DataError,
        match=r"clock: x: feature 0 \(from 0\) has the mean 1\.6e\+09 and the deviation .* subtract an offset",
    ):
        series(dataset, SERIES, 0)


def test_equal_target_values_are_refused() -> None:
    rows = [np.array([[float(i)]], np.float32) for i in range(8)]
    dataset = SeriesDataset("flat", (), Series(rows, np.ones((8, 1), np.float32)), None, "regression")
    with pytest.raises(DataError, match="flat: all values of y in the training part are the same"):
        series(dataset, SERIES, 0)


def test_a_regression_run_records_how_good_it_is(tmp_path: Path) -> None:
    x, y = decays(60, 1)
    rows = [row[: 16 - i % 3].astype(np.float32) for i, row in enumerate(x)]
    dataset = SeriesDataset("decay", (), Series(rows, y[:, None].astype(np.float32)), None, "regression")
    recipe = dataclasses.replace(SERIES, epochs=2)
    fitted = train(dataset, recipe, tmp_path / "run", seed=1, observer=Observer())
    run = read_directory(tmp_path / "run")
    history = json.loads(run["history.json"])
    assert [set(epoch) for epoch in history] == [{"epoch", "loss", "r2", "validation_loss", "validation_r2"}] * 2
    assert run["curves.png"].startswith(b"\x89PNG")
    assert "vocabulary.txt" not in run.files
    config = run.config
    assert (config.name, config.task, config.labels, config.output_size, config.kind) == (
        "decay", "regression", (), 1, "sequences",
    )  # fmt: skip
    assert config.training is not None
    assert config.training.best_validation_accuracy is None
    assert config.training.best_validation_r2 == pytest.approx(fitted.best.validation_score, abs=1e-6)
    assert (config.training.train_count, config.training.validation_count) == (48, 12)
    samples = series_samples_from_json(run["samples.json"])
    assert len(samples) == 12
    answer = fitted.model.predict_on_batch(samples[0].x[None])[0]
    assert samples[0].values == pytest.approx(
        answer.tolist(), abs=1e-6
    )  # half-lives are about 7 steps, so this is about an ulp


@pytest.fixture(scope="module")
def few() -> SeriesDataset:
    """Sequences of three labels."""
    x, modes = oscillations(20, 1)
    labels, label_ids = np.unique(modes, return_inverse=True)
    part = Series(list(x.astype(np.float32)), label_ids.astype(np.int32))
    return SeriesDataset(name="o", labels=tuple(labels.tolist()), train=part, test=None, task="classification")


def test_few_sequences_are_trained_on_again_with_those_that_were_held_out(few: SeriesDataset) -> None:
    def find_whole(data: SeriesDataset, most: int = 2_000) -> BatchSource | None:
        return make_task(data, dataclasses.replace(SERIES, most_retrained=most), 1).whole

    whole = find_whole(few)
    assert whole is not None
    assert len(whole.lengths) == 20
    assert find_whole(few, 19) is None
    assert find_whole(dataclasses.replace(few, validation=few.train.take(np.arange(6)))) is None
    values = np.linspace(0, 1, 20, dtype=np.float32)[:, None]
    numbers = dataclasses.replace(few, train=Series(few.train.rows, values), labels=(), task="regression")
    assert find_whole(numbers) is None


@pytest.mark.slow
def test_the_last_training_keeps_the_figures_of_the_first_one(few: SeriesDataset, tmp_path: Path) -> None:
    recipe = dataclasses.replace(SERIES, epochs=2)
    told: list[StageProgress] = []
    fitted = train(few, recipe, tmp_path / "run", seed=1, observer=Observer(on_retraining=told.append))
    assert fitted.additions["retrained_on"] == 20
    assert {p.name for p in told} == {"training again on all 20 sequences"}
    assert [(p.done, p.total) for p in told] == [(done, 2) for done in range(3)], "the start, and each of two batches"
    first = fit(dataclasses.replace(make_task(few, recipe, 1), whole=None), seed=1, observer=Observer())
    assert (first.best, first.held_out) == (fitted.best, fitted.held_out)
    weights = zip(first.model.get_weights(), fitted.model.get_weights(), strict=True)
    assert not any(np.array_equal(a, b) for a, b in weights)
    directory = read_directory(tmp_path / "run")
    assert "on all 20 sequences" in write_card(directory.config, directory.files)


def test_recipe_and_data_must_be_of_one_kind() -> None:
    texts = Dataset.from_pairs("texts", make_texts(8, 1))
    numbers = SeriesDataset("numbers", (), Series([], np.zeros((0, 1), np.float32)), None, "regression")
    with pytest.raises(
        UsageError, match=r"recipe series is for sequences of numbers \(\.npz\), and texts holds texts with a"
    ):
        make_task(texts, SERIES, 0)
    with pytest.raises(
        UsageError, match="recipe default is for texts with a label each, and numbers holds sequences of numbers"
    ):
        make_task(numbers, DEFAULT, 0)
