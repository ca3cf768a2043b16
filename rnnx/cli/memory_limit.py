"""Knows the limit of memory of this process (`ulimit -v`), and says in one line that it was too low.

Where they lack memory, TensorFlow, onnxruntime and the C++ library end the process by a signal, OpenBLAS with 1 and the
dynamic linker with 127. Nothing of ours runs after that. So a limited command runs in a child, which tells its parent
when it ends by itself. Where it has not, the parent says what happened.
"""

from __future__ import annotations

import atexit
import contextlib
import mmap
import os
import signal
import sys
from typing import NoReturn

from rnnx.cli import terminal
from rnnx.errors import LowMemoryError

_FAILED = 1
# The signals that a user or a supervisor sends to the parent, which are for the child.
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
# The signals by which a library ends a process that lacks memory: of its own accord, and by reading what is not there.
_ENDED_BY_A_LIBRARY = ("SIGABRT", "SIGSEGV", "SIGBUS")
_PR_SET_PDEATHSIG = 1  # of Linux's prctl
# OpenBLAS takes 32 MB for its products, and SciPy's parts that load it take less than the rest of this.
_BLAS_BYTES = 128 << 20


def find_memory_limit() -> int | None:
    """Returns the limit of the address space in bytes; None if there is none, or the system has no such limits."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def guard_memory() -> None:
    """Goes on in a child if the memory is limited; to be called before there are threads.

    The parent does not return: it passes signals on, and ends as the child ends. If a library has ended the child, the
    parent says that there was too little memory, and exits with 1.
    """
    limit = find_memory_limit()
    if limit is None or not hasattr(signal, "sigwaitinfo"):  # macOS has none
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a parent may have had it ignored, and then nobody can wait
    forwarded = {getattr(signal, name) for name in _FORWARDED}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, forwarded | {signal.SIGCHLD})
    told, telling = os.pipe()
    try:
        child = os.fork()
    except OSError:  # there is not even memory for that
        child = 0
    else:
        if child == 0:
            _die_with_the_parent()
            # Python calls this when it ends, whatever the reason. A library that ends the process does not.
            atexit.register(os.write, telling, b".")
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    code = _wait(child, forwarded)
    os.set_blocking(told, False)
    try:
        ended_by_itself = bool(os.read(told, 1))
    except BlockingIOError:
        ended_by_itself = False
    _end(code, limit, ended_by_itself=ended_by_itself)


def reserve_blas() -> None:
    """Lets the OpenBLAS of SciPy take its memory while there is some; where memory is not limited, does nothing.

    It takes it once and keeps it. If there is none left when it is loaded or first used, it asks again for ever.

    Raises:
        LowMemoryError: If there is too little memory.
    """
    if find_memory_limit() is None:
        return
    try:
        mmap.mmap(-1, _BLAS_BYTES).close()
        from scipy.linalg.blas import dgemm
    except ModuleNotFoundError:
        return
    except (OSError, MemoryError) as error:
        raise LowMemoryError from error
    square = [[1.0] * 64] * 64
    dgemm(1.0, square, square)


def exit_process(code: int, *, is_interrupted: bool = False) -> NoReturn:
    """Exits with a code; sometimes leaves nothing to Python but the handlers of `atexit`.

    A process without memory fails to take its modules apart, and Python prints an empty MemoryError for each. After
    Ctrl-C, Python before 3.13 may take a thread for ended that still runs (CPython #90882), and not wait for it. When
    onnxruntime in that thread asks for Python's lock, the C++ library ends the process by SIGABRT.

    Args:
        code: The exit code.
        is_interrupted: Whether Ctrl-C was pressed.
    """
    if not is_interrupted and (code == 0 or find_memory_limit() is None):
        sys.exit(code)
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
        sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code)


def _die_with_the_parent() -> None:
    """Makes sure that a kill of the parent, which it cannot pass on, ends the child too."""
    with contextlib.suppress(ImportError, OSError, AttributeError):  # only Linux has it
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(child: int, forwarded: set[signal.Signals]) -> int:
    """Passes signals on to the child until it has ended, and returns its exit code; it is negative for a signal."""
    while True:
        received = signal.sigwaitinfo(forwarded | {signal.SIGCHLD})
        if received.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
        # A terminal sends Ctrl-C to the parent and the child; what a process sends has a code of at most 0.
        elif received.si_code <= 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, received.si_signo)


def _end(code: int, limit: int, *, ended_by_itself: bool) -> NoReturn:
    """Ends this process as its child has ended."""
    if not ended_by_itself if code >= 0 else signal.Signals(-code).name in _ENDED_BY_A_LIBRARY:
        terminal.prepare()
        terminal.error(str(LowMemoryError(f"finish within {limit / 1e9:.1f} GB of address space")))
        code = _FAILED
    if code < 0:
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)
