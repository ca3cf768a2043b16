"""Tests that no command reads an input without an end for ever, and that a pipe is refused where a file is needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnnx.cli import run
from rnnx.datasets import load_dataset, load_sentences
from rnnx.datasets import table_text as table_text_module
from rnnx.errors import DataError
from rnnx.infer import text_files as text_files_module
from rnnx.infer.text_files import read_files, read_lines
from tests.make_bundles import BUNDLES

Capture = pytest.CaptureFixture[str]
ENDLESS = "/dev/zero"
pytestmark = pytest.mark.skipif(not Path(ENDLESS).exists(), reason="the inputs are devices and pipes of POSIX")


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """Makes a named pipe that nobody writes to."""
    os.mkfifo(tmp_path / "p.csv")
    return tmp_path / "p.csv"


@pytest.mark.parametrize(
    "command",
    [
        ["infer", "--model", str(BUNDLES / "texts"), ENDLESS],
        ["infer", "--model", str(BUNDLES / "words"), ENDLESS],
        ["infer", "--model", str(BUNDLES / "texts"), "--lines", ENDLESS],
        ["infer", "--model", str(BUNDLES / "words"), "--lines", ENDLESS],
        ["explain", "--model", str(BUNDLES / "texts"), ENDLESS],
    ],
    ids=" ".join,
)
def test_an_endless_text_is_refused_with_one_line(command: list[str], capsys: Capture) -> None:
    start = time.process_time()
    assert run(command) == 1
    error = capsys.readouterr().err
    assert "not a text: a zero byte at offset 0" in error or "longer than 16 MB" in error
    assert error.count("\n") == 1
    assert time.process_time() - start < 20


@pytest.mark.parametrize("name", ["-", ENDLESS])
def test_endless_texts_to_compare_are_refused(name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = str(BUNDLES / "texts")
    with Path(ENDLESS).open("rb") as endless:
        monkeypatch.setattr("rnnx.cli.diff.open_stdin", lambda: endless)
        assert run(["diff", bundle, bundle, "--texts", name]) == 1
    assert "more than 16 MB of texts" in capsys.readouterr().err


def test_a_text_is_not_read_on_after_its_first_zero_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(ENDLESS).open("rb") as endless:
        monkeypatch.setattr(text_files_module, "open_stdin", lambda: endless)
        (item,) = read_files(["-"])
    assert item.error == "not a text: a zero byte at offset 0 (a binary file, or UTF-16?); save it as UTF-8"


def test_the_lines_after_a_long_bad_one_are_still_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\0" * (17 << 20) + b"\ngood\n")
    items = [item for item in read_lines([str(path)]) if item is not None]
    assert [item.text for item in items] == [None, b"good"]
    monkeypatch.setattr(text_files_module, "MOST_SKIPPED_BYTES", 1 << 20)
    items = [item for item in read_lines([str(path)]) if item is not None]
    assert [item.text for item in items] == [None]
    assert str(items[0].error).endswith("; nothing after it was read")


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "ft"])
def test_a_table_of_one_endless_line_is_refused(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_text_module, "_MOST_LINE_CHARACTERS", 1 << 20)
    path = tmp_path / f"a.{ending}"
    with path.open("wb") as file:
        file.write(b"__label__a " if ending == "ft" else b"")
        file.truncate(5 << 30)
    with pytest.raises(DataError, match="a line of 1 MB or more"):
        load_dataset(str(path))


def test_a_treebank_of_one_endless_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.conllu"
    with path.open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(DataError, match="a line of 16 MB or more"):
        load_sentences(str(path))


def test_a_pipe_is_no_data_set(pipe: Path, capsys: Capture) -> None:
    for command in (
        ["evaluate", str(BUNDLES / "texts"), str(pipe)],
        ["infer", "--model", str(BUNDLES / "texts"), str(pipe), "--text-column", "text"],
    ):
        assert run(command) == 1
        assert "a pipe or a device, not a file" in capsys.readouterr().err
    with pytest.raises(DataError, match="a pipe or a device, not a file"):
        load_dataset(str(pipe))
    for ending in (".npy", ".npz"):
        os.mkfifo(pipe.with_suffix(ending))
        assert run(["infer", "--model", str(BUNDLES / "sensor"), str(pipe.with_suffix(ending))]) == 1
        assert "a pipe or a device, not a file" in capsys.readouterr().err


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("command", [["infer", "--lines"], ["diff", "imdb", "imdb", "--texts"]])
def test_waiting_for_a_pipe_can_be_interrupted(command: list[str], pipe: Path) -> None:
    process = subprocess.Popen(  # noqa: S603  # our own command
        [sys.executable, "-m", "rnnx", *command, str(pipe)], stderr=subprocess.PIPE, text=True
    )
    writer = _open_once_it_is_read(pipe)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    os.close(writer)
    assert process.returncode == 130
    assert error == "error: interrupted\n"


def _open_once_it_is_read(pipe: Path) -> int:
    """Opens a pipe for writing as soon as a process reads it; nothing is written."""
    for _ in range(600):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads yet
            time.sleep(0.1)
    raise TimeoutError("nobody has opened the pipe")
