"""Measures how long `rnnx infer file.txt` takes as a whole process.

Two commands are measured for comparison: starting Python, and importing Keras, which every Keras script does. The
commands take turns, each in a fresh process. The first round is discarded; medians over the others.

    python -m bench.speed.startup [ROUNDS]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(rounds: int) -> None:
    """Measures the commands and prints a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "review.txt"
        text.write_text("A wonderful film, I loved it.", encoding="utf-8")
        commands = {
            "python -c pass": ["-c", "pass"],
            "rnnx infer review.txt": ["-m", "rnnx", "infer", str(text)],
            "python -c 'import keras'": ["-c", "import keras"],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, capture_output=True)  # noqa: S603  # ours
                seconds[name].append(time.perf_counter() - started)
    inference = statistics.median(seconds["rnnx infer review.txt"][1:])
    print("| command | median s | smallest s | largest s | over rnnx |\n|---|---:|---:|---:|---:|")
    for name, times in seconds.items():
        median = statistics.median(times[1:])
        print(f"| `{name}` | {median:.3f} | {min(times[1:]):.3f} | {max(times[1:]):.3f} | {median / inference:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures how long rnnx infer takes as a whole process.")
    parser.add_argument("rounds", type=int, nargs="?", default=15, help="how often each command is timed")
    main(parser.parse_args().rounds)
