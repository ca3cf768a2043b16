"""Fits one network: runs epochs, keeps the best one, stops early, and resumes a killed training.

A killed training loses one epoch at most. Nothing is printed; an observer is called. Imports Keras.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np

from rnnx.bundle.config import Ending
from rnnx.train.batches import Batches
from rnnx.train.checkpoint import Checkpoint
from rnnx.train.class_weights import balance
from rnnx.train.determinism import begin
from rnnx.train.fast_rnn import hasten
from rnnx.train.held_out import HeldOut, measure_held_out
from rnnx.train.pace import Pace
from rnnx.train.retrain import retrain
from rnnx.train.saved_state import pack, put_state, take_state, unpack
from rnnx.train.task import Conclusion, Extended, Preparation, Score, StageProgress, Task

_STAGE = "fit"
# The first steps of a process are not timed, because TensorFlow traces and allocates memory in them.
_WARM_UP_BATCHES = 2


@dataclass(frozen=True)
class Epoch:
    """The figures of one epoch.

    Attributes:
        epoch: Its number, from 1.
        loss: The training loss: cross entropy in nats, or the mean squared error of standardised values.
        score: The training accuracy in 0..1, or R2, at most 1.
        validation_loss: The same loss on the validation part.
        validation_score: The same score on the validation part.
        name: Which score it is.
        validation_span_f1: The F1 of the held-out spans, micro average, in 0..1; None if the tags are not those of
            spans.
    """

    epoch: int
    loss: float
    score: float
    validation_loss: float
    validation_score: float
    name: Score = "accuracy"
    validation_span_f1: float | None = None

    def figures(self) -> dict[str, int | float]:
        """The figures by name, as `history.json` holds them."""
        spans = {} if self.validation_span_f1 is None else {"validation_span_f1": self.validation_span_f1}
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            self.name: self.score,
            "validation_loss": self.validation_loss,
            f"validation_{self.name}": self.validation_score,
            **spans,
        }


@dataclass(frozen=True)
class Progress:
    """The progress of a training: `batch` of `batches` in `epoch` of `epochs`, both from 1.

    Attributes:
        epoch: The current epoch.
        epochs: The most epochs that will be run.
        batch: The batch that was completed last.
        batches: The number of batches in each epoch.
        loss: The mean loss of the epoch so far.
        seconds_left: The time that the remaining epochs take at most, at the measured pace; None if no pace is known
            yet.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    seconds_left: float | None = None


@dataclass(frozen=True)
class Observer:
    """Functions that are called during a training; the defaults do nothing.

    Attributes:
        on_batch: Called after each batch.
        on_epoch: Called after each epoch.
        on_resume: Called with the number of complete epochs and of all epochs when a training is resumed.
        on_stage: Called during the stages before the epochs.
        on_retraining: Called during the last training, on all examples.
    """

    on_batch: Callable[[Progress], None] = lambda progress: None
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_resume: Callable[[int, int], None] = lambda done, epochs: None
    on_stage: Callable[[StageProgress], None] = lambda progress: None
    on_retraining: Callable[[StageProgress], None] = lambda progress: None


@dataclass(frozen=True)
class Fit:
    """A complete or interrupted training.

    Attributes:
        model: The network as the run keeps it, with the weights of the best epoch or of `retrain`.
        history: One entry per complete epoch.
        best: The epoch with the highest validation score and, on a tie, the lowest validation loss. If the tags make
            spans, the F1 of the held-out spans comes first: nearly all words are outside of spans, so the share of
            right words says little.
        is_interrupted: Whether Ctrl-C ended the training.
        is_stopped_early: Whether it ended early, because nothing had improved for as many epochs as the recipe's
            patience.
        unknown_share: `Task.unknown_share`.
        conclusion: What the held-out examples say about the network; None if the score says enough.
        held_out: How good the network is on the held-out part; None if it gives no labels.
        additions: `Extended.figures`; as `retrained_on`, the number of examples of a last training on all of them.
    """

    model: keras.Model
    history: tuple[Epoch, ...]
    best: Epoch
    is_interrupted: bool
    is_stopped_early: bool = False
    unknown_share: float = 0.0
    conclusion: Conclusion | None = None
    held_out: HeldOut | None = None
    additions: dict[str, Any] = field(default_factory=dict)

    @property
    def span_f1(self) -> float | None:
        """The F1 of the held-out spans, micro average, in 0..1; None for other tasks."""
        return self.best.validation_span_f1

    @property
    def ending(self) -> Ending:
        """The reason why the training ended."""
        return "interrupted" if self.is_interrupted else "stopped early" if self.is_stopped_early else "whole"


def fit(task: Task, *, seed: int, observer: Observer, checkpoint: Checkpoint | None = None) -> Fit:
    """Trains the network of a task.

    Args:
        task: The network, its recipe and its data.
        seed: The seed of the start weights, the dropout and the order of the batches.
        observer: Called during the training.
        checkpoint: Where each epoch is saved and earlier epochs are read from. A resumed training ends with the same
            bits as one that was never stopped. None saves nothing.

    Raises:
        KeyboardInterrupt: If it is interrupted before the first epoch is complete, so that there is nothing to keep.
        ModelError: If the checkpoint is damaged.
        OSError: If the checkpoint cannot be written.
    """
    recipe = task.recipe
    begin(seed)
    kept = task.build()
    model = hasten(kept)
    start = kept.get_weights()
    source, held_out = task.parts
    if task.prepare:
        source = task.prepare(model, Preparation(seed, checkpoint, observer.on_stage))
    if recipe.class_weights:
        # Otherwise the best epoch would be the one that ignores rare labels.
        source, held_out = balance(source), balance(held_out)
    train = Batches(source, batch_size=recipe.batch_size, by_length=recipe.by_length, seed=seed)
    validation = Batches(held_out, batch_size=recipe.batch_size, by_length=recipe.by_length, seed=None)
    # The recurrence is compiled by XLA already. The whole network would be compiled again for each length, for no gain.
    model.compile(
        optimizer=recipe.optimizer(recipe.epochs * len(train)),
        loss=task.loss,
        weighted_metrics=task.metrics(),
        jit_compile=False,
    )
    keeper = _Keeper(task, (train, validation), observer, checkpoint)
    done = keeper.resume(model)
    is_interrupted = False
    try:
        if not keeper.is_done:
            model.fit(
                train.as_tf(range(done + 1, recipe.epochs + 1)),
                steps_per_epoch=len(train),
                validation_data=validation.as_tf(),
                initial_epoch=done,
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
        raise ValueError("a recipe needs at least one epoch")
    for network in (kept, model):
        network.set_weights(keeper.best_weights)
    is_early = keeper.is_out_of_patience and len(keeper.history) < recipe.epochs
    finished = task.finish(kept)
    extended = Extended(finished, {})
    if task.extend and not is_interrupted:
        try:
            extended = task.extend(finished, Preparation(seed, checkpoint, observer.on_stage))
        except KeyboardInterrupt:
            is_interrupted = True
    measured = _measure(task, model if extended.model is finished else extended.model)
    if task.whole is not None and not is_interrupted:
        try:
            kept.set_weights(retrain(model, task, task.whole, start, seed, observer.on_retraining))
            extended = Extended(task.finish(kept), {**extended.figures, "retrained_on": len(task.whole.lengths)})
        except KeyboardInterrupt:
            is_interrupted = True
    return Fit(
        extended.model,
        tuple(keeper.history),
        keeper.best,
        is_interrupted,
        is_stopped_early=is_early and not is_interrupted,
        unknown_share=task.unknown_share,
        held_out=measured,
        additions=extended.figures,
    )


def _measure(task: Task, model: keras.Model) -> HeldOut | None:
    """The figures on the held-out part that the history does not have; None for values."""
    if task.task_kind not in ("classification", "tagging"):
        return None
    return measure_held_out(model, task.parts[1], task.recipe.batch_size)


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Keeps the history and the best weights, saves the state of each epoch, and calls the observer."""

    def __init__(
        self, task: Task, parts: tuple[Batches, Batches], observer: Observer, checkpoint: Checkpoint | None
    ) -> None:
        super().__init__()
        self.history: list[Epoch] = []
        self.best: Epoch | None = None
        self.best_weights: list[np.ndarray[Any, Any]] = []
        self._train, self._validation_steps = parts[0], parts[1].steps(1)
        self._observer, self._checkpoint = observer, checkpoint
        self._score, self._epochs, self._patience = task.score, task.recipe.epochs, task.recipe.patience
        self._measure_spans = task.measure_spans
        self._warm_up = {"train": _WARM_UP_BATCHES, "validation": 1}
        self._steps: list[int] = []
        self._since = 0.0
        self._pace = Pace({})

    @property
    def is_out_of_patience(self) -> bool:
        """Whether nothing has improved for as many epochs as the recipe's patience."""
        return bool(self._patience and self.best and len(self.history) - self.best.epoch >= self._patience)

    @property
    def is_done(self) -> bool:
        """Whether no epoch is left to run."""
        return self.is_out_of_patience or len(self.history) >= self._epochs

    def resume(self, model: keras.Model) -> int:
        """Restores the state that an earlier process saved.

        Returns:
            The number of complete epochs.
        """
        model.optimizer.build(model.trainable_variables)
        state = self._checkpoint.load(_STAGE) if self._checkpoint else None
        if state:
            put_state(model, state.arrays)
            self.history = [Epoch(**figures) for figures in state.values["history"]]
            self.best = self.history[state.values["best"] - 1]
            self.best_weights = unpack("best", state.arrays)
            self._observer.on_resume(len(self.history), self._epochs)
        left = range(len(self.history) + 1, self._epochs + 1)
        train = sum(sum(self._train.steps(epoch)) for epoch in left)
        self._pace = Pace({"train": train, "validation": sum(self._validation_steps) * len(left)})
        return len(self.history)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._steps = self._train.steps(epoch + 1)
        self._since = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        self._measure("train", self._steps[batch])
        epoch = len(self.history) + 1
        left = self._pace.seconds_left
        self._observer.on_batch(Progress(epoch, self._epochs, batch + 1, len(self._steps), logs["loss"], left))

    def on_test_begin(self, logs: Any = None) -> None:
        self._since = time.perf_counter()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        self._measure("validation", self._validation_steps[batch])

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        score, validation_score = logs[self._score], logs[f"val_{self._score}"]
        span_f1 = None if self._measure_spans is None else self._measure_spans(self.model)
        done = Epoch(epoch + 1, logs["loss"], score, logs["val_loss"], validation_score, self._score, span_f1)
        self.history.append(done)
        if self.best is None or _rank(done) > _rank(self.best):
            self.best, self.best_weights = done, self.model.get_weights()
        if self._checkpoint:
            values = {"history": [asdict(epoch) for epoch in self.history], "best": self.best.epoch}
            arrays = take_state(self.model) | pack("best", self.best_weights)
            self._checkpoint.save(_STAGE, done.epoch, arrays, values)
        self.model.stop_training = self.is_out_of_patience
        self._observer.on_epoch(done)

    def _measure(self, part: str, steps: int) -> None:
        now = time.perf_counter()
        is_warm = self._warm_up[part] == 0
        self._warm_up[part] -= not is_warm
        self._pace.add(part, steps, now - self._since if is_warm else None)
        self._since = now


def _rank(epoch: Epoch) -> tuple[float, float, float]:
    # An epoch of a checkpoint that an earlier version wrote has no F1.
    span_f1 = 0.0 if epoch.validation_span_f1 is None else epoch.validation_span_f1
    return span_f1, epoch.validation_score, -epoch.validation_loss
