"""How long `rnnx infer file.txt` takes as a whole process, beside what any Python, and any Keras script, has to pay.

Each command runs in a fresh process, interleaved, warm (one round is thrown away); medians over the rounds.

    python -m bench.speed.startup [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main(rounds: int) -> None:
    """Measures and prints a Markdown table."""
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
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 15)
