"""Locks on folders that end with their process, however it ends: no file is made, so none can be left behind.

Where the system has no such lock (Windows, some network drives), nothing is locked, and nobody is kept waiting.
The filelock package locks a file of its own, which has to stay behind; here the folder that is meant is locked itself,
so that a lock can tell whether that folder was moved or removed meanwhile. Standard library only.
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
        is_real: Whether the system has such locks there; else it keeps nobody out.
    """

    def __init__(self, descriptor: int | None) -> None:
        """Takes the open folder that is locked; None where nothing can be."""
        self.is_real = descriptor is not None
        self._descriptor = descriptor

    def is_on(self, folder: Path) -> bool:
        """Whether the folder that is locked still stands in that place."""
        if self._descriptor is None:
            return folder.is_dir()
        try:
            return os.path.samestat(os.fstat(self._descriptor), folder.lstat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Lets go of it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def lock_folder(folder: Path, *, waits: bool = False) -> FolderLock | None:
    """Locks a folder against everyone else who locks it, threads of this process too.

    Args:
        folder: A folder that is there.
        waits: Whether to wait for another one's lock.

    Returns:
        None if another one holds it, or has moved or removed the folder by now.
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
    except OSError:  # the file system has no locks on folders
        lock.release()
        return FolderLock(None)
    if not lock.is_on(folder):
        lock.release()
        return None
    return lock
