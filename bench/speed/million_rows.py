"""Runs `rnnx infer --out` on a large table, CSV and Parquet: peak memory, answers, order of the rows, and a kill.

    python -m bench.speed.million_rows [--rows 1000000] [--formats csv,parquet] [--check all] [--words 30]

The table is written here, row by row: an id, a review, and a note with quotes, commas and line breaks. The reviews are
words of the model's vocabulary, so nothing has to be downloaded. For each format:

- the command runs in a process of its own; its peak memory and its time are measured (of a tenth of the rows too, so
  that a peak which grows with the file shows);
- the answers are read row by row: every row must be there, in order, with its own cells; the label and the probability
  must be those of `rnnx.load("imdb").predict`, for all rows or for `--check N` of them, spread evenly;
- the command runs again over an older file of answers and is killed half-way (SIGKILL): the older file must be there,
  bit for bit, and what the killed command left is removed by the next one.

The first difference ends the run with exit code 1.
"""

from __future__ import annotations

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

import rnnx
from bench.speed.process_tree import run
from rnnx.bundle.directory import VOCABULARY_NAME
from rnnx.bundle.find_model import find_directory

_MODEL = "imdb"
_COLUMNS = ("id", "review", "note")
_NOTES = ("", 'a "quoted" note', "one, two", "two\nlines", "ä ö ü 好")
_ROW_GROUP = 50_000
_WINDOW = 10_000
# Words that decide something, so that both labels come and probabilities differ.
_FREQUENT = 3000


def make_rows(rows: int, words: int) -> Iterator[tuple[int, str, str]]:
    """Yields the rows of the table, the same ones each time."""
    draw = random.Random(1)  # noqa: S311  # no secret
    path = find_directory(_MODEL) / VOCABULARY_NAME
    known = path.read_text(encoding="utf-8").splitlines()[3 : 3 + _FREQUENT]
    for i in range(rows):
        count = min(1 + int(draw.expovariate(1 / words)), 20 * words)
        yield i, " ".join(draw.choices(known, k=count)), _NOTES[i % len(_NOTES)]


def write_table(path: Path, rows: Iterable[tuple[int, str, str]]) -> None:
    """Writes the table in the format of its ending."""
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_COLUMNS)
            writer.writerows(rows)
        return
    schema = pa.schema([("id", pa.int64()), ("review", pa.string()), ("note", pa.string())])
    with parquet.ParquetWriter(path, schema) as writer:
        for group in _windows(rows, _ROW_GROUP):
            writer.write_table(pa.table(list(map(list, zip(*group, strict=True))), schema=schema))


def read_answers(path: Path) -> Iterator[dict[str, object]]:
    """Yields the rows of a table of answers, with numbers as numbers."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                yield {**row, "id": int(row["id"]), "probability": float(row["probability"])}
        return
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=_WINDOW):
        for row in batch.to_pylist():
            yield {**row, "note": row["note"] or "", "error": row["error"] or ""}


def _windows(rows: Iterable[tuple[int, str, str]], size: int) -> Iterator[list[tuple[int, str, str]]]:
    window: list[tuple[int, str, str]] = []
    for row in rows:
        window.append(row)
        if len(window) == size:
            yield window
            window = []
    if window:
        yield window


def compare(answers: Path, rows: int, words: int, every: int) -> tuple[int, dict[str, int]]:
    """Compares a table of answers with the rows that were written, and with `predict`.

    Args:
        answers: The table of answers.
        rows: How many rows were written.
        words: As for `make_rows`.
        every: Each so many-th row is compared with `predict`; the cells of all rows are compared.

    Returns:
        How many rows were compared with `predict`, and how often each label came.

    Raises:
        SystemExit: At the first difference.
    """
    predictor = rnnx.load(_MODEL)
    found = read_answers(answers)
    compared, labels = 0, dict.fromkeys(predictor.labels, 0)
    for window in _windows(make_rows(rows, words), _WINDOW):
        chosen = [row for row in window if row[0] % every == 0]
        expected = dict(zip([i for i, *_ in chosen], predictor.predict([text for _, text, _ in chosen]), strict=True))
        for row in window:
            answer = next(found, None)
            if answer is None or tuple(answer[name] for name in _COLUMNS) != row or answer["error"]:
                raise SystemExit(f"{answers}: row {row[0]} is {answer}, not {row}")
            labels[str(answer["label"])] += 1
            if (right := expected.get(row[0])) is None:
                continue
            if (answer["label"], answer["probability"]) != (right.label, round(right.probability, 6)):
                raise SystemExit(f"{answers}: row {row[0]}: {answer}, but predict gives {right}")
            compared += 1
    if next(found, None) is not None:
        raise SystemExit(f"{answers}: more than {rows} rows")
    return compared, labels


def kill_half_way(command: list[str], small: list[str], out: Path, seconds: float) -> str:
    """Kills a command in the middle; returns how long it had run and what it had written.

    Args:
        command: The command; it replaces `out`.
        small: A command that writes to the same place, and ends soon.
        out: The file of the answers, which is there.
        seconds: How long the command takes.

    Raises:
        SystemExit: If the file was changed, or if something is left after `small`.
    """
    before = out.read_bytes()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # noqa: S603  # ours
    time.sleep(seconds / 2)
    was_running = process.poll() is None
    process.kill()
    process.wait()
    hidden = [path for path in out.parent.iterdir() if path.name.startswith(".")]
    written = sum(path.stat().st_size for folder in hidden for path in folder.rglob("*") if path.is_file())
    if not was_running or out.read_bytes() != before:
        raise SystemExit(f"{out}: {'changed by a killed command' if was_running else 'the command had ended already'}")
    run(small)
    if left := [path.name for path in out.parent.iterdir() if path.name.startswith(".")]:
        raise SystemExit(f"{out.parent}: {left} is left")
    return f"killed after {seconds / 2:.0f} s, {written / 1e6:.1f} MB written: the older file is there, nothing is left"


def main() -> None:
    """Runs the formats and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--formats", default="csv,parquet")
    parser.add_argument("--check", default="all", help="all, or how many rows are compared with predict")
    parser.add_argument("--words", type=int, default=30, help="words of a review, on average")
    given = parser.parse_args()
    every = 1 if given.check == "all" else max(given.rows // int(given.check), 1)
    print(
        "| format | rows | MB | seconds | processor seconds | peak MB | of a tenth, peak MB | like predict | labels |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|---|", flush=True)
    notes = []
    for ending in given.formats.split(","):
        with tempfile.TemporaryDirectory() as scratch:
            table, tenth = Path(scratch) / f"reviews.{ending}", Path(scratch) / f"tenth.{ending}"
            (Path(scratch) / "out").mkdir()
            out = Path(scratch) / "out" / f"answers.{ending}"
            write_table(table, make_rows(given.rows, given.words))
            write_table(tenth, make_rows(given.rows // 10, given.words))
            command = [sys.executable, "-m", "rnnx", "infer", "--text-column", "review", "--out", str(out)]
            _, small = run([*command, str(tenth)])
            seconds, used = run([*command, str(table)])
            compared, labels = compare(out, given.rows, given.words, every)
            cells: tuple[str, ...] = (ending, f"{given.rows:,}", f"{table.stat().st_size / 1e6:.0f}", f"{seconds:.1f}")
            cells += (
                f"{used.cpu_s:.1f}",
                f"{used.worker_mb:.0f}",
                f"{small.worker_mb:.0f}",
                f"{compared:,} of {compared:,}",
            )
            counts = ", ".join(f"{label} {count:,}" for label, count in labels.items())
            print(f"| {' | '.join(cells)} | {counts} |", flush=True)
            notes.append(f"{ending}: {kill_half_way([*command, str(table)], [*command, str(tenth)], out, seconds)}")
    print("\nEvery row is there, in order, with its own cells.", *notes, sep="\n")


if __name__ == "__main__":
    main()
