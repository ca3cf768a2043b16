"""Does what no reader of rnnx does, so that the suite can show that it would notice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MISBEHAVIOURS: dict[str, Callable[[bytes], Any]] = {
    "abort": lambda data: os.abort(),
    "hang": lambda data: time.sleep(60),
    "raise": lambda data: data[len(data)],
    "write outside": lambda data: Path("../outside.txt").write_bytes(data),
    "write here": lambda data: Path("here.txt").write_bytes(data),
    "write elsewhere": lambda data: Path("/dev/full").open("wb").close(),
    "read outside": lambda data: Path("../secret.txt").read_bytes(),
    "start": lambda data: subprocess.run(["true"], check=True),  # noqa: S607  # harmless
    "control the terminal": lambda data: sys.stdout.write("\x1b[2J"),
    "log": lambda data: os.write(2, b"a line of another library\n"),
    "long": lambda data: sys.stderr.write(f"warning: {'a' * 5000}\n"),
}
