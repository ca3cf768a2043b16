"""The task of giving a whole text one label."""

from __future__ import annotations

import keras
import numpy as np

from rnnx.datasets import Dataset, Examples, split_by_label
from rnnx.errors import DataError
from rnnx.samples import Sample, samples_to_json
from rnnx.text import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train.batches import TextSource
from rnnx.train.recipes import Recipe
from rnnx.train.task import VALIDATION_FRACTION, Task, choose_samples
from rnnx.train.temperature import temper


def classification(dataset: Dataset, recipe: Recipe, seed: int) -> Task:
    """Splits and encodes texts with a label each.

    Args:
        dataset: Labelled texts; a fifth of each label is held out.
        recipe: What to train.
        seed: Of the split.

    Raises:
        DataError: If some label has a single text, or the texts hold no word.
    """
    _require_labels(dataset)
    parts = split_by_label(dataset.train, VALIDATION_FRACTION, seed)
    vocabulary = Vocabulary.build(parts[0].texts, recipe.vocabulary_size, strip_breaks=recipe.tokenizer.strip_breaks)
    if len(vocabulary) == len(SPECIAL_TOKENS):
        raise DataError(f"{dataset.name}: the training texts hold no word at all")
    tokenizer = Tokenizer(recipe.tokenizer, vocabulary)
    train, validation = (
        TextSource([tokenizer.encode(text).ids for text in part.texts], part.label_ids, tokenizer) for part in parts
    )
    outputs, activation, loss = (
        (1, "sigmoid", "binary_crossentropy")
        if len(dataset.labels) == 2
        else (len(dataset.labels), "softmax", "sparse_categorical_crossentropy")
    )
    return Task(
        recipe=recipe,
        parts=(train, validation),
        counts=(len(parts[0]), len(parts[1])),
        unit="texts",
        kind="classification",
        build=lambda: recipe.build(len(vocabulary), outputs, activation),
        loss=loss,
        metrics=lambda: ["accuracy"],
        vocabulary=vocabulary.to_bytes(),
        vocabulary_size=len(vocabulary),
        tokenizer=recipe.tokenizer,
        words=None,
        samples=lambda model, seed: _samples(model, tokenizer, parts[1], dataset.labels, seed),
        calibrate=(lambda model: temper(model, validation, recipe.batch_size)) if recipe.has_temperature else None,
    )


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


def _samples(
    model: keras.Model, tokenizer: Tokenizer, validation: Examples, labels: tuple[str, ...], seed: int
) -> bytes:
    """Some held-out texts with what Keras says of them now: export has to come to the same labels."""
    texts = validation.take(choose_samples(len(validation), seed)).texts
    probs = model.predict_on_batch(tokenizer.pad([tokenizer.encode(text).ids for text in texts]))
    if probs.shape[-1] == 1:
        probs = np.hstack([1 - probs, probs])
    return samples_to_json(
        [Sample(text, labels[int(row.argmax())], float(row.max())) for text, row in zip(texts, probs, strict=True)]
    )
