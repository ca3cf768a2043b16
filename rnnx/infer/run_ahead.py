"""Overlaps reading, computing and writing: of windows of inputs, or of two functions. Standard library only.

While the sessions compute one window in other threads, the main thread encodes the next one and its caller writes the
answers of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Thread
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


def in_background(function: Callable[[], R]) -> Callable[[], R]:
    """Calls a function in another thread.

    Returns:
        A function that waits for its result, or raises its error.
    """
    results: list[R] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            errors.append(error)

    thread = Thread(target=call)
    try:
        thread.start()
    except RuntimeError:  # no further thread can be started
        return function

    def wait() -> R:
        thread.join()
        if errors:
            raise errors[0]
        return results[0]

    return wait
