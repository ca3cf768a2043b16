"""The proof on random networks, right and wrong ones: what `bench.proof.sharpness` does to 500, done to a few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.train, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_right_exports_pass_and_wrong_ones_fail_in_their_place() -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    # Another seed than the one whose table is in rnnx/proof/README.md.
    command = [sys.executable, "-m", "bench.proof.sharpness", "--networks", "10", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=900)  # noqa: S603  # ours
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    total = next(line for line in done.stdout.splitlines() if line.startswith("| all |")).split("|")
    made, caught, missed = (int(cell) for cell in total[2:5])
    assert made == caught > 40
    assert missed == 0
