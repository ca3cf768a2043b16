"""Makes the task of giving a text a number, such as a rating. Imports Keras.

The numbers are standardised with the mean and the deviation of the training part, and the loss is the mean squared
error. After the training the scale is folded into the last layer: (V h + c) s + m has V' = V s and c' = c s + m. So the
exported file gives the rating itself.
"""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import numpy.typing as npt

from rnnx.bundle.samples import RatedSample, rated_samples_to_json
from rnnx.datasets import RatingDataset, Ratings, split_ratings
from rnnx.errors import DataError
from rnnx.metrics.rating_errors import measure_ratings
from rnnx.text.tokenizer import Tokenizer
from rnnx.train.classification import build_tokenizer, unknown_share
from rnnx.train.multilabel import encode_targets, predict
from rnnx.train.numbers import Scale, fold_outputs
from rnnx.train.recipes import TextRecipe
from rnnx.train.task import Conclusion, Task, choose_samples


def rating(dataset: RatingDataset, recipe: TextRecipe, seed: int) -> Task:
    """Splits and encodes texts with a number each.

    Args:
        dataset: The texts; some of them are held out.
        recipe: The recipe to train.
        seed: The seed of the split.

    Raises:
        DataError: If there is a single text, all numbers are the same, or the texts hold no word.
    """
    if len(dataset.train) < 2:
        raise DataError(f"{dataset.name}: there is a single text; at least two are needed, because one is held out")
    parts = split_ratings(dataset.train, recipe.validation_fraction, seed)
    if (parts[0].targets == parts[0].targets[0]).all():
        raise DataError(f"{dataset.name}: all numbers of the training part are the same; there is nothing to learn")
    scale = Scale.of(parts[0].targets.astype(np.float32))
    tokenizer = build_tokenizer(dataset.name, recipe, parts[0].texts)
    train, validation = (
        encode_targets(part.texts, scale.apply(part.targets.astype(np.float32)), tokenizer) for part in parts
    )
    mean = float(parts[0].targets.mean())
    return Task(
        recipe=recipe,
        parts=(train, validation),
        counts=(len(parts[0]), len(parts[1])),
        task_kind="regression",
        build=lambda: recipe.build(len(tokenizer.vocabulary), 1, "linear"),
        loss="mean_squared_error",
        metrics=lambda: [keras.metrics.R2Score(name="r2")],
        vocabulary=tokenizer.vocabulary.to_bytes(),
        vocabulary_size=len(tokenizer.vocabulary),
        samples=lambda model, seed: _record_samples(model, tokenizer, parts[1], seed),
        score="r2",
        finish=lambda model: fold_outputs(model, scale),
        unknown_share=unknown_share(validation.texts.rows),
        conclude=lambda model: _conclude(predict(model, validation, recipe.batch_size), parts[1].targets, mean),
    )


def _conclude(actual: npt.NDArray[np.float64], expected: npt.NDArray[np.float64], mean: float) -> Conclusion:
    figures = measure_ratings(expected, actual, mean)
    rows = (
        ("mean absolute error", f"{figures.mae:.4g} (always the mean, {mean:.4g}: {figures.baseline_mae:.4g})"),
        ("root mean squared error", f"{figures.rmse:.4g} (always the mean: {figures.baseline_rmse:.4g})"),
        ("R2", "-" if figures.r2 is None else f"{figures.r2:.4f}"),
        ("correlation (Pearson)", "-" if figures.pearson is None else f"{figures.pearson:.4f}"),
    )
    return Conclusion({"validation_ratings": dataclasses.asdict(figures)}, rows)


def _record_samples(model: keras.Model, tokenizer: Tokenizer, validation: Ratings, seed: int) -> bytes:
    """Records some held-out texts with Keras's numbers, which a later export must reproduce."""
    texts = validation.take(choose_samples(len(validation), seed)).texts
    values = model.predict_on_batch(tokenizer.pad([tokenizer.encode(text).ids for text in texts]))
    return rated_samples_to_json([RatedSample(text, float(row[0])) for text, row in zip(texts, values, strict=True)])
