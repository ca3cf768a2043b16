"""Tests the commands of the packages of `rnnx embed` that contain their model: Go and Java."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import rnnx
from tests.runtimes.kits import (
    BAD_TEXTS,
    Command,
    break_model,
    copy_model,
    read_answer,
    require_answer,
    require_no_telemetry,
    run,
)
from tests.runtimes.samples import Project

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film."
COMMANDS = {"go": ["./rnnx-text-classifier"], "java": ["java", "-jar", "target/rnnx-text-classifier.jar"]}


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest, project_of: Callable[[str], Project]) -> Command:
    """Returns the command of a package, for any working directory."""
    kit = project_of(request.param).folder
    return [str(kit / word) if "rnnx" in word else word for word in COMMANDS[request.param]]


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(
    command: Command, bundles: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    expected = rnnx.load(bundles[0], device="cpu").predict([TEXT])[0].probs["pos"]
    for words, given in (([TEXT], ""), (["--", TEXT], ""), (["--file", "text.txt"], ""), ([], TEXT)):
        require_answer(run([*command, *words], tmp_path, given.encode()), "pos", expected)
    assert run([*command, "--help"], tmp_path).stdout.startswith("usage: rnnx-text-classifier ")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*command, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*command, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n")) == (1, 1)
    assert "absent.txt" in absent.stderr
    assert "50 of 50 right" in run([*command, "--golden"], tmp_path).stdout


def test_any_bytes_have_the_answer_of_the_predictor(command: Command, bundles: list[Path], tmp_path: Path) -> None:
    texts = [text.decode("utf-8", "surrogateescape") for text in BAD_TEXTS.values()]
    for text, expected in zip(BAD_TEXTS.values(), rnnx.load(bundles[0], device="cpu").predict(texts), strict=True):
        assert expected.label is not None
        assert expected.probability is not None
        require_answer(run(command, tmp_path, text), expected.label, expected.probability)


def test_a_broken_model_is_one_line(command: Command, bundles: list[Path], tmp_path: Path) -> None:
    folder = copy_model(bundles[0], tmp_path / "model")
    assert read_answer(run([*command, "--model", "model", TEXT], tmp_path))[0] == "pos"
    for how, said in (("truncated", "is not a whole model"), ("missing", "cannot read")):
        break_model(folder, how)
        done = run([*command, "--model", "model", TEXT], tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert said in line
        assert "model.text.onnx" in line


def test_the_command_switches_the_telemetry_of_onnxruntime_off(command: Command, tmp_path: Path) -> None:
    require_no_telemetry([*command, TEXT], tmp_path)
