from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from rnnx.errors import DeviceError, ModelError
from rnnx.infer.session import Session
from tests.onnx_bytes import graph, message, node, tensor
from tests.onnx_bytes import model as build

MODEL = Path(__file__).parents[2] / "exported" / "imdb" / "model.onnx"


@pytest.fixture(scope="module")
def model() -> bytes:
    return MODEL.read_bytes()


def test_a_session_runs_where_it_says(model: bytes) -> None:
    session = Session(model, device="cpu")
    assert (session.device, session.provider) == ("cpu", "CPUExecutionProvider")
    (probs,) = session.run(np.array([[1, 5, 9], [0, 0, 3]], np.int32))
    assert probs.shape == (2, 1)
    assert probs.dtype == np.float32


def test_cuda_that_is_not_there_is_an_error(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match=r"no CUDA in this onnxruntime .*rnnx\[cuda\]"):
        Session(model, device="cuda")
    assert Session(model, device="auto").device == "cpu"


def test_a_silent_fall_back_to_the_cpu_is_an_error(model: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime-gpu without its libraries: CUDA is listed, and the session lands on the CPU."""
    real = ort.InferenceSession
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(
        ort,
        "InferenceSession",
        lambda model, options, providers: real(model, options, providers=["CPUExecutionProvider"]),
    )
    with pytest.raises(DeviceError, match="asked for CUDA, onnxruntime gave CPUExecutionProvider"):
        Session(model, device="cuda")
    automatic = Session(model, device="auto")
    assert (automatic.device, automatic.provider) == ("cpu", "CPUExecutionProvider")


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A file that onnxruntime has something to say about, past those who would have refused it before."""
    monkeypatch.setattr("rnnx.infer.session.require_admissible", lambda data: None)
    unsqueeze = node("Unsqueeze", ["x", "axes"], ["y"])
    return build(graph([unsqueeze], [tensor("axes", [1 << 62], bytes(8), data_type=7)]))


def test_onnxruntime_writes_nothing_of_its_own(strange: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match="cannot load the model"):
        Session(strange, device="cpu")
    assert capfd.readouterr().err == ""


def test_metadata_that_is_no_text_is_refused(model: bytes, strange: bytes) -> None:
    with pytest.raises(ModelError, match=r"cannot load the model: .*codec can't decode"):
        Session(model + message((14, [(1, b"\xff"), (2, "value")])), device="cpu")


@pytest.mark.parametrize("cut", [0, 1, 1000, -1000])
def test_a_truncated_file_is_refused(model: bytes, cut: int) -> None:
    with pytest.raises(ModelError, match="not an ONNX model"):
        Session(model[:cut], device="cpu")


def test_ids_out_of_range_are_refused(model: bytes) -> None:
    with pytest.raises(ModelError, match="cannot run the model"):
        Session(model, device="cpu").run(np.array([[29_000]], np.int32))
