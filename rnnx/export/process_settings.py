"""Settings of a process that exports one model and ends: more memory for less time. Standard library only."""

from __future__ import annotations

import atexit
import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Importing TensorFlow and tracing a model make millions of objects, nearly all of which stay until the process ends.
# Python's default looks for garbage cycles after every 700 of them.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000
# Names and values of glibc's malloc.h. By default, glibc gives every large array back to the kernel, which clears the
# pages of the next one; the arrays of the proof are made and dropped thousands of times.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MOST_BYTES = (1 << 31) - 1
_LARGE_ARRAY_BYTES = 1 << 30
_UNUSED = ("sklearn", "scipy")


def keep_memory() -> None:
    """Lets this process keep memory that it would give back, and look for garbage less often, and not at its end.

    Call it before TensorFlow is imported. It changes settings of the whole process, so only a command may call it.
    Where the C library is not glibc, only the garbage collector is set.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 50, 100)
    # Python looks for garbage once more while it ends. In a process that has TensorFlow, that takes 0.8 s.
    atexit.register(gc.freeze)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS have no mallopt; Windows needs a library's name
        return
    mallopt(_M_MMAP_THRESHOLD, _LARGE_ARRAY_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _MOST_BYTES)


@contextmanager
def without_unused_packages() -> Iterator[None]:
    """Makes imports of scikit-learn and SciPy fail as if they were not installed, unless they have been imported.

    Keras and TensorFlow import them for wrappers and for sparse arrays that an export does not use. That takes a fifth
    of the time of Keras's own import. Both do without them if they are missing. Only a command that does not need them
    may call this.
    """
    blocked = [name for name in _UNUSED if name not in sys.modules]
    for name in blocked:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's own way to block an import
    try:
        yield
    finally:
        for name in blocked:
            del sys.modules[name]


@contextmanager
def without_collections() -> Iterator[None]:
    """Does not look for garbage inside, and never again among the objects that are there at the end.

    For imports: nearly all objects that they make stay. Only a command may call this.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
