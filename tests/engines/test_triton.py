"""Tests the repository of `rnnx embed triton` in a Triton server, which the package nvidia-pytriton brings.

That server has no onnxruntime backend. A backend in Python takes its place: Triton itself reads the configs, checks the
requests, joins them into batches and puts labels on the answers.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rnnx.bundle.embed import write_project

pytestmark = pytest.mark.engines

SECONDS = 60
# numpy 2 cannot read the arrays of this server's own functions, so they go through DLPack.
BACKEND = """
import sys
sys.path[:0] = {packages!r}
import json, os
import numpy as np
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        path = os.path.join(args["model_repository"], args["model_version"], config["default_model_filename"])
        self.session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,), (answer,) = config["input"], config["output"]
        (found,), (answers,) = self.session.get_inputs(), self.session.get_outputs()
        types = {{"tensor(uint8)": "TYPE_UINT8", "tensor(int32)": "TYPE_INT32"}}
        assert (given["name"], given["data_type"]) == (found.name, types[found.type]), given
        assert (answer["name"], [*map(int, answer["dims"])]) == (answers.name, answers.shape[1:]), answer

    def execute(self, requests):
        rows = [np.from_dlpack(triton.get_input_tensor_by_name(request, self.input)) for request in requests]
        with open({log!r}, "a") as log:
            print(json.dumps([list(row.shape) for row in rows]), file=log)
        probs = self.session.run(None, {{self.input: np.concatenate(rows)}})[0]
        parts = np.split(probs, np.cumsum([len(row) for row in rows])[:-1])
        tensors = [triton.Tensor.from_dlpack("probs", part.copy()) for part in parts]
        return [triton.InferenceResponse([tensor]) for tensor in tensors]

    @property
    def input(self):
        return self.session.get_inputs()[0].name
"""


@pytest.fixture(scope="module")
def server() -> Path:
    """The folder of the server."""
    found = importlib.util.find_spec("pytriton")
    if found is None or not found.submodule_search_locations:
        pytest.skip("nvidia-pytriton is not installed")
    folder = Path(found.submodule_search_locations[0]) / "tritonserver"
    words = [str(folder / "bin" / "tritonserver"), "--help"]
    done = subprocess.run(words, env=environment(folder), capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if "--model-repository" not in done.stdout + done.stderr:
        pytest.skip(f"this tritonserver does not run here: {done.stderr[-200:]}")
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    write_project("triton", "imdb", tmp_path / "repository")
    return tmp_path / "repository"


def environment(server: Path) -> dict[str, str]:
    return {**os.environ, "LD_LIBRARY_PATH": str(server.parents[1] / "nvidia_pytriton.libs")}


def make_backends(server: Path, folder: Path, log: Path) -> Path:
    """Makes a folder of backends with one for onnxruntime."""
    shutil.copytree(server / "backends" / "python", folder / "python")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for path in (server / "python_backend_stubs" / version).iterdir():
        shutil.copy(path, folder / "python")
        (folder / "python" / path.name).chmod(0o755)
    (folder / "onnxruntime").mkdir()
    packages = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    program = BACKEND.format(packages=packages, log=str(log))
    (folder / "onnxruntime" / "model.py").write_text(program, encoding="utf-8")
    return folder


def command(server: Path, repository: Path, backends: Path, port: int) -> list[str]:
    settings = {
        "model-repository": repository,
        "backend-directory": backends,
        "exit-on-error": "true",
        "http-address": "127.0.0.1",
        "http-port": port,
        "allow-grpc": "false",
        "allow-metrics": "false",
        "pinned-memory-pool-byte-size": 0,
    }
    return [str(server / "bin" / "tritonserver"), *(f"--{name}={value}" for name, value in settings.items())]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def serve(server: Path, repository: Path, backends: Path) -> Iterator[str]:
    """Runs the server, and yields its address when all models are ready."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (repository.parent / "server.log").open("wb") as log:
        words = command(server, repository, backends, port)
        process = subprocess.Popen(words, env=environment(server), stdout=log, stderr=log)  # noqa: S603  # ours
    try:
        end = time.monotonic() + SECONDS
        while not is_ready(url):
            message = (repository.parent / "server.log").read_text(encoding="utf-8")
            assert process.poll() is None, message
            assert time.monotonic() < end, message
            time.sleep(0.2)
        yield url
    finally:
        process.kill()
        process.wait()


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/health/ready") as answer:  # noqa: S310  # http alone
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(url: str, model: str, name: str, datatype: str, row: list[int], **parameters: Any) -> list[Any]:
    tensor = {"name": name, "datatype": datatype, "shape": [1, len(row)], "data": row}
    body = {"inputs": [tensor], "outputs": [{"name": "probs", "parameters": parameters}]}
    request = urllib.request.Request(f"{url}/v2/models/{model}/infer", json.dumps(body).encode())  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310  # http alone
        found: list[Any] = json.load(answer)["outputs"][0]["data"]
    return found


def states(message: str) -> dict[str, str]:
    """What the server says about each model."""
    return dict(re.findall(r"^\| ([\w-]+) +\| 1 +\| (.*?) *\|$", message, re.MULTILINE))


def load(server: Path, repository: Path) -> dict[str, str]:
    """Loads a repository in a server that has no onnxruntime backend."""
    words = command(server, repository, server / "backends", free_port())
    done = subprocess.run(  # noqa: S603  # ours
        words, env=environment(server), capture_output=True, text=True, check=False, timeout=SECONDS
    )
    return states(done.stdout + done.stderr)


def test_the_repository_is_accepted_as_far_as_the_missing_backend(server: Path, repository: Path) -> None:
    missing = "unable to find backend library for backend 'onnxruntime'"
    found = load(server, repository)
    assert found.keys() == {"imdb-ids", "imdb-text"}
    assert all(missing in state for state in found.values()), found


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("max_batch_size", "most_rows"),
        lambda text: text.replace("TYPE_UINT8", "TYPE_BYTES"),
        lambda text: text.replace("microseconds: 1000", "microseconds: soon"),
    ],
    ids=["field", "type", "value"],
)
def test_a_config_that_is_wrong_is_found(server: Path, repository: Path, change: Callable[[str], str]) -> None:
    path = repository / "imdb-text" / "config.pbtxt"
    text = path.read_text(encoding="utf-8")
    path.write_text(change(text), encoding="utf-8")
    assert path.read_text(encoding="utf-8") != text
    assert "unable to find backend" not in load(server, repository).get("imdb-text", "")


def test_the_client_gets_the_golden_answers_and_requests_are_joined(server: Path, repository: Path) -> None:
    log = repository.parent / "batches"
    backends = make_backends(server, repository.parent / "backends", log)
    with serve(server, repository, backends) as url:
        words = [sys.executable, "client.py"]
        for argument, expected in [("--golden", "25 of 25 right\n"), ("A wonderful film.", "pos\t0.99")]:
            done = subprocess.run(  # noqa: S603  # ours
                [*words, argument],
                cwd=repository,
                env={**os.environ, "TRITON_URL": url},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.startswith(expected)
        row = [*b"A wonderful film.", *bytes(1024 - 17)]
        with ThreadPoolExecutor(16) as pool:
            asked = [pool.submit(ask, url, "imdb-text", "text", "UINT8", row) for _ in range(200)]
            assert len({tuple(request.result()) for request in asked}) == 1
        (labelled,) = ask(url, "imdb-text", "text", "UINT8", row, classification=1)
        assert labelled.endswith(":1:pos")
        golden = json.loads((repository / "golden.json").read_bytes())[0]
        (probability,) = ask(url, "imdb-ids", "ids", "INT32", golden["ids"])
        (padded,) = ask(url, "imdb-ids", "ids", "INT32", [*[0] * 64, *golden["ids"]])
        assert probability == padded == pytest.approx(golden["probs"][-1], abs=1e-5)
        with pytest.raises(urllib.error.HTTPError, match="Bad Request"):
            ask(url, "imdb-text", "text", "INT32", row)
    sizes = [len(json.loads(line)) for line in log.read_text(encoding="utf-8").splitlines()]
    assert max(sizes) > 1
