"""Tests that commands that need no framework import none, and that this check can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import imported_by


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("A wonderful film.", encoding="utf-8")
    return str(path)


def test_inference_imports_no_framework(text: str) -> None:
    assert imported_by(["infer", text]) == set()
    assert imported_by(["infer", "--lines", "--jsonl", text]) == set()


def test_explaining_imports_no_framework(text: str) -> None:
    assert imported_by(["explain", text]) == set()
    assert imported_by(["explain", "--lines", "--jsonl", text]) == set()


def test_info_and_doctor_import_no_framework() -> None:
    assert imported_by(["info"]) == set()
    assert imported_by(["doctor"]) == set()


def test_evaluation_imports_no_framework(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text,label\ngood,pos\nbad,neg\n", encoding="utf-8")
    assert imported_by(["evaluate", "imdb", str(tmp_path / "t.csv")]) == set()


def test_the_check_finds_an_imported_framework(text: str) -> None:
    pytest.importorskip("onnx", reason="needs the [train] extra")
    assert imported_by(["infer", text], before="import onnx") == {"onnx"}


def test_importing_rnnx_imports_no_large_package() -> None:
    code = "import sys, rnnx; print([m for m in ('numpy', 'onnxruntime', 'typer', 'rich') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603  # our own code
    assert done.stdout.strip() == "[]"
