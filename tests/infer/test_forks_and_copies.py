"""Tests predictors in forked children, and that pickles and copies work or say why not."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnx
from rnnx.errors import DeviceError, ModelError, RnnxError
from rnnx.infer.explain import load_explainer
from rnnx.runtime import session
from rnnx.runtime.session import Session
from tests.fake_cuda import FakeCuda

TEXTS = [f"a good film {i}" for i in range(200)]
SECONDS = 60

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")


def in_child(work: Callable[[], bool]) -> bool:
    """Runs work in a forked child and returns its answer; a child that hangs is killed, and its answer is False."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of a fork with threads, which is meant
        pid = os.fork()
    if pid == 0:
        signal.alarm(SECONDS)
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1] == 0


@forks
@pytest.mark.parametrize("generations", [1, 2])
def test_a_predictor_that_was_used_works_in_a_forked_child(tiny_bundle: Path, generations: int) -> None:
    predictor = rnnx.load(tiny_bundle, threads=2)
    expected = predictor.predict(TEXTS)

    def work() -> bool:
        return predictor.predict(TEXTS) == expected

    assert in_child(work if generations == 1 else lambda: work() and in_child(work))
    assert predictor.predict(TEXTS) == expected


@forks
def test_a_fork_while_other_threads_predict_does_not_hang(tiny_bundle: Path) -> None:
    predictor = rnnx.load(tiny_bundle, threads=2)
    expected = predictor.predict(TEXTS)
    is_done = threading.Event()

    def predict_on() -> None:
        while not is_done.is_set():
            predictor.predict(TEXTS)

    threads = [threading.Thread(target=predict_on) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert all(in_child(lambda: predictor.predict(TEXTS) == expected) for _ in range(5))
    finally:
        is_done.set()
        for thread in threads:
            thread.join()


@forks
def test_answers_that_were_begun_before_the_fork_are_an_error_in_the_child(tiny_bundle: Path) -> None:
    predictor = rnnx.load(tiny_bundle, batch_size=4, threads=2)
    answers = predictor.predict_stream(TEXTS * 3)
    first = next(answers)

    def work() -> bool:
        with pytest.raises(RnnxError, match="begun before this process was forked"):
            list(answers)
        return True

    assert in_child(work)
    assert [first, *answers] == predictor.predict(TEXTS * 3)


@forks
@pytest.mark.parametrize("model", ["pos", "ids"])
def test_taggers_and_bare_networks_work_in_a_forked_child(model: str, stream_bundles: dict[str, Path]) -> None:
    predictor = rnnx.load(stream_bundles.get(model, model), batch_size=2)
    inputs: Any = TEXTS[:20] if model == "pos" else [np.ones(4, np.int32)] * 20

    def answer() -> list[str]:
        return [str(answer) for answer in predictor.predict(inputs)]

    expected = answer()
    assert in_child(lambda: answer() == expected)


@forks
def test_a_stream_goes_on_in_a_forked_child(streaming_bundle: Path) -> None:
    stream = rnnx.load(streaming_bundle).stream()
    stream.feed("a good ")
    assert in_child(lambda: stream.feed("film ").predictions[0].tokens == 3)


@forks
def test_a_session_with_threads_of_its_own_is_an_error_in_the_child(tiny_bundle: Path) -> None:
    opened = Session((tiny_bundle / "model.onnx").read_bytes(), threads=2)
    batch = np.ones((1, 5), np.int32)
    opened.run(batch)

    def work() -> bool:
        with pytest.raises(DeviceError, match="spawn"):
            opened.run(batch)
        return True

    assert in_child(work)


def test_cuda_after_a_fork_is_one_error(tiny_bundle: Path, cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = rnnx.load(tiny_bundle, device="cuda", batch_size=4)
    predictor.predict(TEXTS)
    monkeypatch.setattr(session.os, "getpid", lambda: -1)  # type: ignore[attr-defined]
    predictor._sessions.start_anew()  # as in a forked child
    with pytest.raises(DeviceError, match=r"CUDA was used before this process was forked.*spawn"):
        predictor.predict(TEXTS)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_predictor_gives_the_same_answers(tiny_bundle: Path, protocol: int) -> None:
    predictor = rnnx.load(tiny_bundle, batch_size=8, threads=2)
    expected = predictor.predict(TEXTS)
    other = pickle.loads(pickle.dumps(predictor, protocol))  # noqa: S301  # ours
    assert other.predict(TEXTS) == expected
    assert (other.window, other._threads, other.device) == (predictor.window, predictor._threads, predictor.device)


@pytest.mark.parametrize("model", ["imdb", "pos"])
def test_a_pickle_holds_the_name_of_a_shipped_model(model: str) -> None:
    data = pickle.dumps(rnnx.load(model))
    assert len(data) < 10_000
    assert model.encode() in data
    assert str(Path(rnnx.__file__).parents[1]).encode() not in data


def test_a_pickle_finds_the_folder_of_its_model_from_anywhere(
    bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bundle_copy.parent)
    predictor = rnnx.load(bundle_copy.name)
    data = pickle.dumps(predictor)
    assert len(data) < 10_000
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert pickle.loads(data).predict(TEXTS) == predictor.predict(TEXTS)  # noqa: S301  # ours


def test_a_pickle_refuses_a_model_that_is_missing_or_another_one(bundle_copy: Path) -> None:
    data = pickle.dumps(rnnx.load(bundle_copy))
    shutil.rmtree(bundle_copy)
    with pytest.raises(ModelError, match="no such model or path"):
        pickle.loads(data)  # noqa: S301  # ours
    shutil.copytree(Path(rnnx.__file__).parents[1] / "exported" / "imdb-article", bundle_copy)
    with pytest.raises(ModelError, match="not the model that was asked for"):
        pickle.loads(data)  # noqa: S301  # ours


def test_a_copy_needs_the_folder_of_its_model_no_more(bundle_copy: Path) -> None:
    predictor = rnnx.load(bundle_copy)
    shutil.rmtree(bundle_copy)
    assert copy.deepcopy(predictor).predict(TEXTS) == predictor.predict(TEXTS)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copied_predictor_gives_the_same_answers(tiny_bundle: Path, make: Callable[[Any], Any]) -> None:
    predictor = rnnx.load(tiny_bundle)
    assert make(predictor).predict(TEXTS) == predictor.predict(TEXTS)


def test_a_copied_explainer_gives_the_same_answers() -> None:
    explainer = load_explainer("imdb-article")
    other = pickle.loads(pickle.dumps(explainer))  # noqa: S301  # ours
    assert other.predictor.predict(TEXTS) == explainer.predictor.predict(TEXTS)


def test_a_spawned_worker_takes_a_predictor(tiny_bundle: Path) -> None:
    predictor = rnnx.load(tiny_bundle, threads=1)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(predictor.predict, [TEXTS]) == [predictor.predict(TEXTS)]


@pytest.fixture(params=["stream", "session"])
def uncopied(request: pytest.FixtureRequest, streaming_bundle: Path) -> Any:
    predictor = rnnx.load(streaming_bundle)
    return predictor.stream() if request.param == "stream" else predictor._sessions.find(predictor._form(rows=1))


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_cannot_be_copied_says_what_to_do(uncopied: Any, make: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"cannot be pickled or copied; (load|open)"):
        make(uncopied)


def test_a_worker_keeps_to_its_number_of_threads() -> None:
    code = (
        "import rnnx, threading\n"
        "predictor = rnnx.load('imdb', batch_size=4, threads=1)\n"
        "predictor.predict(['a good film'] * 200)\n"
        "lines = open('/proc/self/status').read().splitlines()\n"
        "print(threading.active_count(), next(line for line in lines if line.startswith('Threads')).split()[1])"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)  # noqa: S603  # our own code
    assert done.stdout.split() == ["2", "2"]  # the main thread, and the one that runs the batches
