"""Measures a corpus in shards against plain `predict`: processor time of the whole process tree, memory, wall time.

The reviews are cut from a file of one text per line, again and again, each with a number before it. Every engine
answers the same 8 files, in fresh processes, and its answers are compared with those of `predict`: the ids, the other
columns, the labels, and the probabilities bit for bit.

    python -m bench.speed.corpus REVIEWS.txt [--rows 100000] [--workers 2] [--engines local,ray,spark]
        [--formats parquet,jsonl] [--executors 1] [--kills 5]

Ray runs on this machine. Spark runs a standalone master and executors, which share the CPUs, all of them processes of
this program. `--kills N` kills the main process of each engine at N random moments, and checks that the same command
finishes.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from bench.speed.process_tree import run

_FILES = 8
_COLUMNS = ("id", "review", "stars", "label", "probability")
_PLAIN = """
import json, sys, rnnx, pyarrow
from pyarrow import parquet
predictor = rnnx.load("imdb", threads=int(sys.argv[2]))
for path in sys.argv[3:]:
    out = f"{sys.argv[1]}/{path.rpartition('/')[2]}"
    if path.endswith(".parquet"):
        table = parquet.read_table(path)
        answers = predictor.predict(table["review"].to_pylist())
        table = table.append_column("label", pyarrow.array([answer.label for answer in answers]))
        probabilities = pyarrow.array([answer.probability for answer in answers])
        parquet.write_table(table.append_column("probability", probabilities), out)
    else:
        rows = [json.loads(line) for line in open(path, "rb")]
        answers = predictor.predict([row["review"] for row in rows])
        with open(out, "w") as file:
            for row, answer in zip(rows, answers):
                print(json.dumps({**row, "label": answer.label, "probability": answer.probability}), file=file)
"""
_SPARK = """
import sys
from pyspark.sql import SparkSession
from rnnx.engines.spark import SparkPredictor
out, executors, cores, kind, *paths = sys.argv[1:]
java = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # in a job of minutes, more compiling does not pay
spark = (
    SparkSession.builder.master(f"local-cluster[{executors},{cores},1024]").config("spark.ui.enabled", "false")
    .config("spark.executor.memory", "1g").config("spark.driver.extraJavaOptions", java)
    .config("spark.executor.extraJavaOptions", java).getOrCreate()
)
answer = SparkPredictor("imdb", "review")
reader = spark.read.schema("id long, review string, stars long")
reviews = reader.parquet(*paths) if kind == "parquet" else reader.json(paths)
writer = reviews.mapInArrow(answer, answer.spark_schema(reviews)).write.mode("overwrite")
writer.parquet(out) if kind == "parquet" else writer.json(out)
spark.stop()
"""


def write_corpus(lines: Path, rows: int, folder: Path, kind: str) -> list[str]:
    """Writes the files of a format; a Parquet file has two row groups."""
    texts = lines.read_text(encoding="utf-8", errors="replace").splitlines()
    reviews = [f"{i} {text}" for i, text in enumerate(islice(cycle(texts), rows))]
    folder.mkdir()
    paths = []
    for file in range(_FILES):
        ids = range(file * rows // _FILES, (file + 1) * rows // _FILES)
        columns = {"id": list(ids), "review": [reviews[i] for i in ids], "stars": [i % 5 for i in ids]}
        paths.append(str(folder / f"part-{file}.{kind}"))
        if kind == "parquet":
            parquet.write_table(pa.table(columns), paths[-1], row_group_size=(len(ids) + 1) // 2)
        else:
            found = (dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True))
            Path(paths[-1]).write_text("".join(f"{json.dumps(row)}\n" for row in found), encoding="utf-8")
    return paths


def answers(folder: Path, kind: str) -> pa.Table:
    """The rows of a folder of answers, by id. A probability is compared by its bits."""
    paths = sorted(path for path in folder.glob("[!._]*") if path.name != "manifest.json")
    if kind == "parquet":
        table = pa.concat_tables(parquet.read_table(path, columns=list(_COLUMNS)) for path in paths)
    else:
        rows = [json.loads(line) for path in paths for line in path.open("rb")]
        table = pa.table({name: [row[name] for row in rows] for name in _COLUMNS})
    bits = pa.array(table["probability"].to_numpy().view("int64"))
    return table.set_column(len(_COLUMNS) - 1, "probability", bits).replace_schema_metadata(None).sort_by("id")


def command(engine: str, kind: str, given: argparse.Namespace, out: Path, paths: list[str]) -> list[str]:
    """The words of the command that answers the files."""
    workers = given.workers
    match engine:
        case "plain":
            return [sys.executable, "-c", _PLAIN, str(out), str(workers), *paths]
        case "spark":
            cores = max(1, workers // given.executors)
            return [sys.executable, "-c", _SPARK, str(out), str(given.executors), str(cores), kind, *paths]
    words = [sys.executable, "-m", "rnnx", "infer", *paths, "--text-column", "review", "--engine", engine]
    return [*words, "--workers", str(workers), "--out", str(out)]


def environment() -> dict[str, str]:
    """What Spark's processes need: its own folder, and this Python."""
    import importlib.util

    found = importlib.util.find_spec("pyspark")
    home = {"SPARK_HOME": str(Path(found.origin).parent)} if found and found.origin else {}
    root = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": root, "PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1", **home}


def kill_at_random(words: list[str], seconds: float) -> None:
    """Runs a command and kills its main process at a random moment, of Spark also that of Java."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdout=quiet, stderr=quiet, env=environment(), start_new_session=True)  # noqa: S603  # ours
    time.sleep(random.uniform(0, seconds))  # noqa: S311  # no secret
    os.killpg(process.pid, 9) if _SPARK in words else process.kill()
    process.wait()


def measure(given: argparse.Namespace, kind: str, folder: Path) -> Iterator[str]:
    """Runs the engines on the files of a format, and yields the rows of the table.

    Raises:
        SystemExit: If an answer differs from that of `predict`.
    """
    paths = write_corpus(given.reviews, given.rows, folder / f"in-{kind}", kind)
    plain_s, expected = 0.0, None
    for engine in ("plain", *given.engines.split(",")):
        out = folder / f"{engine}-{kind}"
        if engine == "plain":
            out.mkdir()
        seconds, used = run(command(engine, kind, given, out, paths), environment())
        found = answers(out, kind)
        expected = expected or found
        if found["id"].to_pylist() != list(range(given.rows)) or not found.equals(expected):
            raise SystemExit(f"{engine}, {kind}: the answers differ from those of predict")
        plain_s = plain_s or used.cpu_s
        cells = (engine, kind, f"{given.rows:,}", f"{seconds:.1f}", f"{used.cpu_s:.1f}", f"{used.cpu_s / plain_s:.2f}")
        yield f"| {' | '.join(cells)} | {used.worker_mb:.0f} | {'' if engine == 'plain' else 'equal'} |"
        for kill in range(given.kills if engine != "plain" else 0):
            again = folder / f"{engine}-{kind}-{kill}"
            words = command(engine, kind, given, again, paths)
            kill_at_random(words, seconds)
            run(words, environment())
            left = [path.name for path in again.iterdir() if path.name.endswith(".rnnx") or path.name == "_temporary"]
            if left or not answers(again, kind).equals(expected):
                raise SystemExit(f"{engine}, {kind}: after a kill, {left or 'answers are wrong'}")


def main() -> None:
    """Runs the comparison and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", default="local")
    parser.add_argument("--formats", default="parquet")
    parser.add_argument("--executors", type=int, default=1, help="the executors of Spark, each of them one JVM")
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    print("| engine | format | rows | seconds | processor seconds | over plain | largest worker, MB | answers |")
    print("|---|---|---:|---:|---:|---:|---:|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in given.formats.split(","):
            for row in measure(given, kind, Path(scratch)):
                print(row, flush=True)
    if given.kills:
        print(f"\n{given.kills} kills of each main process: each id once, and nothing temporary left")


if __name__ == "__main__":
    main()
