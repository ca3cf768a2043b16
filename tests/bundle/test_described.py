"""Tests that a bundle whose config describes another model than its ONNX files is refused by each command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.errors import ModelError

Capture = pytest.CaptureFixture[str]

SWAPPED = r"labels is \('pos', 'neg'\) in config.json but \('neg', 'pos'\) in the .onnx file"


@pytest.fixture
def with_swapped_labels(bundle_copy: Path) -> Path:
    path = bundle_copy / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["labels"].reverse()
    path.write_text(json.dumps(config), encoding="utf-8")
    return bundle_copy


def test_a_config_with_other_labels_than_the_files_is_refused(with_swapped_labels: Path) -> None:
    with pytest.raises(ModelError, match=SWAPPED):
        read_directory(with_swapped_labels)


@pytest.mark.parametrize("command", ["info", "info --json", "embed python", "verify", "infer --model"])
def test_each_command_says_so_in_one_line(
    command: str, with_swapped_labels: Path, tmp_path: Path, capsys: Capture
) -> None:
    text = tmp_path / "a.txt"
    text.write_text("good", encoding="utf-8")
    name, *options = command.split()
    more = {"infer": [str(text)], "embed": ["--out", str(tmp_path / "kit")]}.get(name, [])
    assert run([name, *options, str(with_swapped_labels), *more]) == 4
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert "labels is ('pos', 'neg') in config.json" in output.err
    assert not (tmp_path / "kit").exists()
