"""Runs jobs in a separate process, so that a crash, a hang or a job that needs too much memory is recognized."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import resource
import shutil
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import typer

from tests.fuzz.job import Job, Outcome, Sandbox

DEADLINE_S = 10.0
# How many deadlines a job may take on a machine that gives its process hardly any processor time.
_PATIENCE = 12
# The limit of the address space. The process alone takes about 1 GiB, and files of some kilobytes need little more.
_MOST_MEMORY_BYTES = 4 << 30
# How long a process may take to start, when it imports all that the commands import.
_START_S = 120
# A new process after so many jobs keeps what they leave in it (sessions, caches) below the limit.
_JOBS_PER_PROCESS = 4000


class Worker:
    """Runs jobs in a separate process, and starts a new process after one has died.

    Attributes:
        count: The number of jobs that have ended, in any way.
    """

    def __init__(self, folder: Path) -> None:
        """Takes the folder that the process may write to."""
        self.count = 0
        self._folder = folder
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection
        self._jobs_left = 0

    def run(self, job: Job) -> Outcome:
        """Runs a job; if the process dies or exceeds the deadline, that is the outcome."""
        if self._process is None or self._jobs_left == 0:
            self._start()
        self.count += 1
        self._jobs_left -= 1
        try:
            self._connection.send(job)
            if self._is_answered():
                outcome: Outcome = self._connection.recv()
                return outcome
            how = f"hung: no end after {DEADLINE_S:.0f} s"
        except (EOFError, OSError):
            how = "died"
        return Outcome(None, death=f"{how} ({self.stop()})\n{self._last_words()}")

    def _is_answered(self) -> bool:
        """Waits for the answer, beyond the deadline while the machine is busy with other work."""
        began_s, _ = self._look()
        for _ in range(_PATIENCE):
            if self._connection.poll(DEADLINE_S):
                return True
            used_s, state = self._look()
            if state != "R" or used_s - began_s > DEADLINE_S / 2:
                return False
        return False

    def _look(self) -> tuple[float, str]:
        """Returns the processor time that the process has used, and its state (R if it wants more)."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), fields[0]

    def stop(self) -> str:
        """Ends the process and says how it ended."""
        if self._process is None:
            return ""
        self._connection.close()
        self._process.join(0.5)
        self._process.kill()
        self._process.join()
        code, self._process = self._process.exitcode or 0, None
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def _start(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, self._folder), daemon=True)
        self._process.start()
        theirs.close()
        self._jobs_left = _JOBS_PER_PROCESS
        if not self._connection.poll(_START_S):
            # Otherwise what it says later would be taken for the answer to a job.
            raise AssertionError(f"the worker did not start in {_START_S} s ({self.stop()})")
        self._connection.recv()

    def _last_words(self) -> str:
        log = self._folder / "faults.log"
        return log.read_text(encoding="utf-8", errors="replace")[-6000:] if log.exists() else ""


def serve(connection: Connection, folder: Path) -> None:
    """Runs jobs in the worker process until the other end of the connection is closed."""
    sandbox = Sandbox(folder / "sandbox")
    prepare()
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with (folder / "faults.log").open("w", encoding="utf-8") as log:
        faulthandler.enable(log, all_threads=False)
        connection.send(None)
        while True:
            try:
                job = connection.recv()
            except EOFError:
                return
            faulthandler.dump_traceback_later(0.9 * DEADLINE_S, file=log)
            outcome = sandbox.execute(job)
            faulthandler.cancel_dump_traceback_later()
            connection.send(outcome)


def prepare() -> None:
    """Imports what jobs need, so that the first job does not have to, and builds the command line once."""
    import rnnx.bundle.embed
    import rnnx.cli.evaluate
    import rnnx.cli.follow
    import rnnx.infer.array_files
    import rnnx.infer.evaluate
    import rnnx.infer.explain
    import rnnx.infer.text_files
    import rnnx.metrics.side_by_side
    import rnnx.proof.diff
    import rnnx.proof.verify

    with contextlib.suppress(ImportError):
        import h5py  # noqa: F401  # its import starts a process to identify the processor
    # Typer would build its commands again at each call, which takes forty times as long as a short run.
    command = typer.main.get_command(rnnx.cli.make_app())
    rnnx.cli.make_app = lambda names=(): command  # type: ignore[assignment, return-value]
