"""Measures how long rnnx looks at an `.onnx` file before it lets it in or refuses it.

The files are those that rnnx ships, and the spoiled ones of tests/onnx_file/test_admission.py, which are refused; the
tests count the work, this measures the time. Prints Markdown. One thread, the fastest of several rounds.

    pip install '.[cpu,dev]'
    python -m bench.speed.admission [--rounds 5]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

from bench import machine
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.errors import ModelError
from rnnx.onnx_file.admission import require_admissible
from tests.onnx_file.test_admission import REFUSED


def main() -> None:
    """Measures every file and prints a table."""
    parser = argparse.ArgumentParser(description="The time that rnnx takes to admit or to refuse an .onnx file.")
    parser.add_argument("--rounds", type=int, default=5, help="how often each file is read; the fastest round counts")
    arguments = parser.parse_args()
    machine.restrict(1)
    print(f"{machine.cpu_model()}, {machine.today()}, the fastest of {arguments.rounds} rounds.\n")
    print("| file | bytes | ms | verdict |\n|---|---:|---:|---|")
    for name, data in read_files():
        seconds, verdict = measure(data, arguments.rounds)
        print(f"| {name} | {len(data):,} | {1e3 * seconds:.2f} | {verdict} |", flush=True)


def read_files() -> Iterator[tuple[str, bytes]]:
    """Yields the name and the content of every shipped file, then of every spoiled one."""
    for bundle in shipped_names():
        for path in sorted(find_directory(bundle).glob("*.onnx")):
            yield f"{bundle}/{path.name}", path.read_bytes()
    for name, (make, _) in REFUSED.items():
        yield name, make()


def measure(data: bytes, rounds: int) -> tuple[float, str]:
    """Reads a file several times.

    Returns:
        The seconds of the fastest round, and whether the file is admitted or refused.
    """
    seconds = []
    for _ in range(rounds):
        before = time.perf_counter()
        try:
            require_admissible(data)
            verdict = "admitted"
        except ModelError:
            verdict = "refused"
        seconds.append(time.perf_counter() - before)
    return min(seconds), verdict


if __name__ == "__main__":
    main()
