"""Runs the packages that `rnnx embed` writes, as a command and from a second small program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

# What a command gets that is not a text of a few words, and whether it is answered.
BAD_TEXTS = {
    "invalid UTF-8": b"A wonderful film \xff\xfe\xc3\x28.",
    "nothing": b"",
    "1 MB": b"A wonderful film. " * 58_000,
}


def run(command: list[str | Path], folder: Path, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command in a folder, and returns what it printed."""
    done = subprocess.run(  # noqa: S603  # our own words
        command, check=False, cwd=folder, input=given if given is not None else b"", capture_output=True, timeout=300
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def read_answer(done: subprocess.CompletedProcess[str]) -> tuple[str, float]:
    """Returns label and probability from the output of a command or a program."""
    assert done.returncode == 0, done.stdout + done.stderr
    label, probability = done.stdout.strip().splitlines()[-1].split("\t")
    return label, float(probability)


def read_example(kit: Path, language: str) -> str:
    """Returns the code in the README of a package that uses the library."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", (kit / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


def break_model(folder: Path, how: str) -> None:
    """Removes the model of a folder, or writes the first half of it."""
    path = folder / "model.text.onnx"
    whole = path.read_bytes()
    path.unlink()
    if how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])


def copy_model(kit: Path, folder: Path) -> Path:
    """Copies the two files of a model that a package loads."""
    folder.mkdir()
    for name in ("model.text.onnx", "config.json"):
        shutil.copyfile(kit / name, folder / name)
    return folder
