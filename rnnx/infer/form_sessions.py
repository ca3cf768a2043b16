"""The sessions of a bundle's forms, and the threads that run batches in them.

Neither survives a fork: in a forked child, files are loaded and threads are started again at the first use.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from rnnx.bundle.directory import BATCH_NAME, Directory
from rnnx.bundle.metadata import require_same
from rnnx.errors import NoKernelError
from rnnx.runtime.session import Device, Session

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


class FormSessions:
    """The sessions of the forms of one bundle on one device, and the threads for them. Threads may share it."""

    def __init__(self, directory: Directory, device: Device) -> None:
        """Takes a bundle; loads nothing yet."""
        self._directory, self._device = directory, device
        self._sessions: dict[str, Session] = {}
        self._sessions_before_fork: list[Session] = []
        self._pool: ThreadPoolExecutor | None = None
        self._lock = Lock()
        _in_this_process.add(self)

    def find(self, name: str) -> Session:
        """Returns the session of a form, loaded when it is first needed: a single text needs only one of them.

        Args:
            name: The name of the file.

        Raises:
            DeviceError: If the device cannot run the form.
            ModelError: If the form cannot be loaded, or belongs to another bundle.
        """
        with self._lock:
            if name not in self._sessions:
                session = self._open(name)
                require_same(session.metadata, self._directory.config)
                self._sessions[name] = session
            return self._sessions[name]

    def _open(self, name: str) -> Session:
        try:
            return Session(self._directory[name], device=self._device, has_many_shapes=name == BATCH_NAME)
        except NoKernelError:
            # An operator without a CUDA kernel, such as an RNN with relu, runs there as a Scan, step by step.
            if BATCH_NAME not in self._directory.config.files:
                raise
            return Session(self._directory[BATCH_NAME], device=self._device)

    def threads(self, count: int) -> ThreadPoolExecutor:
        """Returns the threads that run batches, started when several batches are to be run; one text needs none.

        Args:
            count: How many are started; the first call decides.
        """
        from concurrent.futures import ThreadPoolExecutor

        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(count)
            return self._pool

    def start_anew(self) -> None:
        """Drops what does not survive a fork, in the child: the threads, a lock and sessions that they may have held.

        The sessions are kept, because deleting one that was running would wait for its thread.
        """
        self._pool = None
        self._lock = Lock()
        self._sessions_before_fork += self._sessions.values()
        self._sessions = {}


def _start_anew() -> None:
    for sessions in list(_in_this_process):
        sessions.start_anew()


# For a child that is forked from this process.
_in_this_process: WeakSet[FormSessions] = WeakSet()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_start_anew)


def core_count() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
