"""Checks every system against the float64 reference, then times those that are right, interleaved and warm."""

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

# float32 stays within 1e-6 of float64 on these networks; a wrong weight or a half-wide number does not within this.
TOLERANCE = 1e-4
_WARM_CALLS = 3
# In its turn a system runs for about this long: short calls are then measured with their own data in the caches.
_TURN_S = 2e-3
_MOST_CALLS = 20


class WrongError(Exception):
    """A system computes something else."""


@dataclass(frozen=True)
class Timing:
    """What a system took in a cell.

    Attributes:
        median_ms: Of all its calls, the thrown-away ones left out.
        p10_ms: The tenth percentile.
        p90_ms: The ninetieth.
        calls: How many.
        max_abs_diff: The largest difference of a probability from the reference.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    calls: int
    max_abs_diff: float


@dataclass(frozen=True)
class Cell:
    """One network on one shape.

    Attributes:
        subject: The network's name.
        batch: Rows.
        time: Ids in a row.
        rounds: How often each system had its turn.
        timings: By system, those that were right.
        refused: By system, why it was not timed.
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
    """Opens what is installed and fits.

    Returns:
        What is ready, by name; and why the others are not.
    """
    ready: dict[str, Prepare] = {}
    absent: dict[str, str] = {}
    for system in systems:
        if system.is_missing:
            absent[system.name] = f"not installed: {system.module}"
            continue
        try:
            ready[system.name] = system.open(subject, threads)
        except UnfitError as error:
            absent[system.name] = str(error)
        except Exception as error:  # noqa: BLE001  # a peer that does not even load is a result, whatever it raised
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
    """Checks and times one shape.

    Args:
        subject: The network.
        ready: The systems.
        ids: (batch, time) int32.
        rounds: The fewest.
        seconds: More rounds follow until this is used up.
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
        except Exception as error:  # noqa: BLE001  # as above
            refused[name] = f"failed: {_one_line(error)}"
    milliseconds, done = time_runs(runs, ids, rounds, seconds)
    timings = {}
    for name, values in milliseconds.items():
        p10, median, p90 = (float(p) for p in np.percentile(values, (10, 50, 90)))
        timings[name] = Timing(median, p10, p90, len(values), differences[name])
    return Cell(subject.name, batch, time, done, timings, refused)


def require_right(expected: Array, actual: Floats) -> float:
    """The largest difference from the reference.

    Raises:
        WrongError: If it is above `TOLERANCE` or NaN, or the shape is another.
    """
    if actual.shape != expected.shape:
        raise WrongError(f"the shape is {actual.shape}, not {expected.shape}")
    difference = float(np.abs(expected - actual).max())
    if not difference <= TOLERANCE:  # so that NaN is wrong
        raise WrongError(f"off by {difference:.2g}")
    return difference


def time_runs(runs: Mapping[str, Run], ids: Ids, rounds: int, seconds: float) -> tuple[dict[str, list[float]], int]:
    """Gives every system its turn, in another order each round.

    Returns:
        Milliseconds of every call, by system; and the rounds.
    """
    calls = {name: _calls_in_turn(run, ids) for name, run in runs.items()}
    milliseconds: dict[str, list[float]] = {name: [] for name in runs}
    names = list(runs)
    order = np.random.default_rng(0)
    gc.collect()
    gc.disable()  # a collection in the middle of a call would be charged to whoever runs then
    started = clock.perf_counter()
    done = 0
    while done < rounds or clock.perf_counter() - started < seconds:
        order.shuffle(names)
        for name in names:
            run = runs[name]
            if calls[name] > 1:
                run(ids)  # thrown away: the one before left its own data in the caches
            for _ in range(calls[name]):
                before = clock.perf_counter()
                run(ids)
                milliseconds[name].append((clock.perf_counter() - before) * 1e3)
        done += 1
    gc.enable()
    return milliseconds, done


def _calls_in_turn(run: Run, ids: Ids) -> int:
    """Warms a system up and finds how often it is called in its turn."""
    fastest = float("inf")
    for _ in range(_WARM_CALLS):
        before = clock.perf_counter()
        run(ids)
        fastest = min(fastest, clock.perf_counter() - before)
    return min(max(int(_TURN_S / fastest), 1), _MOST_CALLS)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
