"""Fitting one network: epochs, the best one kept, an interrupt that loses nothing. Prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from rnnx.train.batches import Batches
from rnnx.train.task import Score, Task


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        epoch: From 1.
        loss: In nats; for values, the mean square error in standard deviations.
        score: Accuracy in 0..1, or R2, at most 1.
        validation_loss: Likewise.
        validation_score: Likewise.
        name: Which score it is.
    """

    epoch: int
    loss: float
    score: float
    validation_loss: float
    validation_score: float
    name: Score = "accuracy"

    def figures(self) -> dict[str, int | float]:
        """By name, as the history holds them."""
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            self.name: self.score,
            "validation_loss": self.validation_loss,
            f"validation_{self.name}": self.validation_score,
        }


@dataclass(frozen=True)
class Progress:
    """Where a training stands: `batch` of `batches` in `epoch` of `epochs`, both from 1."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float


@dataclass(frozen=True)
class Observer:
    """What to call while training goes on; each may be replaced."""

    on_batch: Callable[[Progress], None] = lambda progress: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None


@dataclass(frozen=True)
class Fit:
    """A finished (or interrupted) training.

    Attributes:
        model: With the weights of the best epoch, as the run keeps it.
        history: One entry per whole epoch.
        best: The epoch kept: highest validation score, on a tie the lowest validation loss.
        is_interrupted: Whether Ctrl-C ended it early.
    """

    model: keras.Model
    history: tuple[Epoch, ...]
    best: Epoch
    is_interrupted: bool


def fit(task: Task, *, seed: int, observer: Observer) -> Fit:
    """Trains a recipe's network.

    Args:
        task: What to train, on what.
        seed: Of the start weights, the dropout and the order of the batches.
        observer: Told of batches and epochs.

    Raises:
        KeyboardInterrupt: If interrupted before one epoch was whole; there is nothing to keep then.
    """
    recipe = task.recipe
    keras.utils.set_random_seed(seed)
    train, validation = (
        Batches(source, batch_size=recipe.batch_size, by_length=recipe.by_length, seed=part_seed)
        for source, part_seed in zip(task.parts, (seed, None), strict=True)
    )
    model = task.build()
    # XLA compiles anew for each length of a batch, and its loop is slower than TensorFlow's on a CPU from 400 steps on.
    model.compile(
        optimizer=recipe.optimizer(recipe.epochs * len(train)),
        loss=task.loss,
        weighted_metrics=task.metrics(),
        jit_compile=False,
    )
    keeper = _BestEpoch(observer, task.score, recipe.epochs, len(train))
    is_interrupted = False
    try:
        model.fit(
            train.as_tf(),
            validation_data=validation.as_tf(),
            epochs=recipe.epochs,
            callbacks=[keeper],
            shuffle=False,
            verbose=0,
        )
    except KeyboardInterrupt:
        if keeper.best is None:
            raise
        is_interrupted = True
    if keeper.best is None:
        raise ValueError("fit takes at least one epoch")
    model.set_weights(keeper.best_weights)
    return Fit(task.finish(model), tuple(keeper.history), keeper.best, is_interrupted)


class _BestEpoch(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Collects the history, keeps the weights of the best epoch, and tells the observer."""

    def __init__(self, observer: Observer, score: Score, epochs: int, batches: int) -> None:
        super().__init__()
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: list[np.ndarray[Any, Any]] = []
        self._observer, self._score, self._epochs, self._batches = observer, score, epochs, batches

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        epoch = len(self.history) + 1
        progress = Progress(epoch, self._epochs, batch + 1, self._batches, logs["loss"])
        self._observer.on_batch(progress)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        score, validation_score = logs[self._score], logs[f"val_{self._score}"]
        done = Epoch(epoch + 1, logs["loss"], score, logs["val_loss"], validation_score, self._score)
        self.history.append(done)
        if self.best is None or _rank(done) > _rank(self.best):
            self.best, self.best_weights = done, self.model.get_weights()
        self._observer.on_epoch(done)


def _rank(epoch: Epoch) -> tuple[float, float]:
    return epoch.validation_score, -epoch.validation_loss
