"""The machine that a benchmark runs on: the cores that it may use, its processor's name and its package versions.

`restrict` has to run before numpy or any framework is imported, because their thread pools are sized when they load.
Standard library only.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def restrict(threads: int) -> list[int]:
    """Binds this process and its children to as many cores as it may have threads.

    Each library is told its number of threads too. Not every library obeys everywhere, but none can leave the cores.

    Returns:
        The cores.
    """
    cores = sorted(os.sched_getaffinity(0))[:threads]
    os.sched_setaffinity(0, cores)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    # The benchmarks measure the CPU, also on a machine that has a GPU.
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    return cores


def cpu_model() -> str:
    """Returns the processor's name as Linux reports it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Returns the version of each distribution that is installed, by name; Python's version comes first."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def today() -> str:
    """Returns today's date (UTC) in ISO format."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
