"""Measures a corpus in shards against plain `predict`: processor time of the whole process tree, memory, wall time.

The reviews are cut from a file of one text per line, again and again, each with a number before it. Every engine
answers the same 8 Parquet files, in a fresh process; the ids and the probabilities are compared with `predict`.

    python -m bench.speed.corpus REVIEWS.txt [--rows 100000] [--workers 2] [--engines local,ray] [--kills 5]

`--kills N` kills the main process of each engine at N random moments, and checks that the same command finishes.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

_FILES = 8
_PLAIN = """
import sys, rnnx
from pyarrow import parquet
predictor = rnnx.load("imdb", threads=int(sys.argv[2]))
for path in sys.argv[3:]:
    table = parquet.read_table(path)
    answers = predictor.predict(table["review"].to_pylist())
    columns = {"id": table["id"], "probability": [answer.probability for answer in answers]}
    import pyarrow
    parquet.write_table(pyarrow.table(columns), f"{sys.argv[1]}/{path.rpartition('/')[2]}")
"""


def write_corpus(lines: Path, rows: int, folder: Path) -> list[str]:
    """Writes the Parquet files, each with two row groups."""
    texts = lines.read_text(encoding="utf-8", errors="replace").splitlines()
    reviews = [f"{i} {text}" for i, text in enumerate(islice(cycle(texts), rows))]
    paths = []
    for file in range(_FILES):
        ids = range(file * rows // _FILES, (file + 1) * rows // _FILES)
        table = pa.table({"id": list(ids), "review": [reviews[i] for i in ids]})
        paths.append(str(folder / f"part-{file}.parquet"))
        parquet.write_table(table, paths[-1], row_group_size=(len(ids) + 1) // 2)
    return paths


class Tree:
    """The processor time and the memory of a process and its descendants, read from /proc while it runs."""

    def __init__(self, pid: int) -> None:
        """Begins to watch."""
        self._pid = pid
        self._ticks: dict[tuple[int, str], int] = {}
        self._peaks_kb: dict[tuple[int, str], int] = {}

    def look(self) -> None:
        """Notes what each process has used so far; a process that ends later is not lost."""
        waiting = [self._pid]
        while waiting:
            pid = waiting.pop()
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text(encoding="utf-8").split())
            except OSError:
                continue
            process = pid, fields[19]  # when it was started: an id may be used again
            self._ticks[process] = int(fields[11]) + int(fields[12])
            peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
            self._peaks_kb[process] = max(int(peak), self._peaks_kb.get(process, 0))  # a zombie has none

    @property
    def cpu_s(self) -> float:
        """Processor seconds of all processes."""
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    @property
    def peak_mb(self) -> float:
        """The most memory that one process held, in MB."""
        return max(self._peaks_kb.values(), default=0) / 1000


def run(command: list[str]) -> tuple[float, Tree]:
    """Runs a command; returns its wall time and what it used.

    Raises:
        SystemExit: If it fails.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE)  # noqa: S603  # ours
    tree = Tree(process.pid)
    while process.poll() is None:
        tree.look()
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit((process.stderr.read() if process.stderr else b"").decode())
    return time.perf_counter() - started, tree


def probabilities(folder: Path) -> dict[int, float]:
    """The probabilities of a folder of answers, by id; an id that comes twice is an error."""
    tables = [parquet.read_table(path, columns=["id", "probability"]) for path in sorted(folder.glob("*.parquet"))]
    table = pa.concat_tables(tables)
    found = dict(zip(table["id"].to_pylist(), table["probability"].to_pylist(), strict=True))
    if len(found) != table.num_rows:
        raise SystemExit(f"{folder}: an id comes twice")
    return found


def kill_at_random(command: list[str], seconds: float) -> None:
    """Runs a command and kills its main process at a random moment."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603  # ours
    time.sleep(random.uniform(0, seconds))  # noqa: S311  # no secret
    process.kill()
    process.wait()


def main() -> None:
    """Runs the comparison and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reviews", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--engines", default="local")
    parser.add_argument("--kills", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        paths = write_corpus(given.reviews, given.rows, folder)
        (folder / "plain").mkdir()
        plain_s, plain = run([sys.executable, "-c", _PLAIN, str(folder / "plain"), str(given.workers), *paths])
        expected = probabilities(folder / "plain")
        print("| engine | rows | seconds | processor seconds | over plain | largest process, MB |")
        print("|---|---:|---:|---:|---:|---:|")
        print(f"| plain predict | {given.rows:,} | {plain_s:.1f} | {plain.cpu_s:.1f} | 1 | {plain.peak_mb:.0f} |")
        for engine in given.engines.split(","):
            out = folder / engine
            command = [sys.executable, "-m", "rnnx", "infer", *paths, "--text-column", "review", "--engine", engine]
            words = [*command, "--workers", str(given.workers), "--out"]
            seconds, used = run([*words, str(out)])
            if probabilities(out) != expected:
                raise SystemExit(f"{engine}: the answers differ from those of predict")
            over = used.cpu_s / plain.cpu_s
            cells = (engine, f"{given.rows:,}", f"{seconds:.1f}", f"{used.cpu_s:.1f}", f"{over:.2f}")
            print(f"| {' | '.join(cells)} | {used.peak_mb:.0f} |")
            for kill in range(given.kills):
                again = folder / f"{engine}-{kill}"
                kill_at_random([*words, str(again)], seconds)
                run([*words, str(again)])
                left = [path.name for path in again.iterdir() if path.name.startswith(".")]
                if left or probabilities(again) != expected:
                    raise SystemExit(f"{engine}: after a kill, {left or 'answers are wrong'}")
            if given.kills:
                print(f"\n{engine}: {given.kills} kills of the main process, each id once\n")


if __name__ == "__main__":
    main()
