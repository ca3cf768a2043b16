"""Tests each command with closed streams, full disks, odd links, names and numbers, and too little memory.

Whatever happens, a command ends with an exit code and at most one line of error, and never with a traceback.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnx
from rnnx.bundle import directory
from rnnx.cli import make_app, onnx_files, run
from tests.disks import small_disk
from tests.make_bundles import BUNDLES

Capture = pytest.CaptureFixture[str]

# Each command that needs no TensorFlow, with a text model.
COMMANDS = [
    "infer --model {model} {text}",
    "infer --model {model} --lines --jsonl {text}",
    "infer --model {model} --json {text}",
    "infer --model {model} --follow {text}",
    "explain --model {model} {text}",
    "verify {model}",
    "diff {model} {model}",
    "diff {model} {model} --texts {text}",
    "evaluate {model} {table}",
    "info {model}",
    "embed python {model} --out {out}",
    "doctor",
]
# The commands that read stdin.
FROM_STDIN = [
    "infer --model {model} -",
    "infer --model {model} --lines -",
    "infer --model {model} --follow -",
    "infer --model pos -",
    "infer --model pos --lines -",
    "infer --model {numbers} -",
    "infer --model {numbers} --follow -",
    "explain --model {model} -",
    "explain --model {model} --lines -",
    "diff {model} {model} --texts -",
]
WITH_BUNDLE = [command for command in COMMANDS if "{model}" in command]


LONG_COMMANDS = ("train {table} --out {out} --epochs 1", "export {series} --out {out}")


@pytest.fixture
def fill(tmp_path: Path) -> Callable[..., list[str]]:
    """Makes the files that a command names, and returns a function that turns a command into its words."""
    (tmp_path / "text.txt").write_text("A wonderful film.\n", encoding="utf-8")
    (tmp_path / "table.csv").write_text("text,label\nfine,pos\nawful,neg\n", encoding="utf-8")
    places: dict[str, object] = {"text": "text.txt", "table": "table.csv", "out": "out"}
    places = {name: tmp_path / str(place) for name, place in places.items()}
    places |= {"model": BUNDLES / "texts", "numbers": BUNDLES / "sensor"}

    def words(command: str, **others: object) -> list[str]:
        return [word.format(**{**places, **others}) for word in command.split()]

    return words


def run_in_shell(shell: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command by a line of bash, in which `"$@"` is the command."""
    argv = ["bash", "-c", shell, "rnnx", sys.executable, "-m", "rnnx", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603  # ours


def require_one_line(capsys: Capture, code: int, *codes: int) -> str:
    """Makes sure that a command ended with one of the codes and one line of error; returns the line."""
    err = capsys.readouterr().err
    assert code in codes, err
    assert err.startswith("error: "), err
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize("state", ["none", "closed"])
@pytest.mark.parametrize("command", FROM_STDIN)
def test_a_closed_stdin_is_one_line(
    command: str, state: str, fill: Callable[..., list[str]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b"fine\n"))
    stdin.close()
    monkeypatch.setattr(sys, "stdin", None if state == "none" else stdin)
    assert "stdin is closed" in require_one_line(capsys, run(fill(command)), 1)


@pytest.mark.parametrize("state", ["none", "closed"])
@pytest.mark.parametrize("streams", [("stdout",), ("stderr",), ("stdin", "stdout", "stderr")], ids="-".join)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_works_with_closed_streams(
    command: str, streams: tuple[str, ...], state: str, fill: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in streams:
        stream = io.TextIOWrapper(io.BytesIO())
        stream.close()
        monkeypatch.setattr(sys, name, None if state == "none" else stream)
    code = run(fill(command))
    for stream in (getattr(sys, name) for name in streams):
        if stream is not None:
            stream.close()
    assert code == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_stdout_is_one_line(
    command: str, fill: Callable[..., list[str]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        code = run(fill(command))
    err = capsys.readouterr().err
    assert code == 1
    assert err.splitlines()[-1] == "error: stdout: No space left on device"
    assert "Traceback" not in err


@pytest.mark.parametrize("command", WITH_BUNDLE)
def test_too_little_memory_is_named(
    command: str, fill: Callable[..., list[str]], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_nothing(*_: object, **__: object) -> bytes:
        raise MemoryError

    for module in (directory, onnx_files):
        monkeypatch.setattr(module, "read_file", read_nothing)
    assert "too little memory" in require_one_line(capsys, run(fill(command)), 1)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v")
@pytest.mark.parametrize("command", WITH_BUNDLE)
def test_a_limit_of_memory_is_one_line_that_names_it(
    command: str, fill: Callable[..., list[str]], tmp_path: Path
) -> None:
    words = fill(command)
    seen = set()
    for kilobytes in (20_000, 80_000, 140_000, 200_000, 250_000):
        done = run_in_shell(f'ulimit -v {kilobytes}; exec "$@"', words)
        seen.add(done.returncode)
        if done.returncode == 0:
            shutil.rmtree(tmp_path / "out", ignore_errors=True)  # the project of embed
        else:
            # Before the last line, there may be what Python's threads, OpenBLAS and onnxruntime's C++ print.
            assert done.returncode == 1, (kilobytes, done.stderr)
            assert done.stderr.splitlines()[-1].startswith("error: too little memory"), (kilobytes, done.stderr)
    assert 1 in seen


@pytest.mark.train
@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "shell", "code", "last"),
    [
        (LONG_COMMANDS[0], 'exec "$@" <&- >&- 2>&-', 0, ""),
        (LONG_COMMANDS[1], 'exec "$@" >/dev/full', 1, "error: stdout: No space left on device"),
        (LONG_COMMANDS[0], 'ulimit -v 150000; exec "$@"', 1, "error: too little memory"),
        (LONG_COMMANDS[1], 'ulimit -v 150000; exec "$@"', 1, "error: too little memory"),
        # With this, there is no memory for the threads of SciPy's OpenBLAS while Keras is imported.
        (LONG_COMMANDS[0], 'ulimit -v 1500000; exec "$@"', 1, "error: too little memory"),
        # With this, TensorFlow is imported, and then ends the process.
        (LONG_COMMANDS[0], 'ulimit -v 1600000; exec "$@"', 1, "error: too little memory"),
        (LONG_COMMANDS[1], 'ulimit -v 1600000; exec "$@"', 1, "error: too little memory"),
    ],
)
def test_training_and_export_work_under_hard_conditions(
    command: str, shell: str, code: int, last: str, fill: Callable[..., list[str]], tmp_path: Path
) -> None:
    rows = [f"{word} film {i},{label}" for i in range(20) for word, label in (("good", "pos"), ("bad", "neg"))]
    (tmp_path / "table.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    done = run_in_shell(shell, fill(command, series=BUNDLES / "series"))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if code == 0:
        assert (tmp_path / "out" / "config.json").is_file()
    else:
        assert done.stderr.splitlines()[-1].startswith(last)


@pytest.mark.parametrize("link", ["config.json", "vocabulary.txt", "model.onnx"])
@pytest.mark.parametrize("command", WITH_BUNDLE)
def test_a_link_that_leads_in_a_circle_is_one_line(
    command: str, link: str, fill: Callable[..., list[str]], tmp_path: Path, capsys: Capture
) -> None:
    model = Path(shutil.copytree(BUNDLES / "texts", tmp_path / "m"))
    (model / link).unlink()
    (model / link).symlink_to("other")
    (model / "other").symlink_to(link)
    code = run(fill(command, model=model))
    if code == 0 or not capsys:  # the command does not need this file
        assert "--follow" in command or (command.startswith(("infer", "explain")) and link == "model.onnx")
        return
    require_one_line(capsys, code, 4)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "a\nb", "..", "a/b", "", "\x7f", "\u202e"])
@pytest.mark.parametrize("command", WITH_BUNDLE)
def test_an_odd_file_name_in_a_bundle_is_one_line(
    command: str, name: str, fill: Callable[..., list[str]], tmp_path: Path, capsys: Capture
) -> None:
    model = Path(shutil.copytree(BUNDLES / "texts", tmp_path / "m"))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["files"][name] = "0" * 64
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "is not a plain file name" in require_one_line(capsys, run(fill(command, model=model)), 4)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_whose_name_is_not_utf8_can_be_used(
    command: str, fill: Callable[..., list[str]], tmp_path: Path, capsys: Capture
) -> None:
    odd = os.fsdecode(b"\xff\xfe \n")
    for name in ("text.txt", "table.csv"):
        shutil.copy(tmp_path / name, tmp_path / f"{odd}{name}")
    model = shutil.copytree(BUNDLES / "texts", tmp_path / f"{odd}model")
    others = {"text": f"{odd}text.txt", "table": f"{odd}table.csv", "out": f"{odd}out"}
    words = [
        word.format(model=model, **{name: tmp_path / place for name, place in others.items()})
        for word in command.split()
    ]
    assert run(words) == 0, capsys.readouterr().err
    if command.startswith("evaluate"):
        assert run([*words, "--save"]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("name", ["x" * 5000, "/dev/null/x"])
@pytest.mark.parametrize(
    "command", ["infer --model {model} {odd}", "diff {model} {model} --texts {odd}", "verify {odd}"]
)
def test_a_name_that_no_file_can_have_is_one_line(
    command: str, name: str, fill: Callable[..., list[str]], capsys: Capture
) -> None:
    require_one_line(capsys, run(fill(command, odd=name)), 1, 4)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "/dev/null/x", ""])
def test_a_name_that_no_model_can_have_is_an_error_of_ours(name: str) -> None:
    with pytest.raises(rnnx.ModelError, match=r"no such model or path|no config\.json|is empty"):
        rnnx.load(name)


def numeric_options() -> list[tuple[str, str]]:
    """Lists each option of each command that takes a number."""
    import typer

    group: Any = typer.main.get_command(make_app())
    return [
        (name, parameter.opts[0])
        for name, command in group.commands.items()
        for parameter in command.params
        if parameter.type.name in ("int", "int range", "float", "float range", "integer", "integer range")
    ]


@pytest.mark.parametrize(
    "value", ["1e30", "99999999999999999999", str(10**400), "9" * 5000, "-1", "0", "nan", "inf", "-inf", "1.5", "", "x"]
)
@pytest.mark.parametrize(("name", "option"), [pair for pair in numeric_options() if pair[0] in ("infer", "explain")])
def test_any_number_of_an_option_is_taken_or_refused_in_one_line(
    name: str, option: str, value: str, fill: Callable[..., list[str]], capsys: Capture
) -> None:
    code = run(fill(f"{name} --model {{model}} {{text}} {option}={value}"))
    if code:
        require_one_line(capsys, code, 2)


def test_the_options_with_numbers_are_found() -> None:
    assert {("infer", "--batch-size"), ("infer", "--threads"), ("infer", "--threshold"), ("train", "--epochs")} <= set(
        numeric_options()
    )


@pytest.mark.parametrize("size", ["full", "missing", "circle", "folder"])
def test_a_plot_that_cannot_be_written_is_one_line(size: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib", reason="needs the [train] extra")
    model = str(BUNDLES / "texts")
    with small_disk(tmp_path / "disk", 16 << 10) as disk:
        (disk / "filler").write_bytes(bytes(8 << 10))
        place = disk / "plot.png"
        if size == "missing":
            place = disk / "no" / "plot.png"
        elif size == "circle":
            place.symlink_to("plot.png")
        elif size == "folder":
            place.mkdir()
        before = sorted(disk.iterdir())
        code = run(["diff", model, model, "--plot", str(place)])
        line = require_one_line(capsys, code, 2 if size in ("missing", "folder") else 1)
        assert str(place) in line
        assert sorted(disk.iterdir()) == before


def test_a_plot_replaces_an_older_one_or_goes_to_a_device(tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("matplotlib", reason="needs the [train] extra")
    model = str(BUNDLES / "texts")
    (tmp_path / "old.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("old.png")
    assert run(["diff", model, model, "--plot", str(tmp_path / "link.png")]) == 0, capsys.readouterr().err
    assert (tmp_path / "old.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "link.png").is_symlink()
    assert run(["diff", model, model, "--plot", os.devnull]) == 0, capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.png", "old.png"]
    assert np.frombuffer((tmp_path / "old.png").read_bytes()[:1], np.uint8)[0] == 0x89
