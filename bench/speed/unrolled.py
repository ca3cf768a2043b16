"""Measures the speed-up from unrolling the Scan form, so that each iteration of the Scan computes several steps.

Each cell of the table is the time with one step per iteration divided by the time with several: above 1, unrolling is
faster. The network is a shipped one. One thread; the forms take turns, warm; medians. Each form is compared with the
float64 reference before it is timed. `rnnx.rewrites.unrolled.STEPS` follows from this table.

    python -m bench.speed.unrolled [--bundle imdb]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bench import machine

if TYPE_CHECKING:
    import onnx

    from bench.subjects import Floats
    from rnnx.runtime.session import Session
    from rnnx.text.tokenizer import Ids

_SEED = 0


def main() -> None:
    """Measures every form and prints a table."""
    arguments = _parse()
    machine.restrict(1)
    import numpy as np

    from bench.speed.measure import require_right, time_runs
    from bench.subjects import bundle_subject
    from rnnx.export.convert import convert
    from rnnx.rewrites.embedding import remove_negative_ids
    from rnnx.runtime.session import Session

    subject = bundle_subject(arguments.bundle)
    converted = remove_negative_ids(convert(subject.model, subject.network))
    sessions = {steps: Session(_form(converted, steps), device="cpu") for steps in (1, *arguments.steps)}
    print(f"{subject.name}, {arguments.length} ids; {machine.cpu_model()}, {machine.today()}\n")
    print(f"| steps per iteration | {' | '.join(f'B{batch}' for batch in arguments.batches)} |")
    print(f"|---|{'---:|' * len(arguments.batches)}")
    rng = np.random.default_rng(_SEED)
    cells: dict[int, list[str]] = {steps: [] for steps in arguments.steps}
    for batch in arguments.batches:
        ids = subject.ids(batch, arguments.length, rng)
        expected = subject.network.predict(ids)
        runs: dict[str, Callable[[Ids], Floats]] = {
            str(steps): partial(_run, session) for steps, session in sessions.items()
        }
        for run in runs.values():
            require_right(expected, run(ids))
        times, _ = time_runs(runs, ids, 5, arguments.seconds)
        for steps in arguments.steps:
            cells[steps].append(f"{np.median(times['1']) / np.median(times[str(steps)]):.2f}")
    for steps, row in cells.items():
        print(f"| {steps} | {' | '.join(row)} |", flush=True)


def _run(session: Session, ids: Ids) -> Floats:
    return session.run(ids)[0]


def _form(converted: onnx.ModelProto, steps: int) -> bytes:
    """Rewrites the Scan form with so many steps per iteration."""
    from rnnx.rewrites import unrolled
    from rnnx.rewrites.replace import replace_recurrences
    from rnnx.rewrites.scan_form import write_scan

    before, unrolled.STEPS = unrolled.STEPS, steps
    try:
        data: bytes = replace_recurrences(converted, partial(write_scan, unrolls=steps > 1)).model.SerializeToString()
    finally:
        unrolled.STEPS = before
    return data


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares several steps per iteration of the Scan with one.")
    parser.add_argument("--bundle", default="imdb", help="a shipped model's name or a bundle's path")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--length", type=int, default=400, help="the ids of the longest row")
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 4, 8], help="the steps per iteration")
    parser.add_argument("--seconds", type=float, default=2.0, help="the time for each cell")
    return parser.parse_args()


if __name__ == "__main__":
    main()
