"""Directories put into their place in one step: whole or not at all, whenever the process dies.

A directory is written beside its place under a hidden name, and exchanged with what stood there. Whoever writes it
holds a lock on it that ends with the process, so that the next one can tell what a killed process has left from what
another is still writing, and clears it away. Standard library only.

Packages such as atomicwrites exchange a single file, not a directory. Two directories are exchanged by Linux's
renameat2, which Python does not offer, so it is called by ctypes: a reader who opens `out` at any moment finds the old
directory or the new one, and so does the next process after a death. Elsewhere the old one is renamed away first: for
that moment a reader finds nothing at `out`, and a process that dies then leaves nothing there until the next
publication, which puts the old one back.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnnx.files.locks import lock_folder

_ENDING = ".rnnx"
# Where what stood there waits, if directories cannot be exchanged.
_OLD_ENDING = f".old{_ENDING}"
# What a rename says where another process was faster.
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def publish(out: Path, require_free: Callable[[Path], None]) -> Iterator[Path]:
    """Gives an empty directory to be filled, which then takes the place of what stood at `out`.

    Of several processes that publish into one place at once, one wins whole, and the others' work is gone.

    Args:
        out: The place.
        require_free: Raises if something stands there that is not to be replaced; asked again right before.

    Raises:
        OSError: If it cannot be written; what stood there is untouched then.
    """
    require_free(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(out.parent, out.name) as folder:
            folder.chmod(0o777 & ~_umask())  # mkdtemp closes it to others
            yield folder
            _sync_all(folder)
            require_free(out)
            _move_into_place(folder, out)
            sync_folder(out.parent)
    except OSError as error:
        # A full disk shows at a write, which knows no name; the reader wants to know the place.
        raise OSError(error.errno, error.strerror, str(out)) from error


@contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Makes a hidden folder that goes away at the end; what a killed process has left of its own goes away now.

    Args:
        parent: Where.
        name: Of what it is for: only those of the same name are cleared away.
    """
    _clear_abandoned(parent, name)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{name}-", suffix=_ENDING, dir=parent))
        if lock := lock_folder(folder):
            break  # else another process has taken it for an abandoned one, and clears it away
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def sync_folder(folder: Path) -> None:
    """Makes sure that the names in a folder outlive a power cut."""
    if os.name == "posix":  # Windows cannot open one
        _sync(folder)


def _sync_all(folder: Path) -> None:
    """What is in it first, so that the folder's name never stands for less than all of it."""
    for inner, _, names in os.walk(folder, topdown=False):
        for name in names:
            _sync(Path(inner) / name)
        sync_folder(Path(inner))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has nothing to do for a folder
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
                with suppress(OSError):  # it goes back, unless the new one has come to stand there
                    path.rename(parent / name)
            shutil.rmtree(path, ignore_errors=True)
        lock.release()


def _move_into_place(folder: Path, out: Path) -> None:
    """Ends with the new one at `out`, and the old one, if there was one, at `folder`."""
    while not _take_free_place(folder, out):
        if _exchange(folder, out) or _rename_twice(folder, out):
            return


def _take_free_place(folder: Path, out: Path) -> bool:
    """Renames where nothing stands, or an empty directory."""
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
    """Swaps two directories in one step, where the kernel and the file system can (Linux: renameat2)."""
    if sys.platform != "linux":
        return False
    at_fdcwd, rename_exchange = -100, 2
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    return renameat2 is not None and renameat2(at_fdcwd, os.fsencode(a), at_fdcwd, os.fsencode(b), rename_exchange) == 0


def _rename_twice(folder: Path, out: Path) -> bool:
    """Where directories cannot be exchanged: a reader in between finds nothing, never a mixture.

    A death in between leaves the old one hidden, and the next process puts it back.
    """
    lock = lock_folder(out, waits=True)
    if lock is None:  # another process has just put a new one there
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
