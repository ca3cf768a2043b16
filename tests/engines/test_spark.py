"""Tests a model in Spark, on a standalone cluster of two workers. They need pyspark, pandas and Java 17."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pytest

import rnnx
from tests.engines.corpora import require_answers, write_corpus, write_lines
from tests.engines.kills import PATIENCE, kill, moments

pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17"),
]

ROOT = Path(rnnx.__file__).parents[1]
ROWS = 2000
Record = Callable[[str, object], None]
SECONDS = 240 * PATIENCE
# Spark's own records next to the files of an answer.
MARKS = re.compile(r"_SUCCESS|\..*\.crc")

# The driver of a user. Two tasks run at once; the same command again writes the same answers.
DRIVER = """
import shutil, sys
from pathlib import Path
import rnnx
from pyspark.sql import SparkSession
from rnnx.engines.spark import SparkPredictor

ODD = '''
    select 0 as label, cast(unhex('636166E9') as string) as review union all select 1, null
    union all select 2, repeat('good ', 2000000) union all select 3, ''
'''
reviews_path, model, out = sys.argv[1:]
spark = (
    SparkSession.builder.config("spark.ui.enabled", "false")
    .config("spark.sql.files.maxPartitionBytes", "60k").config("spark.sql.files.openCostInBytes", "0")
    .getOrCreate()
)
answer = SparkPredictor(model, "review")
if Path(model).is_dir():
    spark.sparkContext.addArchive(shutil.make_archive(model, "zip", model) + "#" + Path(model).name)
    shutil.move(model, model + "-moved")  # no executor finds it at its path
reviews = spark.read.json(reviews_path) if reviews_path.endswith("jsonl") else spark.read.parquet(reviews_path)
answers = reviews.mapInArrow(answer, answer.spark_schema(reviews))
answers.write.mode("overwrite").parquet(out)
if Path(model + "-moved").is_dir():
    odd = spark.sql(ODD)
    texts = [row.review for row in odd.selectExpr("label", "cast(review as binary) as review").sort("label").collect()]
    for name in ("imdb-article", "imdb", "imdb-article"):  # in turn, in the same workers
        expected = rnnx.load(name).predict([bytes(text) for text in texts if text is not None])
        for frame in (odd, odd.selectExpr("label", "cast(review as binary) as review")):
            answer = SparkPredictor(name, "review")
            rows = sorted(frame.mapInArrow(answer, answer.spark_schema(frame)).drop("review").collect())
            assert [row.error for row in rows] == [None, "no text", None, None], rows
            found = [row for row in rows if row.error is None]
            assert [row.predicted_label for row in found] == [prediction.label for prediction in expected]
            assert [row.probability for row in found] == [prediction.probability for prediction in expected]
spark.stop()
"""


class Cluster(NamedTuple):
    """A standalone cluster.

    Attributes:
        environment: The environment of drivers.
        workers: The processes of Spark that start executors.
    """

    environment: dict[str, str]
    workers: list[int]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A master and two workers with a CPU each, on loopback."""
    folder = tmp_path_factory.mktemp("spark")
    home = Path(pyspark.__file__).parent
    master, page = free_port(), free_port()
    environment = {
        **os.environ,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "scratch"),
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_DAEMON_MEMORY": "256m",
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
    }
    url = f"spark://127.0.0.1:{master}"
    place = ["--host", "127.0.0.1"]
    processes = [start(environment, "master.Master", *place, "--port", str(master), "--webui-port", str(page))]
    try:
        limits = ["--cores", "1", "--memory", "1g", "--webui-port", "0"]
        processes += [start(environment, "worker.Worker", *place, *limits, url) for _ in range(2)]
        wait_until(lambda: alive_workers(page) == 2, 60)
        arguments = f"--master {url} --executor-memory 512m --driver-memory 1536m pyspark-shell"
        workers = [process.pid for process in processes[1:]]
        yield Cluster({**environment, "PYSPARK_SUBMIT_ARGS": arguments}, workers)
    finally:
        for process in reversed(processes):
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def start(environment: dict[str, str], name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a process of the cluster, in a group of its own."""
    words = [f"{environment['SPARK_HOME']}/bin/spark-class", f"org.apache.spark.deploy.{name}", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(words, env=environment, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603  # ours


def alive_workers(page: int) -> int:
    """How many workers the page of the master shows."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/") as answer:
            found = re.search(rb'"aliveworkers"\s*:\s*(\d+)', answer.read())
    except OSError:
        return 0
    return int(found[1]) if found else 0


def wait_until(is_so: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds * PATIENCE
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def descendants(pid: int, word: bytes) -> list[int]:
    """The descendants of a process whose command line has a word."""
    found, waiting = [], [pid]
    while waiting:
        with suppress(OSError):
            for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
                for child in map(int, (task / "children").read_text(encoding="utf-8").split()):
                    waiting.append(child)
                    if word in Path(f"/proc/{child}/cmdline").read_bytes():
                        found.append(child)
    return found


def run_driver(cluster: Cluster, folder: Path, reviews: Path, model: str = "imdb") -> subprocess.Popen[bytes]:
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    words = [sys.executable, "driver.py", str(reviews), model, str(folder / "out")]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603  # ours
            words, env=cluster.environment, cwd=folder, stdout=log, stderr=log, start_new_session=True
        )


def require_finished(process: subprocess.Popen[bytes], folder: Path, rows: int) -> None:
    """Checks the answers of a driver: each id once, and nothing but them and Spark's own records."""
    assert process.wait(SECONDS) == 0, (folder / "log").read_text(encoding="utf-8")[-5000:]
    for path in (folder / "out").iterdir():
        if MARKS.fullmatch(path.name):
            path.unlink()
    require_answers(folder / "out", rows)


def kill_driver(process: subprocess.Popen[bytes], record: Record) -> None:
    """Kills the Python process, and the one of Java that it drives."""
    if process.poll() is None:
        kill(process.pid, "Spark driver", record)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize("form", ["archive", "jsonl"])
def test_each_row_is_answered_once_as_by_predict(cluster: Cluster, tmp_path: Path, form: str) -> None:
    model, reviews = "imdb", tmp_path / "in"
    if form == "jsonl":
        reviews = write_lines(tmp_path / "in.jsonl", ROWS)
    else:
        model = str(shutil.copytree(ROOT / "exported" / "imdb", tmp_path / "my-model"))
        write_corpus(reviews, ROWS, 4)
    require_finished(run_driver(cluster, tmp_path, reviews, model), tmp_path, ROWS)


VICTIMS = {"worker": b"pyspark.daemon", "executor": b"CoarseGrainedExecutorBackend"}


@pytest.mark.parametrize("moment", moments(1))
@pytest.mark.parametrize("victim", ["worker", "executor", "driver"])
def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    cluster: Cluster, tmp_path: Path, record_property: Record, victim: str, moment: int
) -> None:
    rows = 8000
    write_corpus(tmp_path / "in", rows, 8)
    process = run_driver(cluster, tmp_path, tmp_path / "in")

    def found() -> list[int]:
        word = VICTIMS.get(victim, VICTIMS["executor"])
        return [pid for worker in cluster.workers for pid in descendants(worker, word)]

    wait_until(lambda: found() or process.poll() is not None, 90)
    time.sleep(random.Random(moment).uniform(0, 6))  # noqa: S311  # no secret
    if victim == "driver":
        kill_driver(process, record_property)
        process = run_driver(cluster, tmp_path, tmp_path / "in")
    else:
        for pid in found()[:1]:
            kill(pid, f"Spark {victim}", record_property)
    require_finished(process, tmp_path, rows)
