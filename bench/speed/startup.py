"""Measures how long `rnnx infer file.txt` takes as a whole process.

Three commands are measured for comparison: starting Python; importing the packages that the command needs; and
importing Keras, which every Keras script does. The commands take turns, each in a fresh process. The first round is
discarded; medians over the others. Processor time is that of the whole process, in user and system mode. Python may
keep the bytecode of rnnx, as pip does when it installs a package, even if PYTHONDONTWRITEBYTECODE is set here: without
it, Python would compile rnnx in each run, but none of the packages that it is compared with.

    python -m bench.speed.startup [ROUNDS]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_IMPORTS = "python -c 'import numpy, onnxruntime, typer'"


def main(rounds: int) -> None:
    """Measures the commands and prints a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "review.txt"
        text.write_text("A wonderful film, I loved it.", encoding="utf-8")
        commands = {
            "python -c pass": ["-c", "pass"],
            _IMPORTS: ["-c", "import numpy, onnxruntime, typer"],
            "rnnx infer review.txt": ["-m", "rnnx", "infer", str(text)],
            "python -c 'import keras'": ["-c", "import keras"],
        }
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        wall_s: dict[str, list[float]] = {name: [] for name in commands}
        cpu_s: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds + 1):
            for name, arguments in commands.items():
                started, used = time.perf_counter(), _children_s()
                subprocess.run(  # noqa: S603  # ours
                    [sys.executable, *arguments], check=True, capture_output=True, env=environment
                )
                wall_s[name].append(time.perf_counter() - started)
                cpu_s[name].append(_children_s() - used)
    imports = statistics.median(wall_s[_IMPORTS][1:])
    print("| command | median s | smallest s | largest s | processor s | over the imports |")
    print("|---|---:|---:|---:|---:|---:|")
    for name, times in wall_s.items():
        median, cpu = statistics.median(times[1:]), statistics.median(cpu_s[name][1:])
        print(
            f"| `{name}` | {median:.3f} | {min(times[1:]):.3f} | {max(times[1:]):.3f} | {cpu:.3f} | "
            f"{median / imports:.2f} |"
        )


def _children_s() -> float:
    """Returns the processor seconds of all ended child processes."""
    used = os.times()
    return used.children_user + used.children_system


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures how long rnnx infer takes as a whole process.")
    parser.add_argument("rounds", type=int, nargs="?", default=15, help="how often each command is timed")
    main(parser.parse_args().rounds)
