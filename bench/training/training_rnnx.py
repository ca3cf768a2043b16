"""Trains on the reviews of `training_keras` as rnnx does; prints JSON.

    python -m bench.training.training_rnnx article|default REVIEWS.npz SEED TARGET

`article` trains the article's network with its optimizer, initial weights and order of texts by `rnnx.train.fit`.
`default` trains the default recipe's network with its optimizer on batches of similar length. It learns from the labels
only (no pretraining, no teacher, no smoothing) and is validated after each quarter of an epoch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time

import keras
import numpy as np

from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train.batches import Batches, TextSource
from rnnx.train.determinism import begin
from rnnx.train.fast_rnn import hasten
from rnnx.train.fit import Epoch, Observer, Progress, fit
from rnnx.train.recipes import ARTICLE, DEFAULT, TextRecipe
from rnnx.train.task import Task

WORDS, BATCH_SIZE = 10_000, 128
MOST_EPOCHS = 20
_QUARTERS = 4


class Log:
    """Records the accuracies and the times of a training; its clock starts when it is made."""

    def __init__(self, target: float, share: float) -> None:
        """Starts the clock.

        Args:
            target: The accuracy to reach.
            share: The part of an epoch between two validations.
        """
        self.accuracy: list[float] = []
        self.ended_s: list[float] = []
        self.training_s: list[float] = []
        self._target, self._share = target, share
        self._started = self._begun = self._trained = time.perf_counter()

    def on_trained(self) -> None:
        """Records the end of a batch; the last one before a validation counts."""
        self._trained = time.perf_counter()

    def on_validated(self, accuracy: float) -> bool:
        """Records a validation.

        Returns:
            Whether the training may end: the target is reached, and at least one epoch was trained after the first
            validation, from which the time of an epoch is taken.
        """
        self.training_s.append(self._trained - self._begun)
        self._begun = time.perf_counter()
        self.ended_s.append(self._begun - self._started)
        self.accuracy.append(accuracy)
        return max(self.accuracy) >= self._target and len(self.accuracy) > 1 / self._share

    def to_json(self) -> str:
        """Returns the record as the parent process reads it."""
        lists = {"accuracy": self.accuracy, "ended_s": self.ended_s, "training_s": self.training_s}
        return json.dumps(lists | {"share": self._share})


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def on_test_begin(self, logs: object = None) -> None:
        self._log.on_trained()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.model.stop_training = self._log.on_validated(logs["val_accuracy"])


def train_article(recipe: TextRecipe, parts: tuple[TextSource, TextSource], seed: int, target: float) -> Log:
    """Trains by `rnnx.train.fit`, as `rnnx train --recipe article` does."""
    task = Task(
        recipe=recipe,
        parts=parts,
        counts=(len(parts[0].rows), len(parts[1].rows)),
        task_kind="classification",
        build=lambda: recipe.build(WORDS, 1, "sigmoid"),
        loss="binary_crossentropy",
        metrics=lambda: ["accuracy"],
        vocabulary=None,
        vocabulary_size=WORDS,
        samples=lambda model, seed: b"",
    )
    log = Log(target, 1.0)

    def on_batch(progress: Progress) -> None:
        log.on_trained()

    def on_epoch(epoch: Epoch) -> None:
        if log.on_validated(epoch.validation_score):
            raise KeyboardInterrupt  # as a user would end a training: `fit` keeps the best epoch

    fit(task, seed=seed, observer=Observer(on_batch=on_batch, on_epoch=on_epoch))
    return log


def train_default(recipe: TextRecipe, parts: tuple[TextSource, TextSource], seed: int, target: float) -> Log:
    """Takes the steps of `rnnx.train.fit`, but Keras's epoch is a quarter of an epoch."""
    log = Log(target, 1 / _QUARTERS)
    begin(seed)
    model = hasten(recipe.build(WORDS, 1, "sigmoid"))
    train = Batches(parts[0], batch_size=recipe.batch_size, by_length=recipe.by_length, seed=seed)
    validation = Batches(parts[1], batch_size=recipe.batch_size, by_length=recipe.by_length, seed=None)
    optimizer = recipe.optimizer(recipe.epochs * len(train))
    model.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["accuracy"], jit_compile=False)
    quarter = math.ceil(len(train) / _QUARTERS)
    model.fit(
        train.as_tf(range(1, recipe.epochs + 1)),
        steps_per_epoch=quarter,
        epochs=recipe.epochs * len(train) // quarter,
        validation_data=validation.as_tf(),
        callbacks=[_Watch(log)],
        shuffle=False,
        verbose=0,
    )
    return log


def main(name: str, path: str, seed: int, target: float) -> None:
    """Trains the network and prints the accuracies and the times."""
    recipe = dataclasses.replace({"article": ARTICLE, "default": DEFAULT}[name], batch_size=BATCH_SIZE)
    with np.load(path) as file:
        ids, label_ids, held_out = file["ids"], file["label_ids"], file["held_out"]
    config = dataclasses.replace(recipe.tokenizer, max_length=ids.shape[1])
    tokenizer = Tokenizer(config, Vocabulary(SPECIAL_TOKENS))  # it only pads, because the ids are given
    train, validation = (
        TextSource([row[row != 0] for row in ids[part]], label_ids[part], tokenizer) for part in (~held_out, held_out)
    )
    if name == "article":
        log = train_article(dataclasses.replace(recipe, epochs=MOST_EPOCHS), (train, validation), seed, target)
    else:
        log = train_default(recipe, (train, validation), seed, target)
    print(log.to_json())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
