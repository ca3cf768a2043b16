"""Runs the packages that `rnnx embed` writes, as a command and from a second small program."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

import rnnx
from tests.runtimes.samples import Project

Command = list[str | Path]  # the words of a command
PROGRAMS = Path(__file__).parent / "programs"
TEXT = "A wonderful film."

# What a command gets that is not a text of a few words, and whether it is answered.
BAD_TEXTS = {
    "invalid UTF-8": b"A wonderful film \xff\xfe\xc3\x28.",
    "nothing": b"",
    "1 MB": b"A wonderful film. " * 58_000,
}


def run(command: Command, folder: Path, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
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


def require_answer(done: subprocess.CompletedProcess[str], label: str, probability: float) -> None:
    """Fails unless a command or a program gave this answer."""
    found = read_answer(done)
    assert found[0] == label
    assert abs(found[1] - probability) < 0.01


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


def rename_labels(folder: Path, labels: Sequence[str]) -> None:
    """Gives the model of a folder other labels, in the metadata of its file alone."""
    onnx = pytest.importorskip("onnx", reason="needs the [train] extra")
    model = onnx.load(folder / "model.text.onnx")
    (about,) = [entry for entry in model.metadata_props if entry.key == "rnnx"]
    about.value = json.dumps(json.loads(about.value) | {"labels": list(labels)})
    onnx.save(model, folder / "model.text.onnx")


def require_prediction(done: subprocess.CompletedProcess[str], bundle: Path, text: str | bytes = TEXT) -> None:
    """Compares the output of a command or a program with the answer of the predictor."""
    given = text if isinstance(text, str) else text.decode("utf-8", "surrogateescape")
    (expected,) = rnnx.load(bundle, device="cpu").predict([given])
    require_answer(done, expected.label, expected.probability)


def require_no_telemetry(command: Command, folder: Path) -> None:
    """Runs a command in an empty home, without settings and without CI's variables: onnxruntime leaves nothing there.

    With telemetry, which onnxruntime collects on Linux from version 1.29 on, it would.
    """
    home = folder / "home"
    home.mkdir()
    kept = [f"{name}={value}" for name, value in os.environ.items() if name in ("PATH", "LANG")]
    done = run(["env", "-i", *kept, f"HOME={home}", *command], home)
    assert done.returncode == 0, done.stderr
    assert not list(home.iterdir())


def require_command(command: Command, bundle: Path, folder: Path) -> None:
    """Runs a command in all the ways that its help lists, and in wrong ones."""
    require_no_telemetry([*command, TEXT], folder)
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    for arguments in ([TEXT], ["--", TEXT], ["--file", "text.txt"]):
        require_prediction(run([*command, *arguments], folder), bundle)
    for arguments in ([], ["--file", "-"]):
        require_prediction(run([*command, *arguments], folder, TEXT.encode()), bundle)
    for text in BAD_TEXTS.values():
        require_prediction(run(command, folder, text), bundle, text)
    usage = run([*command, "--help"], folder)
    assert (usage.returncode, usage.stderr) == (0, "")
    assert usage.stdout.startswith("usage: rnnx-text-classifier TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*command, *wrong], folder)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", usage.stdout)
    absent = run([*command, "--file", "absent.txt"], folder)
    assert (absent.returncode, absent.stdout, absent.stderr.count("\n")) == (1, "", 1)
    assert absent.stderr.startswith("error: absent.txt: ")


def require_library(program: Command, kit: Path, bundle: Path, folder: Path) -> None:
    """Runs a program that uses the library: with the model of the package, and with good and bad ones of a folder."""
    require_prediction(run(program, folder), bundle)
    model = copy_model(kit, folder / "model")
    require_prediction(run([*program, "model"], folder), bundle)
    labels = ['n\u00e9"g\\', "pos \U0001f600"]
    rename_labels(model, labels)
    assert read_answer(run([*program, "model", "short"], folder))[0] == labels[1]
    rename_labels(model, ["a", "b", "c"])
    three = run([*program, "model"], folder)
    rename_labels(model, labels)
    break_model(model, "truncated")
    truncated = run([*program, "model"], folder)
    break_model(model, "missing")
    missing = run([*program, "model"], folder)
    for done, said in ((three, "labels"), (truncated, "is not a whole model"), (missing, "cannot read")):
        assert done.returncode not in (0, -6, -11, 101), done.stderr  # neither a crash nor a panic
        assert said in done.stderr


def require_refusal_of_half_a_model(kit: Project) -> None:
    """Builds a package with the first half of its model, and runs its command; then builds it as it was."""
    break_model(kit.folder, "truncated")
    kit.shell(kit.build_command).check_returncode()
    done = kit.shell(kit.run_command)
    kit.use(kit.bundle)
    kit.shell(kit.build_command).check_returncode()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("error: model.text.onnx is not a whole model: ")
