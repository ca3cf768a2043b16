"""Runs the command line once on files that a stranger may have made, and records everything that can be seen of it.

The run is in this process, and the streams of the process are redirected to files, so the output of native code is seen
too. Audit events of Python report what was opened for writing anywhere on the machine, unpickled, started or connected
to.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Audit events that no command may cause (https://docs.python.org/3/library/audit_events.html).
_FORBIDDEN = ("pickle.find_class", "socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# The index of the argument with the open folder, for events whose path may be relative to one.
_FOLDER_AT = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2}
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")
WORK, TEMPORARY, SECRET_FILE = "work", "tmp", "secret.txt"
SECRET = b"what-lies-outside"


@dataclass(frozen=True)
class Job:
    """One run.

    Attributes:
        arguments: The arguments of the command line; paths are relative to the working folder.
        files: The files in the working folder.
        stdin: The bytes on stdin.
        is_terminal: Whether stdout and stderr claim to be a terminal.
        target: The only place in the folder that may be written; None if there is none.
        reader: The name of a reader to call with the first file, in place of a command. On the command line, this
            reader runs only after TensorFlow was imported.
    """

    arguments: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    stdin: bytes = b""
    is_terminal: bool = False
    target: str | None = None
    reader: str | None = None

    def command(self) -> str:
        """Returns the command as a user would type it."""
        if self.reader:
            return f"(the reader {self.reader!r} of tests.fuzz.readers, on {next(iter(self.files))})"
        return f"rnnx {' '.join(map(ascii, self.arguments))}"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a job.

    Attributes:
        code: The exit code; None if the run did not return one.
        out: The bytes on stdout.
        err: The bytes on stderr.
        escaped: The traceback of an exception that `run` did not catch.
        strayed: Writes outside the target and forbidden actions, one line each.
        death: How the process that ran the job died or hung.
    """

    code: int | None
    out: bytes = b""
    err: bytes = b""
    escaped: str = ""
    strayed: tuple[str, ...] = ()
    death: str = ""


class _Terminal(io.TextIOWrapper):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


class Sandbox:
    """A folder in which jobs run one after the other, and the observers of these jobs."""

    def __init__(self, place: Path) -> None:
        """Takes over the temporary folder of this process; a job also gets its streams and its working folder.

        Args:
            place: The folder; it is emptied before each job.
        """
        place = place.resolve()
        self._place = place
        self._seen: list[str] | None = None
        self._work = str(place / WORK)
        self._allowed: tuple[str, ...] = ()
        place.mkdir(parents=True, exist_ok=True)
        (place / SECRET_FILE).write_bytes(SECRET)
        self._streams = [(place.parent / f"{place.name}.{fd}").open("w+b", buffering=0) for fd in (0, 1, 2)]
        self._own = [os.dup(fd) for fd in range(3)]
        tempfile.tempdir = str(place / TEMPORARY)
        os.environ.update(TERM="dumb", COLUMNS="100", NO_COLOR="1")
        os.environ.pop("FORCE_COLOR", None)
        sys.addaudithook(self._audit)

    def execute(self, job: Job) -> Outcome:
        """Runs a job."""
        from rnnx.cli import run
        from tests.fuzz.readers import read

        self._prepare(job)
        for fd, stream in enumerate(self._streams):
            os.dup2(stream.fileno(), fd)
        python = sys.stdin, sys.stdout, sys.stderr
        kind = _Terminal if job.is_terminal else io.TextIOWrapper
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        sys.stdout = kind(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
        sys.stderr = kind(io.FileIO(2, "w", closefd=False), encoding="utf-8", write_through=True)
        before = _tree(self._place, job.target)
        code, escaped = None, ""
        self._seen = []
        try:
            code = run(list(job.arguments)) if job.reader is None else read(job.reader, next(iter(job.files.values())))
        except BaseException:  # noqa: BLE001  # a user would have seen any such exception as a traceback
            escaped = traceback.format_exc()
        finally:
            seen, self._seen = self._seen, None
            sys.stdout.flush()  # as Python does when it exits
            sys.stdin, sys.stdout, sys.stderr = python
            for fd, own in enumerate(self._own):
                os.dup2(own, fd)
        after = _tree(self._place, job.target)
        changed = sorted({name for name, _ in before.items() ^ after.items()})
        strayed = [*seen, *(f"changed: {name}" for name in changed)]
        return Outcome(code, self._read(1), self._read(2), escaped, tuple(strayed))

    def _prepare(self, job: Job) -> None:
        os.chdir(self._place)
        for name in (WORK, TEMPORARY):
            shutil.rmtree(self._place / name, ignore_errors=True)
            (self._place / name).mkdir()
        for name, data in job.files.items():
            path = self._place / WORK / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        os.chdir(self._place / WORK)
        for stream in self._streams:
            stream.truncate(0)
            stream.seek(0)
        self._streams[0].write(job.stdin)
        self._streams[0].seek(0)
        # A target is first written next to its place, and then renamed.
        targets = [] if job.target is None else [f"{self._work}/{job.target}", f"{self._work}/.{job.target}-"]
        self._allowed = (f"{self._place}/{TEMPORARY}/", *targets)

    def _read(self, fd: int) -> bytes:
        stream = self._streams[fd]
        stream.seek(0)
        return stream.read()

    def _audit(self, event: str, arguments: Any) -> None:
        if self._seen is None:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int):
                return
            if isinstance(flags, int) and flags & _WRITES:
                self._note("written", os.fsdecode(path))
            elif os.fsdecode(path).endswith(SECRET_FILE):
                self._seen.append(f"read: {path!s}")
        elif event in _CHANGES:
            self._note(event, os.fsdecode(arguments[0]), _FOLDER_AT.get(event) and arguments[_FOLDER_AT[event]])
        elif event in _FORBIDDEN:
            self._seen.append(f"{event}: {arguments!r:.200}")

    def _note(self, what: str, path: str, folder: int | None = None) -> None:
        """Records a change to a place that must not be touched."""
        base = self._work if folder in (None, -1) else os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115
        whole = os.path.normpath(os.path.join(base, path))  # noqa: PTH118  # a hook makes no objects
        if whole.startswith(self._allowed) or whole == os.devnull or "__pycache__" in whole:
            return
        if what == "os.mkdir" and os.path.isdir(whole):  # noqa: PTH112  # such a call fails, which the caller expects
            return
        assert self._seen is not None
        self._seen.append(f"{what}: {whole}")


def _tree(place: Path, target: str | None) -> dict[str, tuple[int, int, int]]:
    """Returns the mode, size and time of everything below a folder, except the target."""
    found: dict[str, tuple[int, int, int]] = {}
    pending = [str(place)]
    skipped = None if target is None else str(place / WORK / target)
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.path == skipped:
                    continue
                status = entry.stat(follow_symlinks=False)
                is_folder = entry.is_dir(follow_symlinks=False)
                # The time of a folder changes with the target in it, and its other entries are compared themselves.
                found[entry.path] = (status.st_mode, 0, 0) if is_folder else (
                    status.st_mode, status.st_size, status.st_mtime_ns
                )  # fmt: skip
                if is_folder:
                    pending.append(entry.path)
    return found
