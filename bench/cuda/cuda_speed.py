"""Measures how long a batch takes on a card, from ids to probabilities, in rnnx and in its peers.

The network is Embedding(10000, 32) -> SimpleRNN(H) -> Dense(1, sigmoid), as in `bench.speed.latency`. All systems get
the same weights. Each runs in a process of its own (`bench.cuda.cuda_worker`), is compared with the reference in
float64 before it is timed, and has a turn in each round. Prints Markdown; with `--json`, writes JSON too.

    python -m bench.cuda.cuda_speed [--units 32 128] [--batches 1 8 32 128 512 2048] [--json FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.cuda.cuda_worker import SYSTEMS

_TOLERANCE = 1e-4  # as in bench.speed.measure
_FEATURES, _TURN_MS, _MOST_CALLS = 32, 5.0, 20
OWN, DEFAULT_GRAPH, TORCH, CPU = "rnnx model.onnx", "tf2onnx's graph", "PyTorch nn.RNN", "rnnx on the CPU, all cores"


@dataclass
class Cell:
    """The measurements of one network on one shape.

    Attributes:
        units: The units of the recurrence.
        batch: The number of rows.
        time: The number of ids in a row.
        ms: The milliseconds of every call, by system.
        refused: The reason why a system was not timed, by its name.
    """

    units: int
    batch: int
    time: int
    ms: dict[str, list[float]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float | None:
        """Returns the median milliseconds of a system; None if it was not timed."""
        return statistics.median(self.ms[name]) if self.ms.get(name) else None

    def least_ms(self, limits: Mapping[str, float]) -> float:
        """Returns the milliseconds that the card would take at its limits, which is the longer of two times.

        One is the time of the products, the other the time to read the ids, the rows of the table and the weights.
        """
        flops = 2 * self.batch * (self.time * (_FEATURES + self.units) * self.units + self.units)
        numbers = self.batch * self.time * (1 + _FEATURES) + self.units * (_FEATURES + self.units + 2)
        return 1e3 * max(flops / limits["flops"], 4 * numbers / limits["bytes_per_s"])


class Worker:
    """A system that runs in a process of its own."""

    def __init__(self, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "bench.cuda.cuda_worker", name, str(folder)]
        self._process = subprocess.Popen(  # noqa: S603  # ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def ask(self, **asked: Any) -> dict[str, Any]:
        """Sends a request and returns the answer; it has the key `error` if the process has ended."""
        assert self._process.stdin is not None  # noqa: S101  # both are pipes
        assert self._process.stdout is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"ended with code {self._process.wait()}"}
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None  # noqa: S101
        self._process.stdin.close()
        self._process.wait()


def measure(units: int, lengths: Sequence[int], batches: Sequence[int], seconds: float) -> Iterator[Cell]:
    """Times all systems on one network and yields its cells."""
    import numpy as np

    from bench.subjects import random_subject

    subject = random_subject(units, 0)
    assert subject.plain is not None  # noqa: S101  # the peers are written for this network
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, data in {**subject.forms, "tf2onnx.onnx": subject.default_graph()}.items():
            (folder / file).write_bytes(data)
        np.savez(folder / "weights.npz", **dataclasses.asdict(subject.plain))
        with _workers(folder) as workers:
            for length in lengths:
                for batch in batches:
                    ids = subject.ids(batch, length, np.random.default_rng(0))
                    np.save(folder / "ids.npy", ids)
                    np.save(folder / "expected.npy", subject.network.predict(ids))
                    cell = Cell(units, batch, length)
                    _time(cell, workers, folder, seconds)
                    yield cell


@contextmanager
def _workers(folder: Path) -> Iterator[dict[str, Worker]]:
    """Starts a worker for each system, and ends them all."""
    environment = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
    if (visible := os.environ.get("RNNX_BENCH_DEVICES")) is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    workers = {name: Worker(name, folder, environment) for name in SYSTEMS}
    try:
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def _time(cell: Cell, workers: Mapping[str, Worker], folder: Path, seconds: float) -> None:
    """Compares all systems with the reference, then times the right ones in turns, in a new order each round."""
    calls = {}
    for name, worker in workers.items():
        answer = worker.ask(cell=str(folder))
        if "error" in answer:
            cell.refused[name] = answer["error"]
        elif answer["max_abs_diff"] is None or not answer["max_abs_diff"] <= _TOLERANCE:
            cell.refused[name] = f"wrong: off by {answer['max_abs_diff']}"
        else:
            calls[name] = max(1, min(_MOST_CALLS, int(_TURN_MS / min(answer["ms"]))))
            cell.ms[name] = []
    names, order = list(calls), random.Random(0)  # noqa: S311  # no secret
    started = time.perf_counter()
    while names and (time.perf_counter() - started < seconds or len(cell.ms[names[0]]) < 5):
        order.shuffle(names)
        for name in list(names):
            answer = workers[name].ask(calls=calls[name] + 1)
            if "error" in answer:
                cell.refused[name] = answer["error"]
                del cell.ms[name]
                names.remove(name)
            else:
                cell.ms[name] += answer["ms"][1:]  # the first call finds the data of other systems in the caches


def crossover(cells: Sequence[Cell]) -> int | None:
    """Finds from how many states per step CUDA is always faster than the CPU.

    Returns:
        The least such number (rows times units) among the cells; None if there is none.
    """
    compared = [
        (cell.batch * cell.units, own < cpu)
        for cell in cells
        if (own := cell.median(OWN)) is not None and (cpu := cell.median(CPU)) is not None
    ]
    slower = [states for states, is_faster in compared if not is_faster]
    faster = [states for states, is_faster in compared if is_faster and states > max(slower, default=0)]
    return min(faster, default=None)


def to_markdown(cells: Sequence[Cell], limits: Mapping[str, float]) -> str:
    """Writes the milliseconds, their ratios, the shares of the card's limit, and what follows from the figures."""
    lines = [
        f"Measured limits of the card: {limits['flops'] / 1e12:.1f} Tflop/s in float32 without TF32, "
        f"{limits['bytes_per_s'] / 1e9:.0f} GB/s, {limits['launch_s'] * 1e6:.0f} us for a call of one operator.",
    ]
    for units in dict.fromkeys(cell.units for cell in cells):
        own_cells = [cell for cell in cells if cell.units == units]
        head = " | ".join(f"B{cell.batch} T{cell.time}" for cell in own_cells)
        lines += [
            "",
            f"SimpleRNN({units}), milliseconds (divided by those of rnnx model.onnx):",
            "",
            f"| system | {head} |",
        ]
        lines.append(f"|---|{'---:|' * len(own_cells)}")
        for name in SYSTEMS:
            lines.append(f"| {name} | {' | '.join(_show(cell, name) for cell in own_cells)} |")
        shares = [
            "-" if (own := cell.median(OWN)) is None else f"{100 * cell.least_ms(limits) / own:.2g} %"
            for cell in own_cells
        ]
        lines.append(f"| rnnx model.onnx, share of the card's limit | {' | '.join(shares)} |")
        reasons = {(name, reason) for cell in own_cells for name, reason in cell.refused.items()}
        lines += ["", *(f"- Not timed: {name}: {reason}" for name, reason in sorted(reasons))]
    return "\n".join([*lines, "", *_verdicts(cells)]) + "\n"


def _show(cell: Cell, name: str) -> str:
    median, own = cell.median(name), cell.median(OWN)
    if median is None:
        return "-"
    return f"{median:.3g}" if own is None or name == OWN else f"{median:.3g} ({median / own:.2f})"


def _verdicts(cells: Sequence[Cell]) -> list[str]:
    """Writes the speed that was promised, and whether the figures reach it."""
    lines = []
    for cell in cells:
        own, default = cell.median(OWN), cell.median(DEFAULT_GRAPH)
        if (cell.batch, cell.time) == (32, 500) and own and default:
            lines.append(
                f"- H{cell.units}, B32 T500: {default / own:.1f} times faster than tf2onnx's graph (the goal is 20)."
            )
    pairs = [(cell, own, torch) for cell in cells if (own := cell.median(OWN)) and (torch := cell.median(TORCH))]
    slower = [f"H{cell.units} B{cell.batch} T{cell.time}" for cell, own, torch in pairs if own >= torch]
    lines.append(f"- Cells slower than PyTorch: {', '.join(slower) or 'none'} (of {len(pairs)}; the goal is none).")
    found = crossover(cells)
    figure = "there is no size from which CUDA is always faster" if found is None else f"CUDA_FROM_STATES = {found}"
    return [*lines, f"- For rnnx/runtime/session.py: {figure}."]


def main() -> None:
    """Measures all cells, prints the tables and writes the JSON."""
    parser = argparse.ArgumentParser(description="Measures a batch on a card, in rnnx and in its peers.")
    parser.add_argument("--units", type=int, nargs="+", default=[32, 128], help="the sizes of the recurrence")
    parser.add_argument("--lengths", type=int, nargs="+", default=[500], help="the steps of a row")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128, 512, 2048])
    parser.add_argument("--seconds", type=float, default=5.0, help="the time for each shape")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "bench.cuda.cuda_limits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        raise SystemExit(f"bench.cuda.cuda_limits: {done.stderr.strip().splitlines()[-1]}")
    limits = json.loads(done.stdout.splitlines()[-1])
    # This process builds the networks and computes the reference on the CPU. The workers get the card.
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        os.environ["RNNX_BENCH_DEVICES"] = visible
    os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    cells = []
    for units in arguments.units:
        for cell in measure(units, arguments.lengths, arguments.batches, arguments.seconds):
            cells.append(cell)
            print(f"H{units} B{cell.batch} T{cell.time} is done", file=sys.stderr, flush=True)
    print(to_markdown(cells, limits), end="")
    if arguments.json:
        found = {"limits": limits, "cells": [dataclasses.asdict(cell) for cell in cells]}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
