"""Tests a corpus in object storage: `s3://` in, `s3://` out, with the server of moto on loopback."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnx
from tests.engines.corpora import require_answers, write_corpus, write_lines

fs = pytest.importorskip("pyarrow.fs", reason="needs the [tables] extra")
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(importlib.util.find_spec("moto") is None, reason="moto[server] is not installed"),
]

ROOT = Path(rnnx.__file__).parents[1]
SECONDS = 60


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, dict[str, str]]]:
    """A file system with an empty bucket, and the environment in which `s3://` means that server."""
    log = tmp_path_factory.mktemp("moto") / "log"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as stream:
        server = subprocess.Popen(words, stdout=stream, stderr=stream)  # noqa: S603  # ours
    try:
        end = time.monotonic() + SECONDS
        while not is_open(port):
            assert server.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            time.sleep(0.1)
        url = f"http://127.0.0.1:{port}"
        names = {"access_key": "test", "secret_key": "test", "region": "us-east-1"}
        system = fs.S3FileSystem(**names, endpoint_override=url, allow_bucket_creation=True)
        system.create_dir("bucket")
        settings = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        yield system, {**os.environ, **settings, "AWS_ENDPOINT_URL": url, "PYTHONPATH": str(ROOT)}
    finally:
        server.kill()
        server.wait()


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def infer(environment: dict[str, str], *arguments: str) -> tuple[int, str]:
    words = [sys.executable, "-m", "rnnx", "infer", *arguments, "--text-column", "review", "--workers", "2"]
    done = subprocess.run(  # noqa: S603  # ours
        words, env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    return done.returncode, done.stderr


def put(system: Any, path: str, data: bytes) -> None:
    with system.open_output_stream(path) as file:
        file.write(data)


def take(system: Any, folder: str, copy: Path) -> None:
    """Copies the files of a folder of the bucket, hidden ones too."""
    copy.mkdir()
    for info in system.get_file_info(fs.FileSelector(folder)):
        with system.open_input_stream(info.path) as file:
            (copy / info.base_name).write_bytes(file.read())


def test_a_corpus_is_answered_in_a_bucket(storage: tuple[Any, dict[str, str]], tmp_path: Path) -> None:
    system, environment = storage
    for path in write_corpus(tmp_path / "in", 300, 3):
        put(system, f"bucket/in/{path.name}", path.read_bytes())
    arguments = ("s3://bucket/in/*.parquet", "--out", "s3://bucket/out")
    code, message = infer(environment, *arguments)
    assert (code, "computed 300 rows in 3 shards" in message) == (0, True), message
    # A shard is lost, and a killed process has left a part of one.
    (lost,) = (info for info in system.get_file_info(fs.FileSelector("bucket/out")) if "part-1" in info.path)
    system.delete_file(lost.path)
    put(system, "bucket/out/.part-1.parquet.0123456789abcdef.rnnx", b"left by a kill")
    for rows in (100, 0):
        code, message = infer(environment, *arguments)
        assert (code, re.findall(r"computed (\d+) rows", message)) == (0, [str(rows)]), message
    take(system, "bucket/out", tmp_path / "out")
    require_answers(tmp_path / "out", 300)
    code, message = infer(environment, *arguments, "--model", "imdb-article")
    assert (code, "another model" in message) == (2, True), message


def test_lines_and_damage_in_a_bucket(storage: tuple[Any, dict[str, str]], tmp_path: Path) -> None:
    system, environment = storage
    (path,) = write_corpus(tmp_path / "in", 90, 1)
    put(system, "bucket/mixed/cut.parquet", path.read_bytes()[:-100])
    put(system, "bucket/mixed/empty.jsonl", b"")
    put(system, "bucket/mixed/lines.jsonl", write_lines(tmp_path / "t.jsonl", 200).read_bytes())
    code, message = infer(environment, "s3://bucket/mixed", "--out", "s3://bucket/answers")
    assert code == 1
    assert re.search(r"cut\.parquet: .*is it damaged", message), message
    assert re.search(r"empty\.jsonl: .*the file is empty", message), message
    take(system, "bucket/answers", tmp_path / "out")
    require_answers(tmp_path / "out", 200)


def test_a_bucket_that_is_not_there_is_an_error(storage: tuple[Any, dict[str, str]]) -> None:
    _, environment = storage
    for arguments in (
        ("s3://nowhere/in/*.parquet", "--out", "s3://bucket/other"),
        ("s3://bucket/in/*.parquet", "--out", "s3://nowhere/out"),
    ):
        code, message = infer(environment, *arguments)
        assert code in (1, 2)
        assert "Traceback" not in message
        assert message.count("\n") == 1, message
