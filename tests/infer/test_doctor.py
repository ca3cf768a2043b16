"""Tests what the doctor says about simulated installations."""

from __future__ import annotations

import onnxruntime as ort
import pytest

from rnnx.cli import run
from rnnx.infer import doctor
from rnnx.runtime.cuda import Card
from tests.fake_cuda import CPU, FakeCuda


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Returns the installed versions, which a test may change."""
    versions: dict[str, str | None] = dict.fromkeys(doctor._PURPOSES, "1.0")
    versions |= {"onnxruntime": None, "onnxruntime-gpu": "1.31.1", "onnx": "1.23", "keras": "3.15"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    return versions


@pytest.mark.usefixtures("installed")
def test_cuda_is_reported_as_working_only_after_a_model_ran(
    cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "find_cards", lambda: [Card("NVIDIA H100", (9, 0))])
    assert run(["doctor"]) == 0
    assert "cards\tNVIDIA H100 (9.0)" in capsys.readouterr().out
    assert len(cuda.asked) == 1
    cuda.run_error = "CUDA failure 209: no kernel image is available for execution on the device"
    (problem,) = doctor.diagnose().problems
    assert problem.startswith("the GPU failed, or has too little memory for this batch: CUDA failure 209")
    cuda.provider = ""
    (problem,) = doctor.diagnose().problems
    assert problem.startswith("CUDA is available, but no session opens on it: ")


@pytest.mark.usefixtures("installed")
def test_every_missing_part_is_reported(cuda: FakeCuda, capsys: pytest.CaptureFixture[str]) -> None:
    cuda.problems = ["the NVIDIA driver is too old", "libcudnn.so.9 cannot be loaded"]
    assert run(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert "cards\tnone" in out
    assert err.splitlines() == ["warning: the NVIDIA driver is too old", "warning: libcudnn.so.9 cannot be loaded"]
    assert cuda.asked == []


def test_two_builds_of_onnxruntime_are_a_problem(
    installed: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed["onnxruntime"] = "1.32.0"
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    both, no_cuda = doctor.diagnose().problems
    assert both.startswith("onnxruntime and onnxruntime-gpu share one folder and break each other: pip uninstall")
    assert no_cuda.startswith(
        f"the installed onnxruntime {ort.__version__} does not support CUDA (it supports {CPU}): run pip"
    )


@pytest.mark.usefixtures("cuda")
def test_an_old_build_for_cuda_is_reported(installed: dict[str, str | None]) -> None:
    installed["onnxruntime-gpu"] = "1.27.0"
    (problem,) = doctor.diagnose().problems
    assert problem == (
        "onnxruntime-gpu 1.27.0 is older than 1.28, which fixed a security problem: run pip install -U onnxruntime-gpu"
    )


def test_no_gpu_is_looked_for_with_a_build_for_the_cpu(installed: dict[str, str | None]) -> None:
    installed |= {"onnxruntime": "1.32.0", "onnxruntime-gpu": None}
    found = doctor.diagnose()
    assert (found.problems, found.cards) == ((), ())
