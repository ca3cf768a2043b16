"""Measures the processor time of `rnnx export` as a whole process, next to `python -c "import keras"`.

The commands take turns, each in a fresh process; medians over the rounds. Models are the shipped bundles, and networks
of the test grid (`tests/grid.py`) as bare `.keras` files. Another checkout of rnnx can be measured in the same rounds.

    python -m bench.speed.export_time [--rounds 5] [--models imdb pos] [--grid 10] [--before CHECKOUT]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.speed.reviews import run

_ROOT = Path(__file__).parents[2]
_KERAS = "python -c 'import keras'"
_SAVE_GRID = """
import sys
from tests.grid import make, pairwise_cells
# A .keras file of masked numbers holds an operation of the mask's own, which rnnx 0.1.0 does not load.
cells = [cell for cell in pairwise_cells() if not (cell.is_masked and cell.given == "numbers")][: int(sys.argv[2])]
for i, cell in enumerate(cells):
    make(cell).save(f"{sys.argv[1]}/{i + 1}-{cell.cell.replace(', ', '-').replace(' ', '-')}-{cell.layer_count}.keras")
"""


def main(rounds: int, models: list[str], grid: int, before: Path | None) -> None:
    """Measures the commands and prints a Markdown table."""
    checkouts = {"after": _ROOT} if before is None else {"before": before.resolve(), "after": _ROOT}
    with tempfile.TemporaryDirectory() as folder:
        if grid:
            subprocess.run(  # noqa: S603  # ours
                [sys.executable, "-c", _SAVE_GRID, folder, str(grid)], check=True, cwd=_ROOT, capture_output=True
            )
        files = sorted(Path(folder).glob("*.keras"), key=lambda file: int(file.name.partition("-")[0]))
        subjects = {name: str(_ROOT / "exported" / name) for name in models} | {file.stem: str(file) for file in files}
        seconds: dict[tuple[str, str], list[float]] = {}
        for _ in range(rounds):
            seconds.setdefault((_KERAS, ""), []).append(_measure(["-c", "import keras"], _ROOT, folder))
            for name, path in subjects.items():
                for version, checkout in checkouts.items():
                    command = ["-m", "rnnx", "export", path, "--out", f"{folder}/out"]
                    seconds.setdefault((name, version), []).append(_measure(command, checkout, folder))
    keras = statistics.median(seconds[_KERAS, ""])
    print("| command | checkout | median CPU s | smallest | largest | over Keras |\n|---|---|---:|---:|---:|---:|")
    for (name, version), times in seconds.items():
        shown = name if name == _KERAS else f"rnnx export {name}"
        median = statistics.median(times)
        print(f"| `{shown}` | {version} | {median:.2f} | {min(times):.2f} | {max(times):.2f} | {median / keras:.2f} |")


def _measure(arguments: list[str], checkout: Path, folder: str) -> float:
    """Returns the processor seconds of Python with these arguments and the rnnx of a checkout."""
    python = ["env", f"--chdir={checkout}", f"PYTHONPATH={checkout}", sys.executable]
    return run([*python, *arguments], Path(folder) / os.devnull).cpu_s


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures the processor time of rnnx export.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each command is timed")
    parser.add_argument("--models", nargs="*", default=["imdb", "imdb-article", "pos"], help="shipped bundles")
    parser.add_argument("--grid", type=int, default=10, help="how many networks of the test grid")
    parser.add_argument("--before", type=Path, help="the folder of another checkout to compare with")
    given = parser.parse_args()
    main(given.rounds, given.models, given.grid, given.before)
