"""Tests sessions on the CPU, and on a CUDA that is simulated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from rnnx.errors import DeviceError, ModelError, NoKernelError, RnnxError
from rnnx.runtime import session as module
from rnnx.runtime.session import Session, available_devices, choose_device, cuda_problems, devices_for
from tests.fake_cuda import CPU, CUDA, FakeCuda
from tests.onnx_bytes import graph, message, node, tensor
from tests.onnx_bytes import model as build

MODEL = Path(__file__).parents[2] / "exported" / "imdb" / "model.onnx"


@pytest.fixture(scope="module")
def model() -> bytes:
    return MODEL.read_bytes()


@pytest.fixture
def cpu_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])


def test_a_session_runs_on_the_device_that_it_reports(model: bytes) -> None:
    session = Session(model, device="cpu")
    assert (session.device, session.provider) == ("cpu", "CPUExecutionProvider")
    (probs,) = session.run(np.array([[1, 5, 9], [0, 0, 3]], np.int32))
    assert probs.shape == (2, 1)
    assert probs.dtype == np.float32


@pytest.mark.usefixtures("cpu_build")
def test_missing_cuda_is_an_error(model: bytes) -> None:
    with pytest.raises(DeviceError, match=r"the installed onnxruntime .* does not support CUDA .*rnnx\[cuda\]"):
        Session(model, device="cuda")
    assert Session(model, device="auto").device == "cpu"
    assert available_devices() == devices_for(model) == ["cpu"]


def test_a_session_on_cuda_is_opened_for_the_arithmetic_that_was_proved(model: bytes, cuda: FakeCuda) -> None:
    session = Session(model, device="cuda")
    assert (session.device, session.provider) == ("cuda", CUDA)
    # Without enable_fallback=0, onnxruntime would open a new session on the CPU if a run failed.
    assert cuda.asked == [{"providers": [(CUDA, {"use_tf32": "0"})], "enable_fallback": 0}]
    assert available_devices() == devices_for(model) == ["cpu", "cuda"]


def test_a_problem_of_cuda_is_the_error_and_no_session_is_tried(model: bytes, cuda: FakeCuda) -> None:
    cuda.problems = ["libcuda.so.1 is missing: install it", "libcudnn.so.9 is missing: install it"]
    with pytest.raises(DeviceError) as caught:
        Session(model, device="cuda")
    assert str(caught.value) == "CUDA is not available: libcuda.so.1 is missing: install it; rnnx doctor lists 1 more"
    assert cuda.asked == []
    assert available_devices() == devices_for(model) == ["cpu"]


def test_nothing_is_printed_on_stdout(model: bytes, cuda: FakeCuda, capsys: pytest.CaptureFixture[str]) -> None:
    """`preload_dlls` prints what it does not find; the session keeps that off stdout."""
    assert cuda_problems() == ()
    assert capsys.readouterr().out == ""


def test_a_silent_fall_back_to_the_cpu_is_an_error(model: bytes, cuda: FakeCuda) -> None:
    """CUDA is listed and no problem is known, but the session falls back to the CPU."""
    cuda.provider = CPU
    with pytest.raises(DeviceError, match="onnxruntime fell back from CUDA to CPUExecutionProvider: ") as caught:
        Session(model, device="cuda")
    if not list((Path(ort.__file__).parent / "capi").glob("libonnxruntime_providers_cuda.so")):
        assert "libonnxruntime_providers_cuda.so: cannot open shared object file" in str(caught.value)


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM", "Scan", "Loop"])
def test_a_recurrence_that_would_run_on_the_cpu_is_an_error(model: bytes, cuda: FakeCuda, operator: str) -> None:
    cuda.placed = [("Gemm", CUDA), (operator, CPU)]
    with pytest.raises(NoKernelError, match=f"no CUDA kernel for this model's {operator}, and would run it on the CPU"):
        Session(model, device="cuda")
    assert devices_for(model) == ["cpu"]


def test_a_session_that_cuda_refuses_is_a_device_error(model: bytes, cuda: FakeCuda) -> None:
    cuda.provider = ""
    with pytest.raises(DeviceError, match="CUDA is available, but no session opens on it: cuDNN is unavailable"):
        Session(model, device="cuda")
    with pytest.raises(DeviceError):  # a proof must not silently leave out an available device
        devices_for(model)


def test_a_broken_model_is_a_model_error_on_cuda_too(strange: bytes, cuda: FakeCuda) -> None:
    cuda.provider = ""
    with pytest.raises(ModelError, match="cannot load the model"):
        Session(strange, device="cuda")


@pytest.mark.parametrize(
    ("run_error", "kind"),
    [
        ("CUDNN failure 5000: EXECUTION_FAILED", RnnxError),
        ("Failed to allocate memory for", RnnxError),
        ("x", ModelError),
    ],
)
def test_a_failing_gpu_is_not_reported_as_a_broken_model(
    model: bytes, cuda: FakeCuda, run_error: str, kind: type
) -> None:
    cuda.run_error = run_error
    with pytest.raises(RnnxError, match=run_error) as caught:
        Session(model, device="cuda").run(np.array([[1, 5]], np.int32))
    assert type(caught.value) is kind


def test_auto_follows_the_measured_crossover(monkeypatch: pytest.MonkeyPatch, cuda: FakeCuda) -> None:
    assert module.CUDA_FROM_STATES is None  # not measured, so `auto` uses the CPU
    assert choose_device("auto", 10**9) == "cpu"
    monkeypatch.setattr(module, "CUDA_FROM_STATES", 4096)
    assert (choose_device("auto", 4096), choose_device("auto", 4095), choose_device("auto")) == ("cuda", "cpu", "cpu")
    assert (choose_device("cpu", 4096), choose_device("cuda", 1)) == ("cpu", "cuda")
    module._library_problems.cache_clear()
    cuda.problems = ["no card"]
    assert choose_device("auto", 4096) == "cpu"


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Returns a file that onnxruntime refuses with a message, and turns off the admission check before it."""
    monkeypatch.setattr("rnnx.runtime.session.require_admissible", lambda data: None)
    unsqueeze = node("Unsqueeze", ["x", "axes"], ["y"])
    return build(graph([unsqueeze], [tensor("axes", [1 << 62], bytes(8), data_type=7)]))


def test_onnxruntime_writes_nothing_to_stderr(strange: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="cannot load the model"):
        Session(strange, device="cpu")
    assert capfd.readouterr().err == ""


def test_metadata_that_is_not_utf_8_is_refused(model: bytes, strange: bytes) -> None:
    with pytest.raises(ModelError, match=r"cannot load the model: .*codec can't decode"):
        Session(model + message((14, [(1, b"\xff"), (2, "value")])), device="cpu")


@pytest.mark.parametrize("cut", [0, 1, 1000, -1000])
def test_a_truncated_file_is_refused(model: bytes, cut: int) -> None:
    with pytest.raises(ModelError, match="not an ONNX model"):
        Session(model[:cut], device="cpu")


def test_ids_out_of_range_are_refused(model: bytes) -> None:
    with pytest.raises(ModelError, match="cannot run the model"):
        Session(model, device="cpu").run(np.array([[29_000]], np.int32))
