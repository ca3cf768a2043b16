"""Replaces a directory in one step: it is complete or unchanged, even if the process is killed.

The new directory is written next to the old one under a hidden name, and then the two are exchanged. The writing
process holds a lock on the hidden directory. The lock ends with the process, so the next process can tell an abandoned
directory from one that is still being written, and removes the abandoned ones. Imports the standard library only.

Packages such as atomicwrites replace a single file, not a directory. On Linux, the system call renameat2 exchanges two
directories. Python does not offer it, so it is called through ctypes: a reader finds either the old or the new
directory at any moment, and so does the next process after a kill. On other systems, the old directory is renamed
first. For that moment a reader finds nothing; a process that is killed then leaves nothing at the path until the next
call of `publish`, which restores the old directory.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO

from rnnx.files.locks import FolderLock, lock_folder

_ENDING = ".rnnx"
# The ending of an old directory that was renamed, on systems that cannot exchange directories.
_OLD_ENDING = f".old{_ENDING}"
# The errors of a rename if another process has created the target meanwhile.
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def publish(out: Path, require_free: Callable[[Path], None]) -> Iterator[Path]:
    """Yields an empty directory, and puts it in place of `out` when the block ends.

    If several processes publish to the same path, one of them wins; their results are never mixed.

    Args:
        out: The path of the directory to create or replace.
        require_free: Raises an error if what is at the path must not be replaced. It is called at the start, and again
            just before the replacement.

    Yields:
        The temporary directory, for the caller to fill.

    Raises:
        OSError: If the directory cannot be written. What was at `out` is unchanged in that case.
    """
    require_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(out.parent, out.name) as folder:
            folder.chmod(0o777 & ~_umask())  # mkdtemp makes it private
            yield folder
            _sync_all(folder)
            require_free(out)
            _move_into_place(folder, out)
            sync_folder(out.parent)
    except OSError as error:
        # The error of a write to a full disk has no file name, so the path is added.
        raise OSError(error.errno, error.strerror, str(out)) from error


@contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yields a hidden temporary folder, and removes it when the block ends.

    Folders of the same name that killed processes have left are removed first.

    Args:
        parent: The folder in which the temporary folder is made.
        name: The name of the result that the folder is for. It is part of the name of the temporary folder.

    Yields:
        The path of the temporary folder.
    """
    _clear_abandoned(parent, name)
    made: tuple[Path, FolderLock] | None = None
    try:
        with _interrupts_held():
            while made is None:
                folder = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=_ENDING, dir=parent))
                # Without a lock, another process took the folder for an abandoned one, and removes it.
                made = (folder, lock) if (lock := lock_folder(folder)) else None
        yield folder
    finally:
        with _interrupts_held():
            if made is not None:
                folder, lock = made
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Lets Ctrl-C wait until the block ends, so that a folder is removed whole, or is known when it is made."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield  # Python handles signals in the main thread alone, or not at all
        return
    pressed: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: pressed.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if pressed:
            handler(*pressed[0])


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for writing, which is there whole when the block ends, or stays as it was if the block fails.

    A link is followed; a device or a pipe is written to.

    Raises:
        OSError: If it cannot be written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    target = Path(os.path.realpath(path))  # Path.resolve raises another error for a link that leads in a circle
    with temporary_folder(target.parent, target.name) as folder:
        place = folder / target.name
        with place.open("wb") as file:
            yield file
        place.replace(target)


def write_file(path: Path, data: bytes) -> None:
    """Writes a file whole, or leaves what was there; a device or a pipe is written to.

    Raises:
        OSError: If it cannot be written; it names the path.
    """
    try:
        with open_whole(path) as file:
            file.write(data)
    except OSError as error:
        # The error of a write to a full disk has no file name, so the path is added.
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Flushes the entries of a folder to the disk, so that they survive a power failure."""
    if os.name == "posix":  # Windows cannot open a folder
        _sync(folder)


def _sync_all(folder: Path) -> None:
    """Flushes a folder to the disk, its content first, so that the folder is never visible without its content."""
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(inner) / name)
        sync_folder(Path(inner))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # the file system does not support fsync on a folder
            raise
    finally:
        os.close(descriptor)


def _clear_abandoned(parent: Path, name: str) -> None:
    ours = re.compile(rf"\.{re.escape(name)}-[a-z0-9_]{{8}}({re.escape(_OLD_ENDING)}|{re.escape(_ENDING)})")
    for path in sorted(parent.iterdir()):
        if not ours.fullmatch(path.name) or not (lock := lock_folder(path)):
            continue
        if lock.is_real:
            if path.name.endswith(_OLD_ENDING):
                with suppress(OSError):  # restore the old folder, unless a new one is there already
                    path.rename(parent / name)
            shutil.rmtree(path, ignore_errors=True)
        lock.release()


def _move_into_place(folder: Path, out: Path) -> None:
    """Moves `folder` to `out`. An old folder at `out` is exchanged with it, or removed."""
    while not _take_free_place(folder, out):
        if _exchange(folder, out) or _rename_twice(folder, out):
            return


def _take_free_place(folder: Path, out: Path) -> bool:
    """Renames `folder` to `out` if nothing or an empty folder is there; says whether it did."""
    if out.exists() and any(out.iterdir()):
        return False
    try:
        folder.replace(out)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        return False
    return True


def _exchange(a: Path, b: Path) -> bool:
    """Exchanges two directories in one step with renameat2 (Linux only); says whether it did."""
    if sys.platform != "linux":
        return False
    at_fdcwd, rename_exchange = -100, 2
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    return renameat2 is not None and renameat2(at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), rename_exchange) == 0


def _rename_twice(folder: Path, out: Path) -> bool:
    """Replaces `out` by two renames, for systems that cannot exchange directories; says whether it did.

    Between the two renames, a reader finds nothing at `out`. If the process is killed between them, the old folder
    stays under its hidden name, and the next process restores it.
    """
    lock = lock_folder(out, waits=True)
    if lock is None:  # another process has just replaced it
        return False
    old = folder.with_name(folder.name.removesuffix(_ENDING) + _OLD_ENDING)
    out.rename(old)
    try:
        folder.rename(out)
    except OSError as error:
        if error.errno not in _TAKEN:
            old.rename(out)
            raise
        return False
    else:
        return True
    finally:
        shutil.rmtree(old, ignore_errors=True)
        lock.release()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
