"""Measures whether the predictor picks the faster of the two forms: the RNN operator or the Scan.

Each cell of the table is the time of the faster form divided by the time of the form that the predictor picks. The
networks are the article's with 32, 64 and 128 units, networks whose layers run in one Scan, and those that rnnx ships;
all forms are exported afresh. One thread; the forms take turns, warm; medians. Each form is compared with the reference
before it is timed. A cell below 0.9 is measured again, for three times as long, before it counts.

    python -m bench.speed.forms [--lengths 100 400] [--out bench/results/forms.md]
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench import RESULTS, machine

if TYPE_CHECKING:
    from bench.subjects import Floats, Subject
    from rnnx.runtime.session import Session
    from rnnx.text.tokenizer import Ids

_LOWEST = 0.9
_SEED = 0
_JOINED = (
    *("both directions of 16", "both directions of 32", "both directions of 32, mean", "both directions of 32, twice"),
    *("2 layers of 16", "2 layers of 32", "2 layers of 64", "4 layers of 16", "4 layers of 32"),
)


def main() -> None:
    """Measures every network, prints the table and writes it."""
    arguments = _parse()
    machine.restrict(1)
    from bench.subjects import fresh_subject, limit_tensorflow, random_subject
    from rnnx.bundle.directory import read_directory
    from rnnx.bundle.find_model import find_directory, shipped_names

    limit_tensorflow(1)
    command = shlex.join(["python", "-m", "bench.speed.forms", *sys.argv[1:]])
    lines = [
        f"`{command}`, {machine.today()}, {machine.cpu_model()}.\n",
        "The time of the faster form divided by the time of the form that is picked (r: model.onnx,\n"
        "s: model.batch.onnx). Bundles are measured as they would be exported now.\n",
        f"| network | {' | '.join(f'B{batch}' for batch in arguments.batches)} |",
        f"|---|{'---:|' * len(arguments.batches)}",
    ]
    lowest = 1.0
    subjects: list[Callable[[], Subject]] = [partial(random_subject, units, _SEED) for units in (32, 64, 128)]
    texts = [name for name in shipped_names() if read_directory(find_directory(name)).config.tokenizer]
    subjects += [partial(fresh_subject, name) for name in texts]
    subjects += [partial(_joined_subject, name) for name in _JOINED]
    for make in subjects:
        subject = make()
        for time in arguments.lengths:
            cells = [_measure(subject, batch, time, arguments.seconds) for batch in arguments.batches]
            lowest = min(lowest, *(ratio for ratio, _ in cells))
            row = " | ".join(f"{ratio:.2f} {letter}" for ratio, letter in cells)
            lines.append(f"| {subject.name}, {time} steps | {row} |")
            print(lines[-1], file=sys.stderr, flush=True)
    verdict = "none" if lowest >= _LOWEST else f"there are some, and the lowest is {lowest:.2f}"
    lines.append(f"\nCells below {_LOWEST}: {verdict}.")
    text = "\n".join(lines) + "\n"
    print(text, end="")
    arguments.out.write_text(text, encoding="utf-8")


def _measure(subject: Subject, batch: int, time: int, seconds: float) -> tuple[float, str]:
    """Measures one cell.

    Returns:
        The ratio, and the letter of the form that is picked.
    """
    import numpy as np
    import onnx

    from bench.speed.measure import require_right, time_runs
    from rnnx.export.forms import read_steps
    from rnnx.infer.needed_files import choose_form
    from rnnx.runtime.session import Session

    ids = subject.ids(batch, time, np.random.default_rng(_SEED))
    expected = subject.network.predict(ids)
    runs = {name: partial(_run, Session(data, device="cpu")) for name, data in subject.forms.items()}
    for run in runs.values():
        require_right(expected, run(ids))
    picked = choose_form("cpu", batch, *read_steps(onnx.load_from_string(subject.forms["model.batch.onnx"])))
    for patience in (1, 3):
        times, _ = time_runs(runs, ids, 5, seconds * patience)
        medians = {name: float(np.median(values)) for name, values in times.items()}
        ratio = min(medians.values()) / medians[picked]
        if ratio >= _LOWEST:
            break
    return ratio, "s" if "batch" in picked else "r"


def _joined_subject(name: str) -> Subject:
    from bench.speed.joined import networks
    from bench.subjects import model_subject

    return model_subject(name, networks()[name](False))


def _run(session: Session, ids: Ids) -> Floats:
    return session.run(ids)[0]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures whether the predictor picks the faster form.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 3, 4, 8, 16, 32, 64, 128, 256, 512])
    parser.add_argument("--lengths", type=int, nargs="+", default=[100, 400], help="the steps of a row")
    parser.add_argument("--seconds", type=float, default=0.5, help="the time for each cell")
    parser.add_argument("--out", type=Path, default=RESULTS / "forms.md", help="write the table to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
