from __future__ import annotations

from pathlib import Path

import pytest

from rnnx.bundle.directory import SAMPLES_PATH, shipped_names
from rnnx.bundle.embed import read_snippet, targets, write_project
from rnnx.cli import run
from rnnx.errors import ModelError, UsageError


def test_the_folder_of_samples_is_not_a_shipped_model() -> None:
    assert SAMPLES_PATH.is_dir()
    assert "embed" not in shipped_names()
    assert {"python", "node", "c", "cpp", "rust", "go", "java", "csharp"} <= set(targets())


def test_the_readme_of_a_sample_has_two_commands_and_a_golden_check() -> None:
    for target in set(targets()) - {"browser"}:
        blocks = (SAMPLES_PATH / target / "README.md").read_text(encoding="utf-8").split("```sh\n")[1:]
        assert [len(block.partition("\n```")[0].splitlines()) for block in blocks] == [2, 1], target
        assert "A wonderful film." in blocks[0]
        assert "--golden" in blocks[1]


@pytest.mark.parametrize("target", targets())
def test_a_snippet_has_five_to_eight_lines(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    language, lines = read_snippet(target)
    assert language
    assert 5 <= len(lines.splitlines()) <= 8
    assert "model.text.onnx" in lines
    assert not lines.startswith((" ", "\t"))
    assert run(["info", "--target", target]) == 0
    assert "model.text.onnx" in capsys.readouterr().out


@pytest.mark.parametrize("target", targets())
def test_a_project_holds_sample_model_and_vectors(target: str, tiny_bundle: Path, tmp_path: Path) -> None:
    written = {path.as_posix() for path in write_project(target, tiny_bundle, tmp_path / "project")}
    assert {"README.md", "model.text.onnx", "golden.json", "config.json"} < written
    for name in ("model.text.onnx", "golden.json", "config.json"):
        assert (tmp_path / "project" / name).read_bytes() == (tiny_bundle / name).read_bytes()
    assert not list(tmp_path.glob(".project*"))


def test_an_existing_file_or_folder_is_kept(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="choose another --out"):
        write_project("python", tiny_bundle, tmp_path)
    with pytest.raises(UsageError, match="choose another --out"):
        write_project("python", tiny_bundle, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_bundle_without_a_text_model_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.text\.onnx is missing.*export it again"):
        write_project("python", tiny_run, tmp_path / "project")
    assert not any(tmp_path.iterdir())


def test_the_command_writes_a_project_or_names_the_targets(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["embed", "python", str(tiny_bundle), "--out", str(tmp_path / "project")]) == 0
    assert str(tmp_path / "project" / "main.py") in capsys.readouterr().out
    assert run(["embed", "cobol"]) == 2
    assert "there is no sample for 'cobol'; choose one of" in capsys.readouterr().err
