"""Tests the tasks of a corpus on a Ray cluster of two nodes. They need the [ray] extra."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnx
from tests.engines.corpora import require_answers, require_odd_answers, write_corpus, write_lines, write_odd_texts
from tests.engines.kills import PATIENCE, kill, moments

pytest.importorskip("ray", reason="needs the [ray] extra")
pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]  # Ray's own warnings

ROOT = Path(rnnx.__file__).parents[1]
ROWS = 2000
SECONDS = 180 * PATIENCE
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of processes that use a cluster of two nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    mark = str(tmp_path_factory.mktemp("ray"))
    settings = {"RNNX_TEST": mark, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0", "HOME": mark}
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    nodes: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "node_ip_address": "127.0.0.2"})
    try:
        nodes.add_node(num_cpus=1, node_ip_address="127.0.0.3")
        yield {**os.environ, "RAY_ADDRESS": nodes.address}
    finally:
        nodes.shutdown()
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def command(out: Path, *arguments: object) -> list[str]:
    words = ["infer", *map(str, arguments), "--text-column", "review", "--out", str(out), "--engine", "ray"]
    return [sys.executable, "-m", "rnnx", *words]


def infer(environment: dict[str, str], out: Path, *arguments: object) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603  # ours
        command(out, *arguments), env=environment, capture_output=True, text=True, check=False, timeout=SECONDS
    )
    return done.returncode, done.stderr


def computed(message: str) -> int:
    found = re.search(r"computed ([\d,]+) rows", message)
    assert found, message
    return int(found[1].replace(",", ""))


def test_each_row_is_answered_once_as_by_predict(cluster: dict[str, str], tmp_path: Path) -> None:
    paths = write_corpus(tmp_path / "in", ROWS, 8)
    for expected in (ROWS, 0):
        code, message = infer(cluster, tmp_path / "out", *paths, "--workers", 2)
        assert (code, computed(message)) == (0, expected)
    require_answers(tmp_path / "out", ROWS)


def test_lines_and_damage_are_outcomes_there_too(cluster: dict[str, str], tmp_path: Path) -> None:
    lines = write_lines(tmp_path / "t.jsonl", 200)
    (broken,) = write_corpus(tmp_path / "in", 100, 1)
    data = bytearray(broken.read_bytes())
    data[4:300] = bytes(296)  # the pages of the first column
    broken.write_bytes(data)
    (tmp_path / "empty.parquet").write_bytes(b"")
    odd = write_odd_texts(tmp_path)
    code, message = infer(cluster, tmp_path / "out", lines, broken, tmp_path / "empty.parquet", *odd)
    assert code == 1
    assert "is it damaged" in message
    assert "the file is empty" in message
    assert "4 rows have no answer" in message
    require_odd_answers(tmp_path / "out")
    for path in (tmp_path / "out").glob("odd-*"):
        path.unlink()
    require_answers(tmp_path / "out", 200)


def test_more_cpus_than_there_are_is_an_error_at_once(cluster: dict[str, str], tmp_path: Path) -> None:
    (path,) = write_corpus(tmp_path / "in", 10, 1)
    code, message = infer(cluster, tmp_path / "out", path, "--workers", 3)
    assert code == 2
    assert "--workers 3: the Ray cluster has 2 CPUs" in message


def test_a_cluster_that_is_not_there_is_an_error(cluster: dict[str, str], tmp_path: Path) -> None:
    (path,) = write_corpus(tmp_path / "in", 10, 1)
    code, message = infer({**cluster, "RAY_ADDRESS": "127.0.0.9:1"}, tmp_path / "out", path)
    assert code == 1
    assert "no Ray cluster at 127.0.0.9:1" in message


def workers_of(mark: str, title: bytes = b"ray::_run_task") -> list[int]:
    """The processes of this cluster that run a task now, or have another title."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            is_worker = folder.name.isdigit() and title in (folder / "cmdline").read_bytes()
            if is_worker and f"RNNX_TEST={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("moment", moments(1))
@pytest.mark.parametrize("victim", ["worker", "driver"])
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    cluster: dict[str, str], tmp_path: Path, record_property: Record, victim: str, moment: int
) -> None:
    rows = 8000
    paths = write_corpus(tmp_path / "in", rows, 8)
    log = tmp_path / "log"
    with log.open("wb") as stream:
        words = command(tmp_path / "out", *paths, "--workers", 2)
        process = subprocess.Popen(words, env=cluster, stderr=stream)  # noqa: S603  # ours
    end = time.monotonic() + SECONDS / 2
    while not workers_of(cluster["RNNX_TEST"]):
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.05)
    # All tasks together take a second or more.
    time.sleep(random.Random(moment).uniform(0, 0.5))  # noqa: S311  # no secret
    if victim == "worker":
        while not any(kill(pid, "Ray worker", record_property) for pid in workers_of(cluster["RNNX_TEST"])):
            assert process.poll() is None, "no worker was met"
        assert process.wait(SECONDS) == 0, log.read_text(encoding="utf-8")
    else:
        kill(process.pid, "Ray main process", record_property)
        process.wait()
        time.sleep(1)
        code, message = infer(cluster, tmp_path / "out", *paths, "--workers", 2)
        assert code == 0, message
    require_answers(tmp_path / "out", rows)
    code, message = infer(cluster, tmp_path / "out", *paths)
    assert (code, computed(message)) == (0, 0)


# The program of a user who hands the batches of Ray Data to actors.
ACTORS = """
import sys, pyarrow, ray
from pyarrow import parquet
from rnnx.engines.ray_data import answer_dataset
from rnnx.errors import UsageError
reviews, out = sys.argv[1:]
ray.init(log_to_driver=False)
reviews = ray.data.read_parquet(reviews)
for actors in (2, 3):  # both CPUs, which leaves none for reading, and more than there are
    try:
        answer_dataset(reviews, "imdb", "review", actors=actors)
    except UsageError as error:
        assert str(error).startswith(f"{actors} actors: the Ray cluster has 2 CPUs, and reading needs one"), error
    else:
        raise AssertionError(actors)
answers = answer_dataset(reviews, "imdb", "review", batch_rows=200)
parquet.write_table(pyarrow.concat_tables(ray.get(answers.to_arrow_refs())), out)
"""


@pytest.mark.parametrize("moment", moments(1))
def test_a_kill_of_an_actor_loses_and_doubles_nothing(
    cluster: dict[str, str], tmp_path: Path, record_property: Record, moment: int
) -> None:
    rows = 8000
    write_corpus(tmp_path / "in", rows, 8)
    (tmp_path / "out").mkdir()
    log = tmp_path / "log"
    with log.open("wb") as stream:
        words = [sys.executable, "-c", ACTORS, str(tmp_path / "in"), str(tmp_path / "out" / "answers.parquet")]
        process = subprocess.Popen(words, env=cluster, stdout=stream, stderr=stream)  # noqa: S603  # ours
    end = time.monotonic() + SECONDS / 2
    while not (actors := workers_of(cluster["RNNX_TEST"], b"MapWorker")):
        assert time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.05)
    time.sleep(random.Random(moment).uniform(0, 2))  # noqa: S311  # no secret
    kill(actors[0], "Ray actor", record_property)
    assert process.wait(SECONDS) == 0, log.read_text(encoding="utf-8")
    require_answers(tmp_path / "out", rows)
