"""Tests a model in Spark, with the workers of one machine. They need pyspark, pandas and Java 17.

`RNNX_SPARK_MASTER='local-cluster[2,1,1024]'` runs them on a standalone master with two workers, which takes longer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnx
from tests.engines.corpora import require_answers, write_corpus

pytest.importorskip("pyspark", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.engines,
    pytest.mark.skipif(shutil.which("java") is None, reason="needs Java 17"),
]

ROOT = Path(rnnx.__file__).parents[1]
ROWS = 2000

# The driver of a user, with a process of Python for each of two tasks at once, and eight tries for a task.
DRIVER = """
import os, shutil, signal, sys, threading, time
from pathlib import Path
from pyspark.sql import SparkSession
from rnnx.engines.spark import SparkPredictor

reviews_path, model, out, mode = sys.argv[1:]

def kill_a_worker():
    while True:
        for folder in Path("/proc").iterdir():
            try:
                if b"pyspark.daemon" not in (folder / "cmdline").read_bytes():
                    continue
                if f"RNNX_TEST={out}".encode() in (folder / "environ").read_bytes():
                    os.kill(int(folder.name), signal.SIGKILL)
                    return print("killed", folder.name)
            except OSError:
                continue
        time.sleep(0.05)

spark = (
    SparkSession.builder.master(os.environ["RNNX_SPARK_MASTER"])
    .config("spark.ui.enabled", "false")
    .config("spark.sql.files.maxPartitionBytes", "60k").config("spark.sql.files.openCostInBytes", "0")
    .getOrCreate()
)
answer = SparkPredictor(model, "review")
if mode == "archive":
    spark.sparkContext.addArchive(shutil.make_archive(model, "zip", model) + "#" + Path(model).name)
    shutil.move(model, model + "-moved")  # no executor finds it at its path
if mode == "kill":
    threading.Thread(target=kill_a_worker, daemon=True).start()
reviews = spark.read.parquet(reviews_path)
answers = reviews.mapInArrow(answer, answer.spark_schema(reviews))
answers.write.parquet(out)
odd = spark.sql("select 0 as label, cast(unhex('636166E9') as string) as review union all select 1, null")
rows = sorted(odd.mapInArrow(answer, answer.spark_schema(odd)).collect())
assert [row.error for row in rows] == [None, "no text"] and rows[0].predicted_label in ("neg", "pos"), rows
spark.stop()
"""


@pytest.mark.parametrize("mode", ["archive", "kill"])
def test_each_row_is_answered_once_as_by_predict(tmp_path: Path, mode: str) -> None:
    write_corpus(tmp_path / "in", ROWS, 4)
    model = "imdb"
    if mode == "archive":
        model = str(shutil.copytree(ROOT / "exported" / "imdb", tmp_path / "my-model"))
    (tmp_path / "driver.py").write_text(DRIVER, encoding="utf-8")
    home = Path(sys.modules["pyspark"].__file__ or "").parent
    out = tmp_path / "out"
    environment = {
        "RNNX_SPARK_MASTER": "local[2,8]",
        **os.environ,
        "RNNX_TEST": str(out),
        "PYTHONPATH": str(ROOT),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    words = [sys.executable, "driver.py", str(tmp_path / "in"), model, str(out), mode]
    done = subprocess.run(  # noqa: S603  # ours
        words, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert ("killed" in done.stdout) == (mode == "kill")
    for path in out.iterdir():
        if path.suffix != ".parquet":
            path.unlink()  # the marks and checksums of Spark
    require_answers(out, ROWS)
