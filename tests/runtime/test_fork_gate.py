"""Tests that a fork waits for calls of onnxruntime, and calls for a fork."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable

import pytest

from rnnx.runtime.fork_gate import FORK_GATE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
SECONDS = 60
A_MOMENT = 0.2


def fork() -> int:
    """Forks a child that enters the gate and ends; returns its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork with threads, which is meant
        pid = os.fork()
    if pid == 0:
        threading.Timer(SECONDS, os._exit, [2]).start()
        with FORK_GATE:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


class Thread(threading.Thread):
    """A thread that says what its work returned, and when it was done."""

    def __init__(self, work: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.done = threading.Event()
        self.start()

    def run(self) -> None:
        """Does the work."""
        self.answer = self._work()
        self.done.set()


class Call(Thread):
    """A call in a thread of its own that lasts until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.end = threading.Event()
        super().__init__(self._call)

    def _call(self) -> int:
        with FORK_GATE:
            self.begun.set()
            assert self.end.wait(SECONDS)
        return 0


def test_a_fork_waits_for_the_calls_of_other_threads_and_new_calls_for_the_fork() -> None:
    first = Call()
    assert first.begun.wait(SECONDS)
    forks = [Thread(fork), Thread(fork)]
    assert not forks[0].done.wait(A_MOMENT)
    assert not forks[1].done.is_set()
    second = Call()
    assert not second.begun.wait(A_MOMENT)
    first.end.set()
    assert second.begun.wait(SECONDS)  # after the first fork; the second one may wait for this call
    second.end.set()
    assert all(thread.done.wait(SECONDS) for thread in forks)
    assert [thread.answer for thread in forks] == [0, 0]
    assert second.done.wait(SECONDS)


def test_a_fork_within_a_call_of_its_own_thread_does_not_wait_for_itself() -> None:
    def work() -> int:
        with FORK_GATE, FORK_GATE:
            return fork()

    thread = Thread(work)
    assert thread.done.wait(SECONDS)
    assert thread.answer == 0


def test_a_call_within_a_call_does_not_wait_for_a_fork_that_waits_for_it() -> None:
    is_waiting = threading.Event()

    def work() -> int:
        with FORK_GATE:
            assert is_waiting.wait(SECONDS)
            with FORK_GATE:
                return 0

    inner = Thread(work)
    forked = Thread(fork)
    while not FORK_GATE._is_forking:
        assert not forked.done.wait(0.01)
    is_waiting.set()
    assert inner.done.wait(SECONDS)
    assert forked.done.wait(SECONDS)
    assert forked.answer == 0
