"""The README says what is so: its Python runs, its commands exist, its figures are those of the bundles."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.directory import find_directory, read_directory, shipped_names
from rnnx.cli import app, run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXPLAINED = "The plot is dull and the jokes are worse, but the two leads are wonderful and the ending is great."
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_every_command_stands_in_the_readme() -> None:
    for command in app.registered_commands:
        assert command.callback is not None
        assert f"`rnnx {command.callback.__name__} " in README or f"`rnnx {command.callback.__name__}`" in README


def test_its_python_runs(tmp_path: Path) -> None:
    blocks = [block for block in PYTHON if "my-stream" not in block]
    assert len(blocks) == 2
    shutil.copytree(find_directory("imdb"), tmp_path / "my-imdb")
    for block in blocks:
        assert run_block(block, tmp_path).startswith("pos ")


def test_its_stream_runs(streaming_bundle: Path, tmp_path: Path) -> None:
    (block,) = (block for block in PYTHON if "my-stream" in block)
    shutil.copytree(streaming_bundle, tmp_path / "my-stream")
    label, probability = run_block(block, tmp_path).split()
    (expected,) = rnnx.load(streaming_bundle).predict(["A wonderful film; I loved every minute of it."])
    assert label == expected.label
    assert float(probability) == pytest.approx(expected.probability, abs=1e-6)


def run_block(block: str, folder: Path) -> str:
    done = subprocess.run(  # noqa: S603  # the README's own code
        [sys.executable, "-W", "ignore", "-c", block],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def test_its_explanation_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Up to the last digit shown, which the rounding of another processor may turn."""
    command = "rnnx explain --model imdb-article review.txt"
    block = README.split(f"$ {command}\n")[1].split("```")[0]
    expected = [line.split("\t") for line in block.splitlines()]
    (tmp_path / "review.txt").write_text(EXPLAINED, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert run(command.split()[1:]) == 0
    actual = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [(*row[:4], row[6]) for row in expected] == [(*row[:4], row[6]) for row in actual]
    for one, other in zip(expected, actual, strict=True):
        assert [float(cell) for cell in one[4:6]] == pytest.approx([float(cell) for cell in other[4:6]], abs=1.01e-4)
    (word,) = (json.loads(line) for line in README.splitlines() if line.startswith('{"word": "wonderful"'))
    assert EXPLAINED[word["start"] : word["end"]] == word["word"]
    assert run([*command.split()[1:], "--json"]) == 0
    (found,) = (one for one in json.loads(capsys.readouterr().out)[0]["words"] if one["word"] == word["word"])
    assert word == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize("name", shipped_names())
def test_its_accuracies_are_those_of_the_bundles(name: str) -> None:
    bundle = read_directory(find_directory(name))
    assert bundle.config.training is not None
    validation = bundle.config.training.best_validation_accuracy
    assert validation is not None
    test = json.loads(bundle["evaluation.json"])["accuracy"]
    (row,) = (line for line in README.splitlines() if line.startswith(f"| [`{name}`]"))
    assert row.endswith(f"| {validation:.4f} | {test:.4f} |")


def test_its_layout_is_the_packages() -> None:
    parts = {path.name for path in (ROOT / "rnnx").iterdir() if not path.name.startswith("_")}
    listed = re.search(r"```\nrnnx/\n(.*?)exported/", README, re.DOTALL)
    assert listed is not None
    assert {line.split()[0].rstrip("/") for line in listed[1].splitlines()} == parts


def test_the_top_level_holds_what_it_should() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607  # git
    if tracked.returncode != 0:
        pytest.skip("not a git checkout: what else lies here is unknown")
    names = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    allowed = {"pyproject.toml", "README.md", "LICENSE", "rnnx", "exported", "tests", "bench"}
    assert {name for name in names if not name.startswith(".")} == allowed
