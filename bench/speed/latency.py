"""Measures how long a batch takes in rnnx and in its peers.

All systems get the same weights and inputs and take turns in one process. Each is compared with the reference before it
is timed. The network is Embedding(10000, 32) -> SimpleRNN(H) -> Dense(1, sigmoid) with the weights that Keras draws,
or, with `--bundle`, a bundle's own network. Prints Markdown, writes it with JSON and a plot, and names the peers that
are not installed.

    pip install '.[train,cpu]' jax openvino ai-edge-litert torch
    python -m bench.speed.latency
    python -m bench.speed.latency --bundle imdb [--texts reviews.txt]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench import RESULTS, machine

if TYPE_CHECKING:
    from bench.speed.peers import System
    from bench.speed.report import Results
    from bench.subjects import Subject

_DISTRIBUTIONS = ("rnnx", "numpy", "onnxruntime", "tensorflow", "keras", "tf2onnx", "onnx")
_LENGTHS = (100, 500)
_SEED = 0


def main() -> None:
    """Measures every network, prints the tables and writes the files."""
    arguments = _parse()
    cores = machine.restrict(arguments.threads)
    # These are imported after `restrict`, because the libraries that they import size their thread pools on loading.
    from bench.speed import report
    from bench.speed.peers import SYSTEMS
    from bench.subjects import bundle_subject, limit_tensorflow, random_subject

    systems = _select(SYSTEMS, arguments.systems)
    limit_tensorflow(arguments.threads)
    modules = [system.module.replace("_", "-") for system in systems if system.module]
    results = report.Results(
        command=shlex.join(["python", "-m", "bench.speed.latency", *sys.argv[1:]]),
        date=machine.today(),
        cpu=machine.cpu_model(),
        threads=arguments.threads,
        cores=cores,
        versions=machine.versions([*_DISTRIBUTIONS, *modules]),
        systems=[system.name for system in systems],
        absent={},
        cells=[],
    )
    stem = f"latency-{Path(arguments.bundle).name}" if arguments.bundle else "latency"
    markdown = ""
    for which in [arguments.bundle] if arguments.bundle else arguments.units:
        subject = bundle_subject(which, arguments.texts) if arguments.bundle else random_subject(which, _SEED)
        results = _measure(subject, systems, arguments, results)
        # Written after each network: if a peer crashes the process, what was measured before is kept.
        markdown = report.write(results, arguments.out, stem)
    print(markdown, end="")


def _measure(subject: Subject, systems: Sequence[System], arguments: argparse.Namespace, results: Results) -> Results:
    """Measures one network and adds its cells to the results."""
    import numpy as np

    from bench.speed.measure import measure_cell, open_systems

    ready, absent = open_systems(systems, subject, arguments.threads)
    for name, reason in absent.items():
        _note(f"{subject.name}: {name}: {reason}")
    cells = []
    rng = np.random.default_rng(_SEED)
    for time, batch in itertools.product(_lengths(subject, arguments.lengths), arguments.batches):
        _note(f"{subject.name}: batch {batch}, {time} steps")
        ids = subject.ids(batch, time, rng)
        cell = measure_cell(subject, ready, ids, rounds=arguments.rounds, seconds=arguments.seconds)
        for name, reason in cell.refused.items():
            _note(f"{name}: {reason}")
        cells.append(cell)
    return dataclasses.replace(results, absent={**results.absent, subject.name: absent}, cells=[*results.cells, *cells])


def _lengths(subject: Subject, asked: Sequence[int] | None) -> Sequence[int]:
    """Returns the lengths that were asked for, or else lengths that are usual for the network."""
    if subject.tokenizer is None:
        return asked or _LENGTHS
    longest = subject.tokenizer.max_length
    if asked and max(asked) > longest:
        raise SystemExit(f"--lengths: {subject.name} reads at most {longest} ids")
    if subject.tokenizer.pad_to == "max_length":
        return asked or [longest]
    return asked or [min(_LENGTHS[0], longest), longest]


def _select(systems: Sequence[System], words: Sequence[str] | None) -> list[System]:
    """Returns the systems whose names contain one of the words, or all systems without words."""
    for word in words or []:
        if not any(word.lower() in system.name.lower() for system in systems):
            names = ", ".join(system.name for system in systems)
            raise SystemExit(f"--systems: no system is called {word!r}; the systems are {names}")
    return [system for system in systems if not words or any(word.lower() in system.name.lower() for word in words)]


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the latency of rnnx and its peers.")
    parser.add_argument("--units", type=int, nargs="+", default=[32, 64, 128], help="the sizes of the recurrence")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128, 512])
    parser.add_argument(
        "--lengths",
        type=int,
        nargs="+",
        help="the steps of a row; by default 100 and 500, or lengths that fit the bundle",
    )
    parser.add_argument("--rounds", type=int, default=5, help="the least number of turns of each system")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="further turns follow until this time is used up, for each shape"
    )
    parser.add_argument(
        "--systems", nargs="+", metavar="WORD", help="measure only systems whose names contain one of these words"
    )
    parser.add_argument(
        "--bundle", help="measure a shipped model (by name) or a bundle (by path) instead of random weights"
    )
    parser.add_argument(
        "--texts", type=Path, metavar="FILE", help="with --bundle: a file of texts to draw from, one per line"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="the threads of every system, and the cores of the process"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="write the files into this folder")
    return parser.parse_args()


if __name__ == "__main__":
    main()
