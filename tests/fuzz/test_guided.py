"""Fuzzes targets guided by coverage if atheris is installed; RNNX_FUZZ_SECONDS=600 gives each ten minutes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris is not installed: pip install atheris (Linux, up to Python 3.13)")

SECONDS = os.environ.get("RNNX_FUZZ_SECONDS", "10")


TARGETS = (
    "test_evaluate_reads_or_refuses_any_archive",
    "test_evaluate_reads_or_refuses_any_table",
    "test_infer_answers_any_numbers",
    "test_a_changed_config_is_read_or_refused",
    "test_a_changed_model_is_run_or_refused",
)


@pytest.mark.parametrize("target", TARGETS)
def test_fuzzing_guided_by_coverage_finds_no_failure(target: str, bundles: dict[str, Path]) -> None:
    command = [sys.executable, "-m", "tests.fuzz.guided", str(bundles["texts"].parent), target, SECONDS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert done.returncode == 0, done.stderr[-6000:]
    assert "0 inputs\n" in done.stderr
