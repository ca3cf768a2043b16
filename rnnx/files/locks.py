"""Locks on folders, which the system releases when their process ends, even if it is killed.

The folder itself is locked, so a lock can tell whether that folder was moved or removed meanwhile, and no lock file is
left. (The filelock package needs a lock file that is never removed.) If the system has no such locks, as on Windows and
on some network drives, nothing is locked and nobody waits. Imports the standard library only.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl


class FolderLock:
    """A lock that is held.

    Attributes:
        is_real: Whether the file system supports locks on folders. If it does not, the lock excludes nobody.
    """

    def __init__(self, descriptor: int | None) -> None:
        """Takes the descriptor of the locked folder; None if the system cannot lock it."""
        self.is_real = descriptor is not None
        self._descriptor = descriptor

    def is_on(self, folder: Path) -> bool:
        """Says whether the locked folder is still at that path."""
        if self._descriptor is None:
            return folder.is_dir()
        try:
            return os.path.samestat(os.fstat(self._descriptor), folder.lstat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Releases the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_folder(folder: Path, *, waits: bool = False) -> FolderLock | None:
    """Locks a folder against other processes, and against other threads of this process.

    Args:
        folder: An existing folder.
        waits: Whether to wait until another holder releases the lock.

    Returns:
        The lock; None if the folder is locked already, or was moved or removed meanwhile.
    """
    if sys.platform == "win32":
        return FolderLock(None)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    lock = FolderLock(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        lock.release()
        return None
    except OSError:  # the file system does not support locks on folders
        lock.release()
        return FolderLock(None)
    if not lock.is_on(folder):
        lock.release()
        return None
    return lock
