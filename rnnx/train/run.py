"""One training from a data set to a run directory, which `rnnx export` takes up."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rnnx.bundle import (
    CURVES_NAME,
    HISTORY_NAME,
    KERAS_NAME,
    METRICS_NAME,
    SAMPLES_NAME,
    VOCABULARY_NAME,
    require_replaceable,
    write_directory,
)
from rnnx.config import ModelConfig, TrainingConfig, tool_versions
from rnnx.datasets import Dataset, Examples, split_by_label
from rnnx.errors import DataError
from rnnx.samples import Sample, samples_to_json
from rnnx.text import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train.curves import draw_curves
from rnnx.train.fit import Fit, Observer, fit
from rnnx.train.recipes import Recipe

VALIDATION_FRACTION = 0.2  # the article's
_SAMPLE_COUNT = 64


def train(
    dataset: Dataset, recipe: Recipe, out: Path, *, epochs: int | None = None, seed: int = 0, observer: Observer
) -> Fit:
    """Trains a recipe on a data set and writes the run; the test part is not looked at.

    Args:
        dataset: Labelled texts.
        recipe: What to train.
        out: The run's directory; an earlier run or bundle there is replaced.
        epochs: The recipe's own number if None.
        seed: Of everything that is drawn.
        observer: Told of batches and epochs.

    Raises:
        DataError: If some label has a single text.
        UsageError: If something that is not rnnx's stands at `out`.
        OSError: If the run cannot be written.
    """
    require_replaceable(out)
    if epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=epochs)
    _require_labels(dataset)
    parts = split_by_label(dataset.train, VALIDATION_FRACTION, seed)
    vocabulary = Vocabulary.build(parts[0].texts, recipe.vocabulary_size, strip_breaks=recipe.tokenizer.strip_breaks)
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise DataError(f"{dataset.name}: the training texts hold no word at all")
    tokenizer = Tokenizer(recipe.tokenizer, vocabulary)
    fitted = fit(recipe, tokenizer, parts, len(dataset.labels), seed=seed, observer=observer)
    training = TrainingConfig(
        recipe=recipe.name,
        dataset=dataset.name,
        train_count=len(parts[0]),
        validation_count=len(parts[1]),
        seed=seed,
        epochs=len(fitted.history),
        best_epoch=fitted.best.epoch,
        best_validation_accuracy=round(fitted.best.validation_accuracy, 6),
    )
    config = ModelConfig(
        name=dataset.name if recipe.name == "default" else f"{dataset.name}-{recipe.name}",
        labels=dataset.labels,
        output_size=fitted.model.output_shape[-1],
        vocabulary_size=len(vocabulary),
        tokenizer=recipe.tokenizer,
        architecture=describe(fitted.model),
        parameter_count=int(fitted.model.count_params()),
        training=training,
        tools=tool_versions("keras", "tensorflow", "numpy"),
    )
    title = f"{config.name}: {len(parts[0]):,} training texts, {len(parts[1]):,} for validation"
    files = {
        KERAS_NAME: keras_bytes(fitted.model),
        VOCABULARY_NAME: vocabulary.to_bytes(),
        HISTORY_NAME: _json([dataclasses.asdict(epoch) for epoch in fitted.history]),
        METRICS_NAME: _json({**dataclasses.asdict(fitted.best), "is_interrupted": fitted.is_interrupted}),
        CURVES_NAME: draw_curves(fitted.history, fitted.best, title),
        SAMPLES_NAME: samples_to_json(_samples(fitted.model, tokenizer, parts[1], dataset.labels, seed)),
    }
    write_directory(out, config, files)
    return fitted


def _require_labels(dataset: Dataset) -> None:
    if len(dataset.labels) < 2:
        raise DataError(
            f"{dataset.name}: one label ({dataset.labels[0]!r}) in the training part; a classifier needs at least two"
        )
    counts = np.bincount(dataset.train.label_ids, minlength=len(dataset.labels))
    if single := [label for label, count in zip(dataset.labels, counts, strict=True) if count < 2]:
        raise DataError(
            f"{dataset.name}: a single text of {', '.join(single)}; at least two are needed to hold one out"
        )


def describe(model: keras.Model) -> tuple[str, ...]:
    """One line per layer: class, name, output shape, parameters."""
    return tuple(
        f"{type(layer).__name__} {layer.name}: {_shape(layer.output.shape)}, {layer.count_params():,} parameters"
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    )


def _shape(shape: tuple[int | None, ...]) -> str:
    names = ["batch", "time", *("?" for _ in shape)]
    return "(" + ", ".join(names[i] if size is None else str(size) for i, size in enumerate(shape)) + ")"


def keras_bytes(model: keras.Model) -> bytes:
    """The model as a `.keras` file, without the optimizer (twice the weights, of no use here)."""
    bare = type(model).from_config(model.get_config())
    bare.set_weights(model.get_weights())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / KERAS_NAME
        bare.save(path)
        return path.read_bytes()


def _samples(
    model: keras.Model, tokenizer: Tokenizer, validation: Examples, labels: tuple[str, ...], seed: int
) -> list[Sample]:
    """Some held-out texts with what Keras says of them now: export has to come to the same labels."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(validation), min(_SAMPLE_COUNT, len(validation)), replace=False)
    texts = validation.take(np.sort(chosen)).texts
    probs = model.predict_on_batch(tokenizer.pad([tokenizer.encode(text).ids for text in texts]))
    if probs.shape[-1] == 1:
        probs = np.hstack([1 - probs, probs])
    return [Sample(text, labels[int(row.argmax())], float(row.max())) for text, row in zip(texts, probs, strict=True)]


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
