"""Tests that a process which a library ends under a limit of memory says so, and otherwise ends as without a limit.

Each command is a few lines of Python, in a process of its own whose address space is limited.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnx.cli import memory_limit
from rnnx.errors import LowMemoryError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v")

BEGIN = """
import os, resource, signal, sys, time
from rnnx.cli.memory_limit import guard_memory

resource.setrlimit(resource.RLIMIT_AS, (2_000_000_000, resource.RLIM_INFINITY))
guard_memory()
"""
TELL_AND_WAIT = "print(os.getpid(), flush=True)\ntime.sleep(60)\n"


def begin(work: str) -> subprocess.Popen[str]:
    """Starts a limited process that does some work."""
    # The work may end by a signal, which must leave no dump of the process.
    code = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n" + BEGIN + work
    return subprocess.Popen(  # noqa: S603  # our own code
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


# OpenBLAS ends the process with 1, and the dynamic linker with 127.
@pytest.mark.parametrize(
    "work", ["os.abort()", "os.kill(os.getpid(), signal.SIGSEGV)", "os._exit(1)", "os._exit(127)", "os._exit(0)"]
)
def test_a_process_that_a_library_ends_says_that_it_lacked_memory(work: str) -> None:
    process = begin(work)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error == (
        "error: too little memory to finish within 2.0 GB of address space; free some, or raise the limit (ulimit -v)\n"
    )


@pytest.mark.parametrize(
    ("work", "code"), [("sys.exit(3)", 3), ("pass", 0), ("os.kill(os.getpid(), signal.SIGTERM)", -15)]
)
def test_any_other_end_is_that_of_the_process(work: str, code: int) -> None:
    process = begin(work)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == code


@pytest.mark.usefixtures("ctrl_c")
def test_signals_reach_the_process_that_works() -> None:
    # In many short sleeps, because Python does not see a signal that comes just before a sleep until its end.
    work = (
        "try:\n    print(0, flush=True)\n    for _ in range(600):\n        time.sleep(0.1)\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = begin(work)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 130


def test_a_kill_ends_the_process_that_works() -> None:
    process = begin(TELL_AND_WAIT)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    assert child != process.pid
    process.kill()
    process.communicate(timeout=60)
    for _ in range(1000):
        if not is_running(child):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the process runs on without its parent")


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"  # nobody may have waited for it yet


IN_PIECES = """
import atexit
from rnnx.cli.memory_limit import exit_process

class Library:
    def __del__(self):
        sys.stderr.write("in pieces")

library = Library()
atexit.register(sys.stderr.write, "at the end")
"""


@pytest.mark.parametrize(
    ("code", "is_interrupted", "said"),
    [(3, False, "at the end"), (0, False, "at the endin pieces"), (130, True, "at the end"), (0, True, "at the end")],
)
def test_a_failure_and_an_interruption_take_nothing_apart(code: int, is_interrupted: bool, said: str) -> None:
    process = begin(f"{IN_PIECES}exit_process({code}, is_interrupted={is_interrupted})")
    assert process.communicate(timeout=60)[1] == said
    assert process.returncode == code


IN_SCIPY = """
from rnnx.cli.memory_limit import reserve_blas
reserve_blas()
from scipy.linalg.blas import dgemm
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
square = [[1.0] * 300] * 300
resource.setrlimit(resource.RLIMIT_AS, (used + 8_000_000, resource.RLIM_INFINITY))
print(dgemm(1.0, square, square)[0, 0])
"""


def test_the_products_of_scipy_do_not_wait_for_memory() -> None:
    pytest.importorskip("scipy", reason="needs the [train] extra")
    process = begin("os.environ['OPENBLAS_NUM_THREADS'] = '1'\n" + IN_SCIPY)
    try:
        out, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "300.0\n"), error


def test_too_little_memory_for_products_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_limit, "_BLAS_BYTES", 1 << 60)
    memory_limit.reserve_blas()
    monkeypatch.setattr(memory_limit, "find_memory_limit", lambda: 1 << 40)
    with pytest.raises(LowMemoryError):
        memory_limit.reserve_blas()


def test_a_process_without_a_limit_has_no_child() -> None:
    code = "import os\nbefore = os.getpid()\nfrom rnnx.cli.memory_limit import guard_memory\nguard_memory()\n"
    done = subprocess.run(  # noqa: S603  # our own code
        ["bash", "-c", 'ulimit -v unlimited 2>/dev/null; exec "$@"', "x", sys.executable, "-c",  # noqa: S607
         code + "assert os.getpid() == before"], check=False,
    )  # fmt: skip
    assert done.returncode == 0
