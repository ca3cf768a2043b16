"""Measures whole processes on a file of many texts: `rnnx infer --lines`, a plain Keras script and fastText.

The commands take turns, each in a fresh process. In a first round, which is not timed, the labels are compared; later
rounds discard the output. Prints wall time, processor time and the largest resident memory.

    python -m bench.speed.reviews REVIEWS.txt [--rounds 3] [--cores 1]

fastText takes part if its command is installed (Debian: apt install fasttext) and a classifier is given. Train it on
other reviews, one per line after its label (`__label__pos A fine film.`):

    fasttext supervised -input TRAIN.txt -output model -dim 50 -wordNgrams 2 -minCount 2 -bucket 200000
    python -m bench.speed.reviews REVIEWS.txt --fasttext-model model.bin
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import machine

_OURS, _KERAS, _FASTTEXT = "rnnx infer --lines", "Keras script", "fastText"


@dataclass(frozen=True)
class Usage:
    """The time and the memory that one process took.

    Attributes:
        wall_s: Elapsed seconds.
        cpu_s: Processor seconds of all threads together.
        peak_mb: The largest resident memory in MB (10^6 bytes).
    """

    wall_s: float
    cpu_s: float
    peak_mb: float


def run(command: Sequence[str], out: Path) -> Usage:
    """Runs a process to its end and writes its stdout to a file.

    Raises:
        SystemExit: If the process fails; the message holds its stderr.
    """
    with tempfile.TemporaryFile() as errors, out.open("wb") as answers:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=answers, stderr=errors)  # noqa: S603  # our command, or one that the user named
        _, status, usage = os.wait4(process.pid, 0)  # the usage of this child only
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)  # Popen does not wait for it again
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{command}: exit code {process.returncode}\n{errors.read().decode(errors='replace')}")
    return Usage(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)  # Linux reports KiB


def find_commands(arguments: argparse.Namespace) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Returns the commands to measure, by name, and for each that is absent the reason."""
    file, model = str(arguments.file), arguments.model
    commands = {
        _OURS: [sys.executable, "-m", "rnnx", "infer", "--lines", "--model", model, file],
        _KERAS: [sys.executable, "-m", "bench.speed.reviews_keras", model, file],
    }
    fasttext = shutil.which("fasttext")
    if fasttext is None:
        return commands, {_FASTTEXT: "fasttext is not installed"}
    if arguments.fasttext_model is None:
        return commands, {_FASTTEXT: "it needs a classifier: --fasttext-model MODEL.bin"}
    return {**commands, _FASTTEXT: [fasttext, "predict", str(arguments.fasttext_model), file]}, {}


def require_same_labels(folder: Path, text_count: int) -> int:
    """Compares the labels of rnnx with those of Keras.

    Returns:
        The number of labels that differ. A text at the threshold may get either label, depending on float32 rounding.

    Raises:
        SystemExit: If a label is missing, or more than one in a thousand differs: the two do not do the same work.
    """
    ours = [line.split("\t")[2] for line in (folder / _OURS).read_text(encoding="utf-8").splitlines()]
    keras = (folder / _KERAS).read_text(encoding="utf-8").splitlines()
    if not len(ours) == len(keras) == text_count:
        raise SystemExit(f"{text_count} texts, but rnnx gave {len(ours)} labels and Keras {len(keras)}")
    different = sum(own != other for own, other in zip(ours, keras, strict=True))
    if different * 1000 > text_count:
        raise SystemExit(f"{different} of {text_count} labels differ, so nothing was timed")
    return different


def to_markdown(usages: Mapping[str, Sequence[Usage]]) -> str:
    """Writes a table of medians and of their ratios to rnnx's."""

    def median(name: str, field: str) -> float:
        return float(statistics.median(getattr(usage, field) for usage in usages[name]))

    lines = [
        "| command | median s | smallest s | largest s | processor s | peak MB | s over rnnx | MB over rnnx |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name in usages:
        walls = [usage.wall_s for usage in usages[name]]
        figures = [median(name, "wall_s"), min(walls), max(walls), median(name, "cpu_s"), median(name, "peak_mb")]
        ratios = [median(name, field) / median(_OURS, field) for field in ("wall_s", "peak_mb")]
        cells = [f"{value:.2f}" for value in figures[:-1]] + [f"{figures[-1]:.0f}"]
        lines.append(f"| {name} | {' | '.join(cells + [f'{ratio:.2f}' for ratio in ratios])} |")
    return "\n".join(lines)


def main() -> None:
    """Compares the labels, measures the commands and prints a table."""
    arguments = _parse()
    cores = machine.restrict(arguments.cores) if arguments.cores else sorted(os.sched_getaffinity(0))
    commands, absent = find_commands(arguments)
    with arguments.file.open("rb") as file:
        text_count = sum(1 for _ in file)
    with tempfile.TemporaryDirectory() as folder:
        for name, command in commands.items():
            run(command, Path(folder) / name)
        different = require_same_labels(Path(folder), text_count)
    usages: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(arguments.rounds):
        for name, command in commands.items():
            usages[name].append(run(command, Path(os.devnull)))
    tools = machine.versions(("rnnx", "onnxruntime", "tensorflow", "keras", "numpy"))
    print(f"{text_count} texts, model {arguments.model}, {machine.cpu_model()}, {len(cores)} cores, {machine.today()}.")
    print(f"{', '.join(f'{name} {version}' for name, version in tools.items())}.")
    print(f"Labels of the Keras script that differ from rnnx's: {different}.\n")
    print(to_markdown(usages))
    for name, reason in absent.items():
        print(f"\nNot measured: {name}: {reason}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures rnnx and its peers on a file of texts, as whole processes.")
    parser.add_argument("file", type=Path, help="a file with one text per line")
    parser.add_argument("--rounds", type=int, default=3, help="how often each command is timed")
    parser.add_argument("--model", default="imdb", help="a shipped model's name or a bundle's path")
    parser.add_argument(
        "--cores", type=int, help="bind every process to this many cores; by default all, and each chooses its threads"
    )
    parser.add_argument("--fasttext-model", type=Path, metavar="MODEL.bin", help="a classifier trained with fastText")
    return parser.parse_args()


if __name__ == "__main__":
    main()
