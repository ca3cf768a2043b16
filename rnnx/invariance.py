"""What must not matter: the batch around a text, its padding, its order; and which form of a model is asked.

Needs no reference but its bounds: two right answers to the same question are each within theirs. Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from rnnx.propagation import Decisions
from rnnx.reference import Network
from rnnx.report import InvarianceReport

Ids = npt.NDArray[np.int32]
Probs = npt.NDArray[np.float32]
Run = Callable[[Ids], Probs]


def compare_ways(runtime: str, network: Network, run: Run, ids: Ids, bounds: Decisions) -> list[InvarianceReport]:
    """Asks one file for the same batch in several ways.

    Args:
        runtime: Its name in the report.
        network: The reference, which says whether padding counts.
        run: Runs the file.
        ids: (batch, time), the rows of different lengths.
        bounds: What rounding can do to each row.
    """
    whole, count = run(ids), len(ids)
    order = np.random.default_rng(0).permutation(count)
    back = np.argsort(order)
    halves = np.concatenate([run(ids[: count // 2]), run(ids[count // 2 :])]) if count > 1 else whole
    ways = {
        "each row alone": np.concatenate([run(row[None]) for row in ids]),
        "the rows in another order": run(ids[order])[back],
        "the batch in halves": halves,
    }
    if network.masks_zero:
        ways["each row without its padding"] = np.concatenate([run(_unpadded(row)[None]) for row in ids])
        ways["more padding in front"] = run(np.pad(ids, ((0, 0), (7, 0))))
        ways["more padding at the end"] = run(np.pad(ids, ((0, 0), (0, 7))))
    return [compare_answers(runtime, way, whole, other, bounds) for way, other in ways.items()]


def compare_forms(answers: Mapping[str, Probs], bounds: Decisions) -> list[InvarianceReport]:
    """Compares every file's answer to a batch with the first one's."""
    (first, expected), *others = answers.items()
    return [compare_answers(name, f"beside {first}", expected, actual, bounds) for name, actual in others]


def compare_answers(runtime: str, way: str, first: Probs, other: Probs, bounds: Decisions) -> InvarianceReport:
    """Compares two answers to the same batch; each may be off by its bound."""
    if first.shape != other.shape:
        return InvarianceReport(runtime, way, has_same_bits=False, max_abs_diff=None, ratio=None)
    difference = np.abs(first.astype(np.float64) - other)
    ratio = np.divide(difference, 2 * bounds.probs_bounds)
    is_finite = bool(np.isfinite(difference).all())
    return InvarianceReport(
        runtime,
        way,
        first.tobytes() == other.tobytes(),
        float(difference.max()) if is_finite else None,
        float(ratio.max()) if is_finite else None,
    )


def _unpadded(row: Ids) -> Ids:
    """A row without its zeros, wherever they stand; one zero if there is nothing else."""
    return row[row != 0] if row.any() else row[:1]
