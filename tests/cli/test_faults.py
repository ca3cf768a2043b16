"""Tests full and read-only disks, readers that close the pipe, and Ctrl-C: one clear line, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.cli import run
from tests.disks import make_read_only, small_disk

# How often a command is interrupted.
INTERRUPTS = int(os.environ.get("RNNX_KILLS", "4"))

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    (tmp_path / "lines.txt").write_bytes(b"a fine film\n" * 20_000)
    return tmp_path / "lines.txt"


def rnnx(command: str) -> subprocess.CompletedProcess[str]:
    """Runs a shell command in which `rnnx` calls the package under test."""
    script = f'rnnx() {{ "{sys.executable}" -m rnnx "$@"; }}; {command}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603, S607  # ours


@pytest.mark.parametrize("options", ["--lines", "--lines --jsonl", "--lines --model pos --conllu"])
def test_a_closed_pipe_ends_the_command_quietly(lines: Path, options: str) -> None:
    done = rnnx(f"rnnx infer {options} {lines} | head -n 1; echo ${{PIPESTATUS[0]}}")
    first, code = done.stdout.splitlines()
    assert first
    assert (code, done.stderr) == ("141", "")


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")


@full
@pytest.mark.parametrize("options", ["", "--lines", "--lines --jsonl", "--json", "--model pos --conllu"])
def test_a_full_disk_on_stdout_is_one_error_line(lines: Path, options: str) -> None:
    lines.write_bytes(b"a fine film\n" * 300)
    done = rnnx(f"rnnx infer {options} {lines} >/dev/full")
    assert (done.returncode, done.stderr) == (1, "error: stdout: No space left on device\n")


@full
def test_a_full_disk_on_stderr_does_not_stop_the_command(lines: Path) -> None:
    done = rnnx(f"rnnx infer {lines}.not {lines} 2>/dev/full")
    assert (done.returncode, len(done.stdout.splitlines())) == (1, 1)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_at_any_moment_gives_no_traceback(lines: Path) -> None:
    lines.write_bytes(lines.read_bytes() * 10)
    rng = np.random.default_rng(5)
    for _ in range(INTERRUPTS):
        command = [sys.executable, "-m", "rnnx", "infer", "--lines", str(lines)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603  # ours
            time.sleep(rng.uniform(0.2, 1.2))
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=60)[1]
        # During its first imports the process dies from the signal, which a shell reports as 130 too.
        assert process.returncode in (130, -signal.SIGINT)
        assert said in ("error: interrupted\n", "")


@pytest.mark.parametrize("fault", ["full", "read-only"])
def test_a_bundle_on_a_full_or_read_only_disk_stays_unchanged(tmp_path: Path, fault: str, capsys: Capture) -> None:
    (tmp_path / "texts.csv").write_text("text,label\nfine,pos\nawful,neg\n", encoding="utf-8")
    shipped = find_directory("imdb-article")
    size = sum(path.stat().st_size for path in shipped.rglob("*"))
    with small_disk(tmp_path / "disk", size * 3 // 2) as disk:
        shutil.copytree(shipped, disk / "m")
        if fault == "read-only":
            make_read_only(disk)
        else:
            (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - (64 << 10)))
        reason = "Read-only file system" if fault == "read-only" else "No space left on device"
        assert run(["evaluate", str(disk / "m"), str(tmp_path / "texts.csv"), "--save"]) == 1
        assert capsys.readouterr().err == f"error: {disk / 'm'}: {reason}\n"
        assert run(["embed", "python", str(disk / "m"), "--out", str(disk / "app")]) == 1
        assert capsys.readouterr().err == f"error: {disk / 'app'}: {reason}\n"
        assert {path.name for path in disk.iterdir()} - {"filler"} == {"m"}
        assert read_directory(disk / "m").files == read_directory(shipped).files
