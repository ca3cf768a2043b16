"""Trains a recipe on a data set and writes the run directory, which `rnnx export` reads. Imports Keras."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import keras

from rnnx.bundle.config import ModelConfig, TokenizerConfig, TrainingConfig, WordsConfig, tool_versions
from rnnx.bundle.directory import (
    CURVES_NAME,
    HISTORY_NAME,
    KERAS_NAME,
    METRICS_NAME,
    SAMPLES_NAME,
    SETTINGS_NAME,
    VOCABULARY_NAME,
    require_replaceable,
    write_directory,
)
from rnnx.datasets import (
    DESCRIPTIONS,
    AnyDataset,
    Dataset,
    LabelSetDataset,
    RatingDataset,
    SeriesDataset,
    TaggedDataset,
)
from rnnx.errors import UsageError
from rnnx.keras_models.describe import describe
from rnnx.strict_json import to_json_bytes
from rnnx.train.checkpoint import Checkpoint, checkpoint_place, hold_checkpoint
from rnnx.train.classification import classification
from rnnx.train.curves import draw_curves
from rnnx.train.fit import Fit, Observer, fit
from rnnx.train.identity import identify
from rnnx.train.linear_part import with_linear_part
from rnnx.train.multilabel import multilabel
from rnnx.train.numbers import series
from rnnx.train.rating import rating
from rnnx.train.recipes import DEFAULT_RECIPES, Recipe, SeriesRecipe, TaggerRecipe, TextRecipe
from rnnx.train.subwords import with_subwords
from rnnx.train.tagging import tagging
from rnnx.train.task import Task


def train(  # noqa: PLR0913  # the last one does not touch the training
    dataset: AnyDataset,
    recipe: Recipe,
    out: Path,
    *,
    epochs: int | None = None,
    seed: int = 0,
    observer: Observer,
    settings: bytes | None = None,
) -> Fit:
    """Trains a recipe on a data set and writes the run; the test part is not used.

    Each epoch is saved in `OUT.checkpoint`, next to the run. If the process is killed, the same call resumes from there
    and ends with the same weights and history, to the bit. The same holds after an interrupt, which also writes the run
    with the best epoch so far. When the training is complete, the checkpoint is removed.

    Args:
        dataset: Texts with labels or numbers, tagged sentences, or sequences of numbers.
        recipe: The recipe to train.
        out: The run's directory; an earlier run or bundle there is replaced.
        epochs: The number of epochs; None takes the recipe's.
        seed: The seed of everything that is drawn.
        observer: Called during the training.
        settings: The content of the run's `train.toml`, which repeats it; None writes no such file.

    Returns:
        The trained network and its history.

    Raises:
        DataError: If a label has a single example, or there is a single label, tag, sentence or sequence.
        UsageError: If `out` holds anything that is not a run or a bundle, or the recipe is for another kind of data, or
            the checkpoint belongs to another training or one that is running.
        ModelError: If the checkpoint is damaged.
        OSError: If the run or the checkpoint cannot be written.
    """
    require_replaceable(out)
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    with hold_checkpoint(checkpoint_place(out)):
        return _train(dataset, recipe, out, seed, observer, settings)


def _train(
    dataset: AnyDataset, recipe: Recipe, out: Path, seed: int, observer: Observer, settings: bytes | None
) -> Fit:
    task = make_task(dataset, recipe, seed)
    checkpoint = Checkpoint(checkpoint_place(out), identify(task, seed))
    fitted = fit(task, seed=seed, observer=observer, checkpoint=checkpoint)
    metrics = {**fitted.best.figures(), "is_interrupted": fitted.is_interrupted, "ending": fitted.ending}
    if fitted.held_out is not None:
        metrics |= fitted.held_out.figures()
    metrics |= fitted.additions
    if task.calibrate is not None:
        tempered = task.calibrate(fitted.model)
        fitted, metrics = dataclasses.replace(fitted, model=tempered.model), {**metrics, **tempered.figures()}
    if task.conclude is not None:
        conclusion = task.conclude(fitted.model)
        fitted, metrics = dataclasses.replace(fitted, conclusion=conclusion), {**metrics, **conclusion.figures}
    config = _describe_run(dataset, task, fitted, seed)
    title = f"{config.name}: {task.counts[0]:,} training {task.recipe.kind}, {task.counts[1]:,} for validation"
    files = {
        KERAS_NAME: keras_bytes(fitted.model),
        HISTORY_NAME: to_json_bytes(_history(fitted), indent=2, allow_nan=True),
        METRICS_NAME: to_json_bytes(metrics, indent=2, allow_nan=True),
        CURVES_NAME: draw_curves(fitted.history, fitted.best, title),
        SAMPLES_NAME: task.samples(fitted.model, seed),
    }
    if settings is not None:
        files[SETTINGS_NAME] = settings
    if task.vocabulary is not None:
        files[VOCABULARY_NAME] = task.vocabulary
    write_directory(out, config, files)
    if not fitted.is_interrupted:
        checkpoint.remove()
    return fitted


def make_task(dataset: AnyDataset, recipe: Recipe, seed: int) -> Task:
    """Splits and encodes a data set for a recipe.

    Args:
        dataset: The data set.
        recipe: A recipe for the same kind of data.
        seed: The seed of the split.

    Raises:
        DataError: If the training part is too small to hold some of it out, or holds no word.
        UsageError: If the recipe is for another kind of data.
    """
    match dataset, recipe:
        case TaggedDataset(), TaggerRecipe():
            return tagging(dataset, recipe, seed)
        case SeriesDataset(), SeriesRecipe():
            return series(dataset, recipe, seed)
        case Dataset(), TextRecipe():
            return with_linear_part(with_subwords(classification(dataset, recipe, seed)))
        case LabelSetDataset(), TextRecipe():
            return with_linear_part(with_subwords(multilabel(dataset, recipe, seed)))
        case RatingDataset(), TextRecipe():
            return with_subwords(rating(dataset, recipe, seed))
    raise UsageError(
        f"recipe {recipe.name} is for {DESCRIPTIONS[recipe.kind]}, and {dataset.name} holds "
        f"{DESCRIPTIONS[dataset.kind]}; use --recipe {DEFAULT_RECIPES[dataset.kind].name}"
    )


def _describe_run(dataset: AnyDataset, task: Task, fitted: Fit, seed: int) -> ModelConfig:
    best = round(fitted.best.validation_score, 6)
    reading = task.recipe.reading
    training = TrainingConfig(
        recipe=task.recipe.name,
        dataset=dataset.name,
        train_count=task.counts[0],
        validation_count=task.counts[1],
        seed=seed,
        epochs=len(fitted.history),
        best_epoch=fitted.best.epoch,
        best_validation_accuracy=best if task.score == "accuracy" else None,
        best_validation_r2=best if task.score == "r2" else None,
        best_validation_f1=best if task.score == "f1" else None,
        ending=fitted.ending,
    )
    return ModelConfig(
        name=dataset.name if task.recipe.name in ("default", "series") else f"{dataset.name}-{task.recipe.name}",
        labels=dataset.labels,
        output_size=fitted.model.output_shape[-1],
        vocabulary_size=task.vocabulary_size,
        tokenizer=reading if isinstance(reading, TokenizerConfig) else None,
        words=reading if isinstance(reading, WordsConfig) else None,
        task=task.task_kind,
        thresholds=fitted.conclusion.thresholds if fitted.conclusion else (),
        architecture=describe(fitted.model),
        parameter_count=int(fitted.model.count_params()),
        training=training,
        tools=tool_versions("keras", "tensorflow", "numpy"),
    )


def _history(fitted: Fit) -> list[dict[str, Any]]:
    """The epochs; the last one says why the training ended if it ended early."""
    epochs: list[dict[str, Any]] = [epoch.figures() for epoch in fitted.history]
    if fitted.ending != "whole":
        epochs[-1]["ending"] = fitted.ending
    return epochs


def keras_bytes(model: keras.Model) -> bytes:
    """Saves a model as a `.keras` file without the optimizer, which is twice as large as the weights."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KERAS_NAME
        bare.save(path)
        return path.read_bytes()
