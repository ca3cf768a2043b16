"""Reports how far a long piece of work has come. Standard library only.

A caller that wants to show progress sets a callback with `reporting_to`; the stages of an export and of a proof call it
through `track` and `reported`. The callback is kept in a context variable, because the stages lie many calls below, in
functions whose arguments say what they compute. A thread has a context of its own: start it in a copy of this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar

_Part = TypeVar("_Part")


class OnProgress(Protocol):
    """Is called at the start of a stage with nothing done, and then after each part of it."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Takes the progress of a stage. Stages may run at the same time, in several threads.

        Args:
            stage: What the stage does, such as `comparing model.onnx with the reference`.
            done: How many parts are done, from 0 to `total`.
            total: How many parts there are, at least 1.
        """


def _ignore(stage: str, done: int, total: int) -> None:
    """Ignores the progress if nobody asked for it."""


_on_progress: ContextVar[OnProgress] = ContextVar("_on_progress", default=_ignore)


@contextmanager
def reporting_to(on_progress: OnProgress) -> Iterator[None]:
    """Sets the callback for everything that runs inside."""
    token = _on_progress.set(on_progress)
    try:
        yield
    finally:
        _on_progress.reset(token)


def track(items: Collection[_Part], stage: str) -> Iterator[_Part]:
    """Yields items, and reports each one as done when the next is asked for; an empty stage is not reported.

    Args:
        items: The parts of the stage.
        stage: What the stage does.
    """
    if not items:
        return
    report = _on_progress.get()
    report(stage, 0, len(items))
    for done, item in enumerate(items, 1):
        yield item
        report(stage, done, len(items))


@contextmanager
def reported(stage: str) -> Iterator[None]:
    """Reports a stage without parts: it starts with 0 of 1 done, and 1 of 1 is done unless it fails."""
    report = _on_progress.get()
    report(stage, 0, 1)
    yield
    report(stage, 1, 1)
