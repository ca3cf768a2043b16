"""Runs the command line in its own processes: to kill them, to give them a terminal, or to see what they import."""

from __future__ import annotations

import json
import multiprocessing
import os
import pty
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rnnx.cli import run
from rnnx.cli.interrupts import interruption

FRAMEWORKS = (
    "tensorflow",
    "keras",
    "tf2onnx",
    "onnx",
    "matplotlib",
    "scipy",
    "pyarrow",
    "openpyxl",
    "charset_normalizer",
    "model_signing",
)


def start(arguments: list[str], log: Path, scratch: Path | None = None) -> Any:
    """Starts `rnnx` from a server that has imported TensorFlow and run nothing, so that it inherits no threads.

    Args:
        arguments: The words after `rnnx`.
        log: The file to which both output streams go.
        scratch: The folder for temporary files; None means the system's.
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


def imported_by(arguments: list[str], before: str = "") -> set[str]:
    """Runs the command line in a fresh process and returns the frameworks that it imported."""
    code = (
        f"import json, sys\n{before}\nfrom rnnx.cli import run\ncode = run({arguments!r})\nsys.stdout.flush()\n"
        f"print('\\n' + json.dumps([code, [m for m in {FRAMEWORKS!r} if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)  # noqa: S603  # our own code
    exit_code, names = json.loads(done.stdout.splitlines()[-1])
    assert exit_code == 0, done.stderr
    return set(names)


def on_a_terminal(arguments: list[str], **environment: str) -> str:
    """Runs rnnx with a terminal on stdout and stderr, and returns all that it wrote."""
    master, slave = pty.openpty()
    env = {**os.environ, "COLUMNS": "100", "TERM": "xterm-256color", **environment}
    env = {key: value for key, value in env.items() if value}
    with subprocess.Popen([sys.executable, "-m", "rnnx", *arguments], stdout=slave, stderr=slave, env=env) as process:  # noqa: S603  # ours
        os.close(slave)
        written = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
            if not chunk:
                break
            written += chunk
        process.wait(timeout=60)
    os.close(master)
    return written.decode()
