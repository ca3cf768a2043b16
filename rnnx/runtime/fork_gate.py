"""Keeps a fork of this process out of onnxruntime's calls.

onnxruntime takes locks of its own while it loads or runs a file. In a child that is forked at that moment, they stay
locked for ever, because the threads that held them do not exist there. So a fork waits until the calls of other threads
have returned, and calls that are to begin wait until the fork is done.
"""

from __future__ import annotations

import os
import threading


class ForkGate:
    """A context for calls that no fork by another thread may interrupt."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._calls: dict[int, int] = {}  # how many calls each thread is in
        self._is_forking = False
        if hasattr(os, "register_at_fork"):  # not on Windows
            os.register_at_fork(
                before=self._wait_for_calls, after_in_parent=self._let_calls_begin, after_in_child=self._start_anew
            )

    def __enter__(self) -> None:
        thread = threading.get_ident()
        with self._lock:
            # A call within a call, in a handler of a signal, must not wait for a fork that waits for its thread.
            while self._is_forking and thread not in self._calls:
                self._changed.wait()
            self._calls[thread] = self._calls.get(thread, 0) + 1

    def __exit__(self, *_: object) -> None:
        thread = threading.get_ident()
        with self._lock:
            calls = self._calls.pop(thread) - 1
            if calls:
                self._calls[thread] = calls
            elif self._is_forking:
                self._changed.notify_all()

    def _wait_for_calls(self) -> None:
        with self._changed:
            while self._is_forking:  # another thread forks too
                self._changed.wait()
            self._is_forking = True
            # A handler of a signal can fork within a call of its own thread, which cannot end before the fork.
            while self._calls.keys() - {threading.get_ident()}:
                self._changed.wait()

    def _let_calls_begin(self) -> None:
        with self._changed:
            self._is_forking = False
            self._changed.notify_all()

    def _start_anew(self) -> None:
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._is_forking = False


FORK_GATE = ForkGate()
