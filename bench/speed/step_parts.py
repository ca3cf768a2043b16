"""Measures what bounds a step of `model.batch.onnx`: the loop itself, the product with U, and tanh.

The loop is measured with a network of one unit. The product and tanh are measured alone, in NumPy, whose BLAS is about
as fast as that of onnxruntime. Every figure is the smallest of many, in one thread: what the machine can do at best.

    python -m bench.speed.step_parts [--rounds 200]
"""

from __future__ import annotations

from bench.machine import restrict

restrict(threads=1)  # before NumPy is imported

# ruff: noqa: E402
import argparse
import time
from collections.abc import Callable

import numpy as np

from bench.speed.peers import open_form
from bench.subjects import random_subject

_LENGTH = 500
_BATCHES = (8, 32, 128)
_UNITS = (32, 64, 128)


def main(rounds: int) -> None:
    """Measures all sizes and prints a Markdown table."""
    loop = {batch: _step(1, batch, rounds) for batch in _BATCHES}
    print("| H | B | a step, us | the loop | h U | tanh | h U over the step |\n|---:|---:|---:|---:|---:|---:|---:|")
    for units in _UNITS:
        for batch in _BATCHES:
            step, product, tanh = _step(units, batch, rounds), *_alone(units, batch, rounds)
            figures = " | ".join(f"{seconds * 1e6:.2f}" for seconds in (step, loop[batch], product, tanh))
            print(f"| {units} | {batch} | {figures} | {product / step:.0%} |")


def _step(units: int, batch: int, rounds: int) -> float:
    """Returns the seconds of one step of the form for batches."""
    subject = random_subject(units, seed=0)
    run = open_form("model.batch.onnx")(subject, 1)(batch, _LENGTH)
    ids = subject.ids(batch, _LENGTH, np.random.default_rng(0))
    return _smallest(lambda: run(ids), rounds) / _LENGTH


def _alone(units: int, batch: int, rounds: int) -> tuple[float, float]:
    """Returns the seconds of one product with U, and of one tanh."""
    rng = np.random.default_rng(0)
    h, weights = (rng.normal(size=size).astype(np.float32) for size in ((batch, units), (units, units)))
    out = np.empty_like(h)
    return (
        _smallest(lambda: np.dot(h, weights, out=out), rounds * 20),
        _smallest(lambda: np.tanh(h, out=out), rounds * 20),
    )


def _smallest(call: Callable[[], object], rounds: int) -> float:
    call()
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measures the parts of a step of model.batch.onnx.")
    parser.add_argument("--rounds", type=int, default=200, help="how often each call is timed")
    main(parser.parse_args().rounds)
