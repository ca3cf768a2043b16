"""Compares a file with itself: the outputs must not depend on the batch, its order, its padding, or the form.

It needs only the bounds of the reference: two correct outputs for the same input differ by at most both bounds
together. Imports NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.proof.report import InvarianceReport
from rnnx.reference import Array, NamedArrays, Network
from rnnx.reference.shapes import name_times
from rnnx.rounding.decisions import Decisions

Answers: TypeAlias = Mapping[str, npt.NDArray[np.float32]]  # by output name
# Runs a file on a batch, and returns its outputs.
Ask: TypeAlias = Callable[[NamedArrays], Answers]
# How many zeros are added as padding.
_PADDING = 7


def compare_ways(
    runtime: str, network: Network, run: Ask, batch: NamedArrays, bounds: Mapping[str, Decisions]
) -> list[InvarianceReport]:
    """Runs the same inputs through one file in several ways, and compares the outputs.

    Args:
        runtime: The name of the runtime in the report.
        network: The reference; it says whether padding is masked.
        run: Runs the file.
        batch: The inputs; padded rows have different lengths.
        bounds: The rounding bounds of each row, by output.
    """
    whole, count = run(batch), len(_first(batch))
    order = np.random.default_rng(0).permutation(count)
    back = np.argsort(order)
    mixed = run(_rows(batch, order))
    parts = [slice(count // 2), slice(count // 2, count)] if count > 1 else [slice(1)]
    ways = {
        "each row alone": _stack([run(_rows(batch, slice(i, i + 1))) for i in range(count)]),
        "the rows in another order": {name: values[back] for name, values in mixed.items()},
        "the batch in halves": _stack([run(_rows(batch, part)) for part in parts]),
    }
    allowed = {name: decision.bounds for name, decision in bounds.items()}
    reports = [compare_answers(runtime, way, whole, other, allowed) for way, other in ways.items()]
    if network.masks_zero:
        reports += _compare_padding(runtime, network, run, batch, whole, allowed)
    return reports


def _compare_padding(
    runtime: str, network: Network, run: Ask, batch: NamedArrays, whole: Answers, allowed: Mapping[str, Array]
) -> list[InvarianceReport]:
    """Adds and removes padding; of an output over the time, the values at words are compared."""
    words = _words_by_name(network, batch, whole)
    alone = [
        run({name: values[i][words[name][i]][None] for name, values in batch.items()})
        for i in range(len(_first(batch)))
    ]
    in_front, at_end = run(_padded(batch, _PADDING, 0)), run(_padded(batch, 0, _PADDING))
    # The time of an output that grows with the input is that of the input. A decoder's output has a time of its own.
    timed = {name for name, values in whole.items() if values.shape != in_front[name].shape}
    ways = {
        "each row without its padding": {
            name: np.concatenate([row[name][0] if name in timed else row[name] for row in alone]) for name in whole
        },
        "more padding in front": _at_words(in_front, timed, words, _PADDING),
        "more padding at the end": _at_words(at_end, timed, words, 0),
    }
    expected, bounds = _at_words(whole, timed, words, 0), _at_words(allowed, timed, words, 0)
    return [compare_answers(runtime, way, expected, other, bounds) for way, other in ways.items()]


def _words_by_name(network: Network, batch: NamedArrays, answers: Answers) -> dict[str, list[npt.NDArray[np.intp]]]:
    """Returns the positions of each row that are not padding, for each input, and for each output over the time.

    Inputs whose times may differ, as those of an encoder and its decoder, have padding of their own.
    """
    times = name_times(network) if len(network.inputs) > 1 else {}
    time_of = {name: times.get(name, "time") for name in (*batch, *answers)}
    words = {
        time: [_words(row) for row in _counting({name: batch[name] for name in batch if time_of[name] == time})]
        for time in dict.fromkeys(time_of[name] for name in batch)
    }
    return {name: words[time] for name, time in time_of.items()}


def compare_forms(answers: Mapping[str, Answers], bounds: Mapping[str, Decisions]) -> list[InvarianceReport]:
    """Compares the outputs of every file for a batch with those of the first file."""
    allowed = {name: decision.bounds for name, decision in bounds.items()}
    (first, expected), *others = answers.items()
    return [compare_answers(name, f"compared with {first}", expected, actual, allowed) for name, actual in others]


def compare_answers(
    runtime: str, way: str, first: Answers, other: Answers, allowed: Mapping[str, Array]
) -> InvarianceReport:
    """Compares two outputs for the same batch; each may differ from the exact one by its bound."""
    if any(values.shape != other[name].shape for name, values in first.items()):
        return InvarianceReport(runtime, way, has_same_bits=False, max_abs_diff=None, ratio=None)
    differences = {name: np.abs(values.astype(np.float64) - other[name]) for name, values in first.items()}
    ratios = [_ratio(differences[name], 2 * allowed[name]) for name in differences]
    is_finite = all(np.isfinite(difference).all() for difference in differences.values())
    return InvarianceReport(
        runtime,
        way,
        all(values.tobytes() == other[name].tobytes() for name, values in first.items()),
        max(float(difference.max(initial=0.0)) for difference in differences.values()) if is_finite else None,
        max(float(ratio.max(initial=0.0)) for ratio in ratios) if is_finite else None,
    )


def _ratio(difference: Array, bound: Array) -> Array:
    """Divides the difference by the bound; a bound of 0 allows only equality."""
    without_bound = np.where(difference == 0, 0.0, 1e300)
    return np.divide(difference, bound, out=without_bound, where=bound > 0)


def _first(batch: NamedArrays) -> npt.NDArray[Any]:
    return next(iter(batch.values()))


def _counting(batch: NamedArrays) -> npt.NDArray[Any]:
    """Returns the array that says which positions are padding: the mask if there is one, and else the first input.

    With ids and a mask, a position is padding if its id is 0 and the mask does not count it.
    """
    first = _first(batch)
    masks = [values for values in batch.values() if values.dtype == bool]
    ids = [first != 0] if first.ndim == 2 and first.dtype != bool else []
    return np.logical_or.reduce([*masks, *ids]) if masks else first


def _rows(batch: NamedArrays, chosen: Any) -> NamedArrays:
    return {name: values[chosen] for name, values in batch.items()}


def _stack(parts: Sequence[Answers]) -> Answers:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _padded(batch: NamedArrays, before: int, after: int) -> NamedArrays:
    return {
        name: np.pad(values, [(0, 0), (before, after), *[(0, 0)] * (values.ndim - 2)]) for name, values in batch.items()
    }


def _at_words(
    answers: NamedArrays, timed: Set[str], words: Mapping[str, Sequence[npt.NDArray[np.intp]]], start: int
) -> dict[str, npt.NDArray[Any]]:
    """Selects the values at words from outputs over the time, one row after the other; keeps other outputs."""
    return {
        name: np.concatenate([row[kept + start] for row, kept in zip(values, words[name], strict=True)])
        if name in timed
        else values
        for name, values in answers.items()
    }


def _words(row: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Returns the positions of a row that are not padding: ids other than 0, or the bytes of a text; at least one."""
    places = np.flatnonzero(row)
    if not places.size:
        return np.zeros(1, np.intp)
    return np.arange(places[-1] + 1) if row.dtype == np.uint8 else places
