"""What `rnnx train` says on stderr: what it trains on, how far it is, how it ended, and whether it learned anything."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rnnx.cli import terminal
from rnnx.train.pace import in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnnx.datasets import AnyDataset
    from rnnx.train.fit import Epoch, Fit, Progress
    from rnnx.train.task import StageProgress

_SHOWN_LABELS = 20


def list_labels(labels: tuple[str, ...]) -> str:
    """Lists the first labels of a data set, to be appended to its summary; nothing if it has none."""
    more = f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else ""
    return f", labels {', '.join(labels[:_SHOWN_LABELS])}{more}" if labels else ""


class Teller:
    """Reports the progress of a training on stderr: a bar, the expected time, and the time that it took."""

    def __init__(self, place: Path, update: Callable[[int, str, int | None], None]) -> None:
        """Takes the folder of the run, and the function that moves the bar."""
        self._place, self._update = place, update
        self._began = self._ended = time.monotonic()
        self._first_epoch, self._has_told = 1, False
        self._stages: set[str] = set()
        self._retraining: tuple[float, float] | None = None  # when it began, and its last report

    def on_resume(self, done: int, epochs: int) -> None:
        """Reports that the training goes on from the checkpoint of an earlier process."""
        self._first_epoch = done + 1
        terminal.note(f"resuming after epoch {done} of {epochs}, from {self._place}.checkpoint")

    def on_batch(self, p: Progress) -> None:
        """Moves the bar; reports once how long the training will take."""
        words = f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}"
        if p.seconds_left is not None:
            if not self._has_told:
                whole = in_words(time.monotonic() - self._began + p.seconds_left)
                terminal.note(f"about {whole} at most for {self._which(p.epochs)} on this machine")
                self._has_told = True
            words += f", {in_words(p.seconds_left)} left at most"
        self._update((p.epoch - 1) * p.batches + p.batch, words, p.batches * p.epochs)

    def on_stage(self, p: StageProgress) -> None:
        """Moves the bar through a stage before the epochs; reports once what it is and how long it will take."""
        words = p.name
        if p.seconds_left is not None:
            words += f", {in_words(p.seconds_left)} left at most"
        if p.name not in self._stages and (p.total == 1 or p.seconds_left is not None):
            self._stages.add(p.name)
            how_long = "" if p.seconds_left is None else f", about {in_words(p.seconds_left)} at most"
            how_long += f"; then the epochs, about {in_words(p.seconds_after)}" if p.seconds_after else ""
            terminal.note(f"before the epochs: {p.name}{how_long}")
        self._update(p.done, words, p.total)
        self._began = self._ended = time.monotonic()

    def on_retraining(self, p: StageProgress) -> None:
        """Moves the bar through the last training, on all examples; reports once that it begins."""
        now = time.monotonic()
        if self._retraining is None:
            terminal.note(f"{p.name}, with those that were held out")
        self._retraining = (self._retraining[0] if self._retraining else now, now)
        left = "" if p.seconds_left is None else f", {in_words(p.seconds_left)} left at most"
        self._update(p.done, f"{p.name}{left}", p.total)

    def on_epoch(self, epoch: Epoch) -> None:
        """Reports the figures of an epoch."""
        terminal.note(_line(epoch))
        self._ended = time.monotonic()

    def on_interrupt(self) -> None:
        """Reports what is left of a training that was interrupted before the end of its first epoch."""
        place = Path(f"{self._place}.checkpoint")
        if place.exists():
            terminal.warning(f"stopped before the end of an epoch; the same command continues from {place}")
        else:
            terminal.warning("stopped before the first checkpoint; nothing is kept, and the same command begins again")

    def on_end(self, fitted: Fit) -> None:
        """Reports how long the epochs took, and why the training ended."""
        if fitted.is_stopped_early:
            flat = len(fitted.history) - fitted.best.epoch
            terminal.note(f"stopped early: validation has not improved for {flat} epochs")
        if len(fitted.history) >= self._first_epoch:
            terminal.note(f"{self._which(len(fitted.history))} took {in_words(self._ended - self._began)}")
        if count := fitted.additions.get("retrained_on"):
            began, ended = self._retraining or (0.0, 0.0)
            terminal.note(f"trained again on all {count:,} sequences, in {in_words(ended - began)}")
        part = fitted.additions.get("linear_part")
        if part and part["is_used"]:
            scores = f"{part['validation_with']:.4f} instead of {part['validation_without']:.4f}"
            terminal.note(f"a linear model of the words was added: validation {fitted.best.name} {scores}")

    def _which(self, last: int) -> str:
        if last == self._first_epoch:
            return f"epoch {last}"
        return f"{last} epochs" if self._first_epoch == 1 else f"epochs {self._first_epoch} to {last}"


def _line(epoch: Epoch) -> str:
    spans = "" if epoch.validation_span_f1 is None else f", F1 of spans {epoch.validation_span_f1:.4f}"
    return (
        f"epoch {epoch.epoch}: {epoch.name} {epoch.score:.4f}, loss {epoch.loss:.4f}, "
        f"validation {epoch.name} {epoch.validation_score:.4f}, loss {epoch.validation_loss:.4f}{spans}"
    )


def warn_of_no_learning(fitted: Fit, data: AnyDataset) -> None:
    """Warns if the network is no better than an answer that is always the same, and says what to try."""
    check = (
        "check that row i of y belongs to row i of x"
        if data.kind == "sequences"
        else "check that the right columns are read"
    )
    advice = f"{check}, and try more data, --epochs, another --learning-rate, or --class-weights balanced"
    if fitted.held_out is not None and fitted.held_out.is_no_better:
        label = data.labels[fitted.held_out.majority_id]
        terminal.warning(
            f"{data.name}: the network has learned nothing: it is right for {100 * fitted.held_out.accuracy:.1f} % of "
            f"the held-out part, and always answering {label} for {100 * fitted.held_out.majority:.1f} %; {advice}"
        )
    elif fitted.best.name == "r2" and fitted.best.validation_score <= 0:
        terminal.warning(
            f"{data.name}: the network has learned nothing: on the held-out part it is no better than the mean of the "
            "values; try more data, --epochs, or another --learning-rate"
        )
