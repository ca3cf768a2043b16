"""The command line in processes of their own, to be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from rnnx.cli import run
from rnnx.cli.interrupts import interruption


def start(arguments: list[str], log: Path, scratch: Path | None = None) -> Any:
    """Starts `rnnx` from a server that has imported TensorFlow and done nothing with it: no thread, nothing to inherit.

    Args:
        arguments: Behind `rnnx`.
        log: The file that both its streams go to.
        scratch: Its folder for temporary files; the system's if None.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rnnx.train.run", "rnnx.export.pipeline", "rnnx.cli"])
    process = context.Process(target=_run_command, args=(arguments, log, scratch))
    process.start()
    return process


def _run_command(arguments: list[str], log: Path, scratch: Path | None) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the server ignores it
    interruption.install()
    if scratch:
        tempfile.tempdir = str(scratch)
    with log.open("a", encoding="utf-8") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os._exit(run(arguments))
