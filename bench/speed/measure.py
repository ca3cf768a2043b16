"""Compares every system with the float64 reference, then times the right ones in turns, warm."""

from __future__ import annotations

import gc
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.speed.peers import Prepare, Run, System, UnfitError
from bench.subjects import Floats, Subject
from rnnx.reference import Array
from rnnx.text.tokenizer import Ids

# float32 stays within 1e-6 of float64 on these networks. A wrong weight or a 16-bit number exceeds this tolerance.
TOLERANCE = 1e-4
_WARM_CALLS = 3
# In its turn a system runs for about this long, so that short calls are measured with their own data in the caches.
_TURN_S = 2e-3
_MOST_CALLS = 20


class WrongError(Exception):
    """Raised if a system computes something else than the reference."""


@dataclass(frozen=True)
class Timing:
    """The time that a system took in one cell, over all its calls that were not discarded.

    Attributes:
        median_ms: The median.
        p10_ms: The 10th percentile.
        p90_ms: The 90th percentile.
        calls: The number of calls.
        max_abs_diff: The largest difference of a probability from the reference.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    calls: int
    max_abs_diff: float


@dataclass(frozen=True)
class Cell:
    """The measurements of one network on one shape.

    Attributes:
        subject: The network's name.
        batch: The number of rows.
        time: The number of ids in a row.
        rounds: How often each system had its turn.
        timings: The timings of the systems that were right, by name.
        refused: The reason why a system was not timed, by name.
    """

    subject: str
    batch: int
    time: int
    rounds: int
    timings: Mapping[str, Timing]
    refused: Mapping[str, str] = field(default_factory=dict)


def open_systems(
    systems: Sequence[System], subject: Subject, threads: int
) -> tuple[dict[str, Prepare], dict[str, str]]:
    """Opens the systems that are installed and can express the network.

    Returns:
        The systems that are ready, by name, and the reason why each of the others is not.
    """
    ready: dict[str, Prepare] = {}
    absent: dict[str, str] = {}
    for system in systems:
        if system.is_missing:
            absent[system.name] = f"{system.module} is not installed"
            continue
        try:
            ready[system.name] = system.open(subject, threads)
        except UnfitError as error:
            absent[system.name] = str(error)
        except Exception as error:  # noqa: BLE001  # a peer that fails to load is a result too
            absent[system.name] = f"failed: {_one_line(error)}"
    return ready, absent


def measure_cell(
    subject: Subject,
    ready: Mapping[str, Prepare],
    ids: Ids,
    *,
    rounds: int,
    seconds: float,
) -> Cell:
    """Compares all systems with the reference on one shape, then times them.

    Args:
        subject: The network.
        ready: The systems, by name.
        ids: The input, `(batch, time)` int32.
        rounds: The least number of rounds.
        seconds: Further rounds follow until this time is used up.
    """
    batch, time = ids.shape
    expected = subject.network.predict(ids)
    runs: dict[str, Run] = {}
    differences: dict[str, float] = {}
    refused: dict[str, str] = {}
    for name, prepare in ready.items():
        try:
            run = prepare(batch, time)
            differences[name] = require_right(expected, run(ids))
            runs[name] = run
        except WrongError as error:
            refused[name] = f"wrong: {error}"
        except Exception as error:  # noqa: BLE001  # a peer that fails to run is a result too
            refused[name] = f"failed: {_one_line(error)}"
    milliseconds, done = time_runs(runs, ids, rounds, seconds)
    timings = {}
    for name, values in milliseconds.items():
        p10, median, p90 = np.percentile(values, (10, 50, 90)).tolist()
        timings[name] = Timing(median, p10, p90, len(values), differences[name])
    return Cell(subject.name, batch, time, done, timings, refused)


def require_right(expected: Array, actual: Floats) -> float:
    """Returns the largest difference from the reference.

    Raises:
        WrongError: If it is NaN or above `TOLERANCE`, or if the shapes differ.
    """
    if actual.shape != expected.shape:
        raise WrongError(f"the shape is {actual.shape}, not {expected.shape}")
    difference = float(np.abs(expected - actual).max())
    if not difference <= TOLERANCE:  # written so that NaN is wrong
        raise WrongError(f"off by {difference:.2g}")
    return difference


def time_runs(runs: Mapping[str, Run], ids: Ids, rounds: int, seconds: float) -> tuple[dict[str, list[float]], int]:
    """Times every system in turns, in a new order each round.

    Returns:
        The milliseconds of every call, by system, and the number of rounds.
    """
    calls = {name: _calls_in_turn(run, ids) for name, run in runs.items()}
    milliseconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    order = np.random.default_rng(0)
    gc.collect()
    gc.disable()  # a collection would be added to the time of the system that runs at that moment
    started = clock.perf_counter()
    done = 0
    while done < rounds or clock.perf_counter() - started < seconds:
        order.shuffle(names)
        for name in names:
            run = runs[name]
            run(ids)  # discarded: the system before left its own data in the caches
            for _ in range(calls[name]):
                before = clock.perf_counter()
                run(ids)
                milliseconds[name].append((clock.perf_counter() - before) * 1e3)
        done += 1
    gc.enable()
    return milliseconds, done


def time_alone(runs: Mapping[str, Run], ids: Ids, rounds: int) -> dict[str, float]:
    """Times all runs in turns and returns the smallest time of each in seconds: what the machine can do at best."""
    smallest = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            run(ids)  # discarded, as above
            started = clock.perf_counter()
            run(ids)
            smallest[name] = min(smallest[name], clock.perf_counter() - started)
    return smallest


def _calls_in_turn(run: Run, ids: Ids) -> int:
    """Warms a system up and returns how often it is called in its turn."""
    fastest = float("inf")
    for _ in range(_WARM_CALLS):
        before = clock.perf_counter()
        run(ids)
        fastest = min(fastest, clock.perf_counter() - before)
    return min(max(int(_TURN_S / fastest), 1), _MOST_CALLS)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
