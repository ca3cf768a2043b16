from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import rnnx
from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, Directory, read_directory, write_directory
from rnnx.bundle.find_model import find_directory
from rnnx.errors import ModelError, NoKernelError
from rnnx.infer.encoders import chunks
from rnnx.infer.needed_files import choose_form
from rnnx.infer.predictor import Predictor
from rnnx.runtime import session
from rnnx.runtime.session import Session
from tests.fake_cuda import CPU, CUDA, FakeCuda

TEXTS = ["A wonderful film, I loved it.", "Awful. A waste of time.", "", "the " * 3000 + "worst film ever", "qzx"]


@pytest.fixture(scope="module", params=["imdb", "imdb-article"])
def predictor(request: pytest.FixtureRequest) -> Predictor:
    return rnnx.load(request.param)


def test_plain_texts_get_the_obvious_label() -> None:
    assert [p.label for p in rnnx.load().predict(TEXTS[:2])] == ["pos", "neg"]


def test_the_fields_of_a_prediction_are_consistent(predictor: Predictor) -> None:
    for prediction, tokens in zip(predictor.predict(TEXTS), (6, 5, 0, 3003, 1), strict=True):
        assert prediction.label == predictor.labels[prediction.label_id]
        assert prediction.probability == prediction.probs[prediction.label] == max(prediction.probs.values())
        assert sum(prediction.probs.values()) == pytest.approx(1.0, abs=1e-12)
        assert (prediction.tokens, prediction.truncated) == (tokens, tokens > 500)


def test_predictions_reproduce_the_golden_vectors(predictor: Predictor) -> None:
    golden = json.loads(read_directory(find_directory(predictor.config.name))["golden.json"])
    texts = [row["text"].encode("utf-8", "surrogateescape") for row in golden]
    for row, prediction in zip(golden, predictor.predict(texts), strict=True):
        assert prediction.label == row["label"]
        assert prediction.probability == pytest.approx(row["probability"], abs=1e-5)


def test_batch_size_and_order_do_not_matter(predictor: Predictor) -> None:
    rng = np.random.default_rng(0)
    words = ["good", "bad", "film", "the", "boring", "superb", "plot"]
    texts = [" ".join(rng.choice(words, rng.integers(0, 60))) for _ in range(70)]
    together = predictor.predict(texts)
    shuffled = rng.permutation(len(texts))
    again = predictor.predict([texts[i] for i in shuffled])
    for i, p in zip(shuffled, again, strict=True):
        assert p.probability == pytest.approx(together[i].probability, abs=1e-5)
        assert (p.label, p.tokens) == (together[i].label, together[i].tokens)
    for text, p in list(zip(texts, together, strict=True))[:10]:
        assert predictor.predict([text])[0].probability == pytest.approx(p.probability, abs=1e-5)


def test_a_stream_is_answered_window_by_window(predictor: Predictor) -> None:
    """Memory stays bounded only if few texts are read ahead of the answers."""
    taken = 0

    def endless() -> Iterator[str]:
        nonlocal taken
        while True:
            taken += 1
            yield "fine"

    stream = predictor.predict_stream(endless())
    assert next(stream).tokens == 1
    assert taken <= 4096


def test_a_single_text_is_a_type_error(predictor: Predictor) -> None:
    with pytest.raises(TypeError, match="put a single one into a list"):
        predictor.predict("one text")


def test_bytes_and_str_are_the_same_text(predictor: Predictor) -> None:
    assert predictor.predict(["Déjà vu!"]) == predictor.predict(["Déjà vu!".encode()])


def test_the_threshold_moves_the_decision() -> None:
    (p,) = rnnx.load().predict(TEXTS[:1], threshold=1.0)
    assert p.label == "neg"
    assert p.probability == p.probs["neg"] < 0.5


def test_config_and_model_must_agree(tmp_path: Path) -> None:
    original = read_directory(find_directory("imdb"))
    write_directory(tmp_path / "m", dataclasses.replace(original.config, labels=("pos", "neg")), original.files)
    with pytest.raises(ModelError, match=r"labels is .* in config\.json but .* in the \.onnx file"):
        rnnx.load(tmp_path / "m")


def test_a_training_run_is_refused(tmp_path: Path) -> None:
    original = read_directory(find_directory("imdb"))
    files = {name: data for name, data in original.files.items() if not name.endswith(".onnx")}
    config = dataclasses.replace(original.config, recurrent_units=None)  # only the export sets it
    write_directory(tmp_path / "m", config, {**files, "samples.json": b"[]"})
    with pytest.raises(ModelError, match=r"no model\.onnx: this is a training run; rnnx export"):
        rnnx.load(tmp_path / "m")


def test_chunks_are_complete_and_in_order() -> None:
    assert list(chunks(range(7), 3)) == [(0, 1, 2), (3, 4, 5), (6,)]
    assert list(chunks([], 3)) == []


@pytest.mark.parametrize(
    ("name", "count", "form"), [("imdb", 1, 1), ("imdb", 2, 1), ("imdb-article", 1, 0), ("imdb-article", 2, 1)]
)
def test_the_form_depends_on_the_batch_and_the_units(
    name: str, count: int, form: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The 128 units of imdb make a Scan pay even for one row, the 32 of imdb-article from two rows on."""
    predictor = rnnx.load(name)
    asked: list[str] = []
    find = predictor._sessions.find

    def remember(form_name: str) -> Session:
        asked.append(form_name)
        return find(form_name)

    monkeypatch.setattr(predictor._sessions, "find", remember)
    predictor.predict(TEXTS[:count])
    assert asked == [("model.onnx", "model.batch.onnx")[form]]


def test_parallel_batches_give_the_answers_of_single_ones() -> None:
    texts = [f"{'good ' * (i % 37)}{'bad ' * (i % 11)}film" for i in range(400)]
    alone = rnnx.load("imdb", threads=1, batch_size=16).predict(texts)
    assert rnnx.load("imdb", threads=8, batch_size=16).predict(texts) == alone


@pytest.mark.parametrize(("rows", "units", "form"), [(1, 32, 0), (2, 32, 1), (1, 64, 1), (512, 0, 0)])
def test_a_scan_is_used_from_64_numbers_in_a_step(rows: int, units: int, form: int) -> None:
    assert choose_form("cpu", rows, units, collects_states=False) == (MODEL_NAME, BATCH_NAME)[form]
    assert choose_form("cuda", rows, units, collects_states=False) == MODEL_NAME


@pytest.mark.parametrize(
    ("rows", "units", "form"), [(2, 32, 0), (3, 32, 1), (1, 64, 0), (2, 64, 1), (1, 128, 1), (512, 0, 0)]
)
def test_a_scan_that_collects_its_states_is_used_later(rows: int, units: int, form: int) -> None:
    assert choose_form("cpu", rows, units, collects_states=True) == (MODEL_NAME, BATCH_NAME)[form]


def test_on_cuda_batches_are_large_and_run_the_operator(cuda: FakeCuda) -> None:
    predictor = rnnx.load("imdb", device="cuda")
    assert (predictor.device, predictor.window) == ("cuda", 8 * 1024)
    assert [p.label for p in predictor.predict(TEXTS[:2])] == ["pos", "neg"]
    assert len(cuda.asked) == 1  # one session, for one row and for many
    assert rnnx.load("imdb", device="cuda", batch_size=10).window == 80


def test_an_operator_without_a_cuda_kernel_runs_as_a_scan(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    read = Directory.__getitem__

    def remember(self: Directory, name: str) -> bytes:
        if name.endswith(".onnx"):
            names.append(name)
        return read(self, name)

    monkeypatch.setattr(Directory, "__getitem__", remember)
    monkeypatch.setattr(cuda, "placed_in", lambda: [("RNN", CPU)] if names[-1] == MODEL_NAME else [("Scan", CUDA)])
    assert rnnx.load("imdb", device="cuda").device == "cuda"
    assert names[-2:] == [MODEL_NAME, BATCH_NAME]
    monkeypatch.setattr(cuda, "placed_in", lambda: [("RNN", CPU)])
    with pytest.raises(NoKernelError):
        rnnx.load("imdb", device="cuda")


def test_auto_falls_back_to_the_cpu_if_cuda_fails(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "CUDA_FROM_STATES", 128)
    assert rnnx.load("imdb").device == "cuda"
    assert rnnx.load("imdb", batch_size=1).device == "cuda"  # 128 units
    assert rnnx.load("imdb-article", batch_size=1).device == "cpu"
    cuda.provider = ""
    predictor = rnnx.load("imdb")
    assert (predictor.device, predictor.window) == ("cpu", 32 * 64)
    assert [p.label for p in predictor.predict(TEXTS[:2])] == ["pos", "neg"]
