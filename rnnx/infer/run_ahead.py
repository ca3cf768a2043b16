"""Overlaps the reading, the computing and the writing of windows of inputs. Standard library only.

While the sessions compute one window in other threads, the main thread encodes the next one and its caller writes the
answers of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

W = TypeVar("W")
R = TypeVar("R")


def run_ahead(windows: Iterable[W | None], submit: Callable[[W], Callable[[], R]]) -> Iterator[R]:
    """Keeps one window of work ahead of its caller.

    An error in a window does not lose the results of the window before: they come first, then the error.

    Args:
        windows: The windows; None means that the next window may take a while, so the results so far are given first.
        submit: Starts the work on a window, and returns a function that waits for its result.

    Yields:
        The result of each window, in their order.
    """
    waiting: Callable[[], R] | None = None
    iterator = iter(windows)
    while True:
        is_end = False
        try:
            window = next(iterator)
            job = None if window is None else submit(window)
        except StopIteration:
            is_end, job = True, None
        except Exception:  # any error of the source or of `submit`; it is raised again after the results before it
            if waiting is not None:
                yield waiting()
            raise
        if waiting is not None:
            yield waiting()
        if is_end:
            return
        waiting = job
