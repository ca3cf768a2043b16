"""What must not matter: the batch around a text, its padding, its order; and which form of a model is asked.

Needs no reference but its bounds: two right answers to the same question are each within theirs. Imports numpy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.propagation import Decisions
from rnnx.reference import Network
from rnnx.report import InvarianceReport

Given: TypeAlias = npt.NDArray[Any]  # ids, int32, or the bytes of texts, uint8
Probs: TypeAlias = npt.NDArray[np.float32]
Run: TypeAlias = Callable[[Given], Probs]


def compare_ways(runtime: str, network: Network, run: Run, batch: Given, bounds: Decisions) -> list[InvarianceReport]:
    """Asks one file for the same batch in several ways.

    Args:
        runtime: Its name in the report.
        network: The reference, which says whether padding counts.
        run: Runs the file.
        batch: Ids (batch, time), or the bytes of texts (batch, bytes), the rows of different lengths.
        bounds: What rounding can do to each row.
    """
    whole, count = run(batch), len(batch)
    order = np.random.default_rng(0).permutation(count)
    back = np.argsort(order)
    halves = np.concatenate([run(batch[: count // 2]), run(batch[count // 2 :])]) if count > 1 else whole
    ways = {
        "each row alone": np.concatenate([run(row[None]) for row in batch]),
        "the rows in another order": run(batch[order])[back],
        "the batch in halves": halves,
    }
    if network.masks_zero:
        ways["each row without its padding"] = np.concatenate([run(_unpadded(row)[None]) for row in batch])
        ways["more padding in front"] = run(np.pad(batch, ((0, 0), (7, 0))))
        ways["more padding at the end"] = run(np.pad(batch, ((0, 0), (0, 7))))
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


def _unpadded(row: Given) -> Given:
    """A row without its zeros, wherever ids have them, at the end of a text; one zero if there is nothing else."""
    if row.dtype == np.uint8:
        return row[: np.flatnonzero(row)[-1] + 1] if row.any() else row[:1]
    return row[row != 0] if row.any() else row[:1]
