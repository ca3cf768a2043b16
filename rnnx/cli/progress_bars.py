"""Progress bars on stderr, for a person on a terminal only."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnnx.cli import terminal
from rnnx.cli.interrupts import interruption

if TYPE_CHECKING:
    from rich.progress import TaskID

    from rnnx.proof.progress import OnProgress

_DELAY_S = 1.0


@contextmanager
def show_progress(
    description: str, *, has_time_left: bool = True, is_wanted: bool = True
) -> Iterator[Callable[[int, str, int | None], None]]:
    """Shows a progress bar on stderr after the first second, if stderr is a terminal.

    Args:
        description: The text before the bar.
        has_time_left: Whether to show the remaining time, estimated from the last pieces.
        is_wanted: Whether to show a bar at all.

    Yields:
        A function that takes how much is done, a few words to show after the bar, and the total (None if unknown).
        It raises a KeyboardInterrupt that a library has caught since the last call.
    """
    # On a terminal that cannot move its cursor, rich draws no bar, but prints an empty line at the end.
    if not is_wanted or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda done, words, total: interruption.check()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TimeRemainingColumn()] if has_time_left else []
    bar = Progress(
        *columns,
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        transient=True,
        # Otherwise rich would send the output for a pipe or a file to the terminal.
        redirect_stdout=sys.stdout.isatty(),
    )
    task = bar.add_task(description, total=None, words="")
    started, is_shown = time.monotonic(), False

    def update(done: int, words: str, total: int | None) -> None:
        nonlocal is_shown
        interruption.check()
        if not is_shown and time.monotonic() - started > _DELAY_S:
            bar.start()
            is_shown = True
        bar.update(task, completed=done, words=words, total=total)

    try:
        yield update
    finally:
        bar.stop()


@contextmanager
def show_stages() -> Iterator[OnProgress]:
    """Shows a bar on stderr for each stage that is running, once they have taken a second; on a terminal only.

    A stage without parts gets a bar that moves without a length. A bar goes when its stage is done.

    Yields:
        A callback for `rnnx.proof.progress.reporting_to`, which may be called from several threads. It raises the
        KeyboardInterrupt that a library has swallowed since.
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda stage, done, total: interruption.check()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # it may name a file
        BarColumn(),
        TextColumn("{task.fields[parts]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # as in `show_progress`
    )
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int) -> None:
        interruption.check()
        if stage not in tasks:
            tasks[stage] = bars.add_task(terminal.printable(stage), total=total if total > 1 else None, parts="")
        if done < total:
            bars.update(tasks[stage], completed=done, parts=f"{done}/{total}" if total > 1 else "")
        else:
            bars.remove_task(tasks.pop(stage))

    # A stage may have no part that is done within a second, so the bars start by the clock.
    start = threading.Timer(_DELAY_S, bars.start)
    start.daemon = True
    start.start()
    try:
        yield update
    finally:
        start.cancel()
        start.join()
        bars.stop()
