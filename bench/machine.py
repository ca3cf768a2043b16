"""The machine a benchmark runs on: which cores it may use, and what to say of it. Standard library only.

`restrict` has to run before numpy or any framework is imported: their thread pools are sized when they load.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def restrict(threads: int) -> list[int]:
    """Ties this process, and what it starts, to as many cores as it may have threads.

    Each library is told its number of threads too; but not all of them listen everywhere, and cores they cannot leave.

    Returns:
        The cores.
    """
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    # The CPU is measured, also where there is a GPU.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return cores


def cpu_model() -> str:
    """The processor's name, as Linux has it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Name to version of those distributions that are installed, Python first."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def today() -> str:
    """The date in ISO, UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
