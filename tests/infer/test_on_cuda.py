"""Tests what only a GPU can show: `pytest -m gpu`.

It needs the repository and `pip install -e '.[cuda,dev]'`, but no TensorFlow. The tests run the proof itself: each
step, whole predictions, padded rows, batches and texts, for both directions, several layers, the last state, pooled
states and one output for each position. With the [train] extra, tests/export/test_grid.py does the same for LSTM, GRU
and the rest of the grid, because an export proves its files on every device that is available.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import rnnx
from rnnx.bundle.directory import GOLDEN_NAME, read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.cli import run
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence import Evidence
from rnnx.proof.evidence_metadata import EVIDENCE_KEY, with_evidence
from rnnx.proof.verify import verify_file
from rnnx.runtime.session import Session, cuda_problems
from rnnx.strict_json import from_json

pytestmark = pytest.mark.gpu

FILES = [
    (bundle, file)
    for bundle in ("imdb", "imdb-article", "pos")
    for file in ("model.onnx", "model.batch.onnx", "model.text.onnx")
    if (bundle, file) != ("pos", "model.text.onnx")
]


@pytest.fixture(autouse=True)
def _needs_a_gpu() -> None:
    if problems := cuda_problems():
        pytest.skip(f"CUDA is not available: {problems[0]}")


def read(bundle: str, file: str = "model.onnx") -> bytes:
    return read_directory(find_directory(bundle))[file]


def test_the_doctor_finds_nothing_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cards"]
    assert found["problems"] == []


@pytest.mark.parametrize(("bundle", "file"), FILES)
def test_every_shipped_file_is_proved_on_cuda(bundle: str, file: str) -> None:
    report = verify_file(file, read(bundle, file), ["cuda"]).report
    assert {runtime.runtime for runtime in report.runtimes} == {f"{file}, CUDAExecutionProvider"}
    assert report.first_problem == ""


def test_a_proof_on_cuda_can_fail() -> None:
    """The file has relu in place of tanh, and an updated digest."""
    model = parse_model(read("imdb-article", "model.batch.onnx"))
    properties = read_properties(model)
    node = next(node for node in model.graph.node if node.op_type == "Scan")
    node.ParseFromString(node.SerializeToString().replace(b"Tanh", b"Relu"))
    properties = with_evidence(properties, from_json(Evidence, properties[EVIDENCE_KEY]), model)
    for entry in model.metadata_props:
        entry.value = properties[entry.key]
    report = verify_file("model.batch.onnx", model.SerializeToString(), ["cuda"]).report
    assert "CUDAExecutionProvider: layer simple_rnn, step " in report.first_problem
    assert "times the float32 rounding bound" in report.first_problem


def test_a_batch_gives_what_its_rows_give_alone() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 10_000, (40, 60)).astype(np.int32)
    ids[0] = ids[1, :30] = ids[2, 30:] = ids[3, 1::2] = 0  # padding everywhere, in front, at the end, between
    for file in ("model.onnx", "model.batch.onnx"):
        on_gpu, on_cpu = (Session(read("imdb", file), device=device) for device in ("cuda", "cpu"))
        (together,) = on_gpu.run(ids)
        np.testing.assert_allclose(on_cpu.run(ids)[0], together, atol=2e-5)
        for row in range(5):
            np.testing.assert_allclose(together[row : row + 1], on_gpu.run(ids[row : row + 1])[0], atol=2e-5)


def test_the_same_batch_gives_the_same_bits() -> None:
    ids = np.random.default_rng(1).integers(0, 10_000, (256, 300)).astype(np.int32)
    on_gpu = Session(read("imdb"), device="cuda")
    first = on_gpu.run(ids)[0]
    assert all(np.array_equal(first, on_gpu.run(ids)[0]) for _ in range(10))


@pytest.mark.parametrize("bundle", ["imdb", "imdb-article"])
def test_golden_texts_get_their_labels(bundle: str) -> None:
    golden: list[dict[str, Any]] = json.loads(read(bundle, GOLDEN_NAME))
    texts = [row["text"].encode("utf-8", "surrogateescape") for row in golden]
    predictor = rnnx.load(bundle, device="cuda")
    assert predictor.device == "cuda"
    for row, prediction in zip(golden, predictor.predict(texts), strict=True):
        assert prediction.label == row["label"]
        assert prediction.probability == pytest.approx(row["probability"], abs=2e-5)


def test_words_get_the_same_tags_as_on_the_cpu() -> None:
    texts = ["They didn't see the old station in London.", "", "Nobody there tags words by hand!"] * 20
    on_gpu, on_cpu = (rnnx.load("pos", device=device).predict(texts) for device in ("cuda", "cpu"))
    assert [tags_of(tagging) for tagging in on_gpu] == [tags_of(tagging) for tagging in on_cpu]


def tags_of(tagging: Any) -> list[str]:
    return [word.tag for sentence in tagging.sentences for word in sentence]
