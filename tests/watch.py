"""Watches a process: which files and folders it opens to write, and whether it opens connections or looks up names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Opens, renames and makes of files, and all connections. A look-up of a name connects to the resolver.
_CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,connect,sendto"
)
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|^(creat|mkdir|rename|link|symlink)")
_NETWORK = re.compile(r"^(connect|sendto)\(.*sa_family=AF_INET|^connect\(.*nscd")
_HOOK = """
import os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(log, f"network {args!r}\\n".encode())
    elif event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        os.write(log, f"write {args[0]}\\n".encode())
    elif event in ("os.mkdir", "os.rename"):
        os.write(log, f"write {args[0]}\\n".encode())
log = os.open(sys.argv.pop(1), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class Watched:
    """What a process did.

    Attributes:
        code: Its exit code.
        stderr: What it wrote to stderr.
        written: The paths that it opened to write, made or renamed, each once. Devices are left out.
        network: The calls that reach for the network, or that look up a name.
    """

    code: int
    stderr: str
    written: frozenset[str]
    network: tuple[str, ...]


def watch(code: str, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Watched:
    """Runs Python code in a process, and watches it and its children with strace.

    Without strace, an audit hook watches what Python itself does. It cannot see native code, so callers also look at
    the folders that the process may have written to.

    Args:
        code: The code.
        arguments: What the code finds in `sys.argv[1:]`.
        log: The file for the calls.
        environment: The environment variables of the process.
    """
    env = {**environment, "PYTHONDONTWRITEBYTECODE": "1"}
    if has_strace():
        command = ["strace", "-f", "-qq", "-s", "400", "-o", str(log), "-e", f"trace={_CALLS}", sys.executable, "-c"]
        command += [code, *arguments]
    else:
        command = [sys.executable, "-c", _HOOK + code, str(log), *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603  # ours
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    if has_strace():
        calls = [line.partition(" ")[2].lstrip() for line in lines]
        paths = [match[1] for call in calls if _WRITES.search(call) and (match := re.search(r'"([^"]*)"', call))]
        network = [call for call in calls if _NETWORK.search(call)]
    else:
        paths = [line.removeprefix("write ") for line in lines if line.startswith("write ")]
        network = [line for line in lines if line.startswith("network ")]
    written = frozenset(path for path in paths if not path.startswith("/dev/"))
    return Watched(done.returncode, done.stderr, written, tuple(network))


def has_strace() -> bool:
    """Says whether strace is installed, and may watch a process here."""
    if not shutil.which("strace"):
        return False
    return subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, check=False).returncode == 0  # noqa: S603, S607  # ours
