"""Measures a command with all processes that it starts: wall time, processor time and memory. Needs /proc."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path


class ProcessTree:
    """The processor time and the memory of a process and its descendants, read from /proc while it runs."""

    def __init__(self, pid: int) -> None:
        """Begins to watch."""
        self._pid = pid
        self._ticks: dict[tuple[int, str], int] = {}
        self._peaks_kb: dict[tuple[int, str], int] = {}
        self._workers: set[tuple[int, str]] = set()

    def look(self) -> None:
        """Notes what each process has used so far; a process that ends later is not lost."""
        waiting = [self._pid]
        while waiting:
            pid = waiting.pop()
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text(encoding="utf-8").split())
                is_python = Path(f"/proc/{pid}/exe").readlink().name.startswith("python")
            except OSError:
                continue
            process = pid, fields[19]  # when it was started: an id may be used again
            if pid != self._pid and is_python:
                self._workers.add(process)
            else:  # a fork of Python that has become another program, such as Java
                self._workers.discard(process)
            self._ticks[process] = int(fields[11]) + int(fields[12])
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            self._peaks_kb[process] = max(int(peak), self._peaks_kb.get(process, 0))  # a zombie has none

    @property
    def cpu_s(self) -> float:
        """Processor seconds of all processes."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    @property
    def worker_mb(self) -> float:
        """The most memory that one worker held, in MB: a Python process that others started, if there is one."""
        workers = self._workers or self._peaks_kb
        return max((self._peaks_kb[process] for process in workers), default=0) / 1000


def run(command: list[str], environment: dict[str, str] | None = None) -> tuple[float, ProcessTree]:
    """Runs a command, and returns its wall time and what it used.

    Args:
        command: The words of the command.
        environment: Its environment; None means that of this process.

    Raises:
        SystemExit: If it fails.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)  # noqa: S603  # ours
        tree = ProcessTree(process.pid)
        while process.poll() is None:
            tree.look()
            time.sleep(0.02)
        if process.returncode:
            log.seek(0)
            raise SystemExit(log.read().decode(errors="replace")[-5000:])
    return time.perf_counter() - started, tree
