"""Tests what a machine without a GPU can show of the CUDA benchmark: its refusal, and how it counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.cuda import cuda_speed as speed
from rnnx.runtime.cuda import find_cards

ROOT = Path(__file__).parents[2]
LIMITS = {"flops": 1e12, "bytes_per_s": 1e11, "launch_s": 5e-6}


def cells(own: dict[int, float], others: dict[str, float]) -> list[speed.Cell]:
    return [
        speed.Cell(32, batch, 500, {speed.OWN: [ms], **{name: [other_ms] for name, other_ms in others.items()}})
        for batch, ms in own.items()
    ]


@pytest.mark.skipif(bool(find_cards()), reason="this machine has a GPU; the test is about machines without one")
@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "bench.cuda.run_all"], ["bash", str(ROOT / "bench/cuda/cuda.sh")]]
)
def test_without_a_gpu_nothing_is_run(command: list[str], tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": sys.executable, "VENV": str(tmp_path / "venv")}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    assert done.returncode == 5
    assert done.stderr.startswith("error: no card, nothing was run: ")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "venv").exists()


def test_the_crossover_is_the_size_above_which_nothing_is_slower() -> None:
    own = {1: 5.0, 8: 0.5, 32: 5.0, 128: 0.5, 512: 0.5}
    assert speed.crossover(cells(own, {speed.CPU: 1.0})) == 128 * 32
    assert speed.crossover(cells({1: 0.5, 8: 0.5}, {speed.CPU: 1.0})) == 32
    assert speed.crossover(cells({1: 0.5, 8: 5.0}, {speed.CPU: 1.0})) is None
    assert speed.crossover(cells({1: 0.5}, {})) is None  # nothing to compare with


def test_the_report_compares_the_figures_with_the_goals() -> None:
    measured = cells({32: 1.0, 512: 4.0}, {speed.DEFAULT_GRAPH: 30.0, speed.TORCH: 2.0})
    measured[0].refused["JAX lax.scan"] = "wrong: off by 1"
    said = speed.to_markdown(measured, LIMITS)
    assert "- H32, B32 T500: 30.0 times faster than tf2onnx's graph (the goal is 20)." in said
    assert "- Cells slower than PyTorch: H32 B512 T500 (of 2; the goal is none)." in said
    assert "- Not timed: JAX lax.scan: wrong: off by 1" in said
    assert "| PyTorch nn.RNN | 2 (2.00) | 2 (0.50) |" in said


def test_the_least_time_is_that_of_the_products_or_of_the_memory() -> None:
    cell = speed.Cell(32, 10, 100)
    products = 2 * 10 * (100 * (32 + 32) * 32 + 32) / 1e12
    memory = 4 * (10 * 100 * (1 + 32) + 32 * (32 + 32 + 2)) / 1e11
    assert cell.least_ms(LIMITS) == pytest.approx(1e3 * max(products, memory))
    assert cell.least_ms({**LIMITS, "bytes_per_s": 1e15}) == pytest.approx(1e3 * products)
