"""Tests what the options change of a recipe, and that the networks that they make learn and fold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import numpy as np
from keras import layers

from rnnx.bundle.directory import read_directory
from rnnx.datasets import Dataset
from rnnx.datasets.validation import with_validation
from rnnx.errors import UsageError
from rnnx.train.fit import Observer
from rnnx.train.identity import recipe_settings
from rnnx.train.networks import Cell, series_network, with_shape
from rnnx.train.numbers import Scale, fold
from rnnx.train.options import Options, apply_options
from rnnx.train.recipes import ARTICLE, DEFAULT, SERIES, TAGGER, TextRecipe
from rnnx.train.run import train
from tests.texts import make_texts, tiny_recipe

pytestmark = pytest.mark.train


def test_without_options_every_recipe_stays() -> None:
    for recipe in (ARTICLE, DEFAULT, TAGGER, SERIES):
        assert apply_options(recipe, Options()) == recipe


def test_options_change_what_they_name() -> None:
    options = Options(
        units=5, depth=2, cell="gru", learning_rate=0.5, batch_size=7, epochs=9, validation_split=0.3, patience=2
    )
    recipe = apply_options(DEFAULT, options)
    assert isinstance(recipe, TextRecipe)
    assert (recipe.batch_size, recipe.epochs, recipe.validation_fraction, recipe.patience) == (7, 9, 0.3, 2)
    assert float(recipe.optimizer(10).learning_rate) == pytest.approx(0.5)
    model = recipe.build(50, 1, "sigmoid")
    recurrences = [layer.forward_layer for layer in model.layers if isinstance(layer, layers.Bidirectional)]
    assert [(type(layer), layer.units) for layer in recurrences] == [(layers.GRU, 5)] * 2
    tagger = apply_options(TAGGER, Options(vocabulary_size=11, max_length=13, validation_split=0.4))
    assert (tagger.vocabulary_size.words, tagger.words.max_length, tagger.held_out) == (11, 13, 0.4)  # type: ignore[attr-defined]
    text = apply_options(DEFAULT, Options(vocabulary_size=11, max_length=13))
    assert (text.vocabulary_size, text.tokenizer.max_length) == (11, 13)  # type: ignore[attr-defined]


def test_every_option_that_decides_a_training_is_hashed_unless_the_network_or_optimizer_shows_it() -> None:
    for options in (
        Options(batch_size=7),
        Options(epochs=9),
        Options(patience=9),
        Options(validation_split=0.3),
        Options(vocabulary_size=9),
        Options(max_length=9),
        Options(class_weights="balanced"),
        Options(embeddings=Path(__file__)),
    ):
        assert recipe_settings(apply_options(DEFAULT, options)) != recipe_settings(DEFAULT), options
    assert recipe_settings(apply_options(SERIES, Options(validation_split=0.3))) != recipe_settings(SERIES)


@pytest.mark.parametrize(
    ("recipe", "options", "name"),
    [
        (ARTICLE, Options(units=5), "--units"),
        (ARTICLE, Options(cell="gru"), "--cell"),
        (ARTICLE, Options(embeddings=Path(__file__)), "--embeddings"),
        (SERIES, Options(embeddings=Path(__file__)), "--embeddings"),
        (SERIES, Options(max_length=5), "--max-length"),
        (SERIES, Options(vocabulary_size=5), "--vocabulary-size"),
        (TAGGER, Options(class_weights="balanced"), "--class-weights"),
    ],
)
def test_an_option_without_a_meaning_is_refused(recipe: TextRecipe, options: Options, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} has no meaning for the recipe {recipe.name}; leave it out"):
        apply_options(recipe, options)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_scale_is_folded_into_every_kind_of_cell(cell: Cell) -> None:
    keras.utils.set_random_seed(1)
    build = with_shape(series_network, cell=cell, units=3, depth=2)
    assert build is not None
    model = build(2, 3, "softmax")
    for layer in model.layers:  # biases of 0 would hide a wrong sum
        layer.set_weights([np.random.default_rng(2).normal(0, 0.5, w.shape) for w in layer.get_weights()])
    x = np.random.default_rng(3).normal([5, -2], [2, 3], (4, 6, 2)).astype(np.float32)
    scale = Scale.of(x.reshape(-1, 2))
    expected = model.predict_on_batch((scale.apply(x), np.ones(x.shape[:2], np.bool_)))
    assert fold(model, scale, None).predict_on_batch(x) == pytest.approx(expected, abs=1e-5)


def test_word_vectors_are_the_start_and_the_same_file_gives_the_same_run(tiny_dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "vectors.vec"
    path.write_text("3 4\nwonderful 1 1 1 1\nawful -1 -1 -1 -1\nunused 9 9 9 9\n", encoding="utf-8")
    recipe = apply_options(tiny_recipe("default"), Options(embeddings=path, units=8, epochs=2))
    stages: list[str] = []
    histories = []
    for name in ("a", "b"):
        observer = Observer(on_stage=lambda stage: stages.append(stage.name))
        fitted = train(tiny_dataset, recipe, tmp_path / name, seed=5, observer=observer)
        assert fitted.model.get_layer("embedding").output_dim == 4
        histories.append(read_directory(tmp_path / name)["history.json"])
    assert histories[0] == histories[1]
    assert stages == ["2 of 24 words have a vector"] * 2


def test_the_best_weights_are_kept_and_measured_on_the_validation_file(tmp_path: Path) -> None:
    held_out = Dataset.from_pairs("held", make_texts(40, 9))
    data = with_validation(Dataset.from_pairs("tiny", make_texts(120, 1)), held_out)
    recipe = apply_options(tiny_recipe("default"), Options(epochs=8, learning_rate=0.5, patience=2))
    fitted = train(data, recipe, tmp_path / "run", observer=Observer())
    run = read_directory(tmp_path / "run")
    metrics = json.loads(run["metrics.json"])
    assert run.config.training is not None
    assert (run.config.training.train_count, run.config.training.validation_count) == (120, 40)
    assert fitted.held_out is not None
    assert fitted.held_out.accuracy == pytest.approx(fitted.best.validation_score), (
        "the kept weights should be the best"
    )
    assert metrics["validation_macro_f1"] == fitted.held_out.macro_f1
    assert metrics["validation_majority"] == 0.5
