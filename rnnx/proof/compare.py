"""Compares the states and outputs of a runtime with the reference, step by step; `rnnx.proof.report` holds the result.

An end-to-end comparison of recurrent networks proves little. If the weights expand differences, two correct float32
computations diverge; if they contract them, the error of a wrong one disappears. So each step is compared alone: one
float64 step of the reference, from the runtime's own state before the step, must come within the rounding bound
(`rnnx.rounding.recurrent_bounds`) of the runtime's state after the step. The other layers are compared in the same
way, from the runtime's own input to them, as far as the runtime shows it (`rnnx.proof.cuts`). The result is the ratio
of the difference to the bound. Above 1, float32 rounding cannot explain what the runtime computed.

The outputs are compared end to end as well, with the first-order bound of all these roundings together
(`rnnx.rounding.decisions`). This bound decides which labels must be equal. Where the weights amplify rounding so much
that the first order says nothing, there is no such bound, and the report says so; the steps are compared all the same.

Imports NumPy only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.proof.cuts import compare_alone, missing_cuts, names_of_cuts
from rnnx.proof.progress import track
from rnnx.proof.report import END_TO_END, DriftCurve, LayerReport, RuntimeReport
from rnnx.reference import Array, Given, NamedArrays, Network, Node, Recurrent, cell_state_of, is_jump
from rnnx.rounding.decisions import Decisions, label_ids
from rnnx.rounding.recurrent_bounds import expect_steps
from rnnx.rounding.row_parts import row_parts, take_rows

# Half the range of a probability. With a larger bound, a wrong probability could pass.
_USELESS_BOUND = 0.5
_CURVE_POINTS = 48


@dataclass(frozen=True, eq=False)
class ProbeBatch:
    """Inputs that run as one batch.

    Attributes:
        given: The inputs by name, or the only input: ids `(batch, time)` int32.
        names: A name for each row, such as `empty` or `text 3`.
        texts: The text of each row, for files that read text; None for made-up inputs.
    """

    given: Given
    names: tuple[str, ...]
    texts: tuple[bytes, ...] | None = None

    @property
    def time(self) -> int:
        """The number of steps of the longest input."""
        arrays = self.given.values() if isinstance(self.given, Mapping) else [self.given]
        return max(int(values.shape[1]) for values in arrays)


def count_numbers(given: NamedArrays) -> int:
    """Counts the numbers of all inputs, by which batches of one row are ordered: each input may have its own time."""
    return sum(values.size for values in given.values())


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs and states of a runtime for one batch.

    Attributes:
        answers: The outputs of the network by name, float32, such as `(batch, classes)` or `(batch, time, classes)`.
        states: The states by recurrent layer, float32 `(batch, time, units)`, in the order of the computation.
        cuts: The outputs of the other layers that have to be shown, by layer, float32; the rows of the batch come
            first, and the positions may be joined with them. None for a runtime that does not show them: Keras, and a
            file that was exported before there were cuts.
    """

    answers: Mapping[str, npt.NDArray[np.float32]]
    states: Mapping[str, npt.NDArray[np.float32]]
    cuts: Mapping[str, npt.NDArray[np.float32]] | None = None


def compare_runtime(
    runtime: str,
    network: Network,
    batches: Sequence[ProbeBatch],
    outputs: Iterable[Outputs],
    decisions: Sequence[Mapping[str, Decisions]],
) -> RuntimeReport:
    """Compares one runtime with the reference.

    The outputs of a batch are asked for when the batch is compared, and are not kept: they are large.

    Args:
        runtime: The name of the runtime in the report.
        network: The reference.
        batches: The inputs that were run.
        outputs: The outputs and states of the runtime, one for each batch; a generator may run the runtime. All show
            the same layers.
        decisions: The outputs of the reference for each batch, their bounds, and which labels rounding cannot change.

    Returns:
        The largest ratio of each layer, and all problems.

    Raises:
        ValueError: If there are more or fewer outputs than batches.
    """
    problems: list[str] = []
    names: Mapping[str, str] | None = None
    layers: dict[str, LayerReport] = {}
    found: list[_ComparedBatch] = []
    runs = iter(outputs)
    expectations = list(zip(batches, decisions, strict=True))
    for batch, expected in track(expectations, f"comparing {runtime} with the reference"):
        if (out := next(runs, None)) is None:
            raise ValueError("there are fewer outputs than batches")
        if names is None:
            names = names_of_cuts(network, out.cuts or ())
            missing = [] if out.cuts is None else missing_cuts(network, out.cuts)
            problems += [f"layer {name} does not show its output, so it cannot be compared" for name in missing]
        compared = _compare_batch(network, batch, out, expected, names)
        del out  # before the next batch is run
        problems += compared.problems
        found.append(compared)
        for report in compared.reports:
            if report.layer not in layers or _rank(report) > _rank(layers[report.layer]):
                layers[report.layer] = report
    if next(runs, None) is not None:
        raise ValueError("there are more outputs than batches")
    diffs = [diff for compared in found for diff in compared.diffs]
    if diffs and min(compared.smallest_bound for compared in found) >= _USELESS_BOUND:
        problems.append(
            "the rounding bound of the probabilities is above 0.5 on every probe: the weights are too large for float32"
        )
    is_finite = bool(diffs) and np.isfinite(diffs).all()
    return RuntimeReport(
        runtime,
        tuple(layers.values()) or (_not_finite(next(iter(network.ends)), "every probe"),),
        max(diffs) if is_finite else None,
        sum(compared.label_count for compared in found),
        sum(compared.tie_count for compared in found),
        tuple(problems),
        len({name for compared in found for name in compared.uncertified}),
        any(is_jump(node.layer) for node in network.nodes),
    )


@dataclass(frozen=True)
class _ComparedBatch:
    """The comparison of one batch.

    Attributes:
        problems: What is wrong with it. If an output has another form than the reference, nothing else is compared.
        reports: The ratio of each layer and output.
        smallest_bound: The smallest bound of a probability.
        diffs: The largest difference of each output from the reference.
        label_count: The number of labels that were compared.
        tie_count: The number of labels that rounding could change.
        uncertified: The names of the rows that have no bound end to end.
    """

    problems: list[str]
    reports: Sequence[LayerReport] = ()
    smallest_bound: float = np.inf
    diffs: Sequence[float] = ()
    label_count: int = 0
    tie_count: int = 0
    uncertified: frozenset[str] = frozenset()


def _compare_batch(
    network: Network, batch: ProbeBatch, out: Outputs, expected: Mapping[str, Decisions], names: Mapping[str, str]
) -> _ComparedBatch:
    """Compares a batch; `names` are those of the layers that are shown as cuts, in the report."""
    if form_problems := [p for name, d in expected.items() if (p := _form_problem(name, d, out.answers.get(name)))]:
        return _ComparedBatch(form_problems)
    problems: list[str] = []
    reports: list[LayerReport] = []
    diffs = []
    smallest_bound = np.inf
    label_count = tie_count = 0
    for part_batch, part_out in _split(network, batch, out):
        of_part, bound = _compare_layers(network, part_batch, part_out, names)
        reports += of_part
        smallest_bound = min(smallest_bound, bound)
    for name, decision in expected.items():
        actual = out.answers[name]
        reports.append(largest_ratio(END_TO_END, batch, decision.values, decision.bounds, actual))
        diffs.append(float(np.abs(decision.values - actual).max()))
        certain = decision.is_certain
        wrong = np.argwhere((decision.label_ids != label_ids(decision.head, actual)) & certain)
        label_count += int(certain.sum())
        tie_count += 0 if decision.head == "values" else int((~certain).sum())
        rows = dict.fromkeys(wrong[:, 0].tolist())
        problems += [f"another label than the reference on {batch.names[row]!r}" for row in rows]
    without_bound = {batch.names[row] for d in expected.values() for row in np.flatnonzero(~d.has_bound)}
    return _ComparedBatch(problems, reports, smallest_bound, diffs, label_count, tie_count, frozenset(without_bound))


def joined_reports(reports: Sequence[RuntimeReport]) -> RuntimeReport:
    """Joins comparisons of one runtime on the same inputs: of each layer the largest ratio, and every problem.

    Args:
        reports: The comparisons. The labels and the largest difference are those of the first one, and the order of the
            layers is that of the last one.
    """
    if len(reports) == 1:
        return reports[0]
    layers = {layer.layer: layer for layer in reports[-1].layers}
    for report in reports:
        for layer in report.layers:
            layers[layer.layer] = max(layers.get(layer.layer, layer), layer, key=_rank)
    problems = dict.fromkeys(problem for report in reports for problem in report.problems)
    return dataclasses.replace(reports[0], layers=tuple(layers.values()), problems=tuple(problems))


def trace_drift(runtime: str, network: Network, batch: ProbeBatch, outputs: Outputs) -> list[DriftCurve]:
    """Measures how the states of each recurrent layer move away from the reference along a long sequence.

    Args:
        runtime: The name of the runtime in the report.
        network: The reference.
        batch: One row or several.
        outputs: The outputs and states of the runtime.
    """
    exact_states: dict[str, tuple[Array, ...]] = {}
    network.forward(batch.given, histories=exact_states)
    given = network.forward(batch.given, {name: values.astype(np.float64) for name, values in outputs.states.items()})
    curves = []
    for node in network.nodes:
        if not isinstance(node.layer, Recurrent):
            continue
        actual = outputs.states[node.name].astype(np.float64)
        time = actual.shape[1]
        steps = np.unique(np.geomspace(1, time, min(time, _CURVE_POINTS)).round().astype(int)) - 1
        first = [given[name].values for name in node.inputs[1:]]
        exact_first = [(state, np.zeros_like(state)) for state in first]
        drift = np.abs(exact_states[node.name][0] - actual).max(axis=(0, 2))
        # The rounding of earlier layers does not count here: the inputs follow from the runtime's own states.
        x = given[node.inputs[0]]
        expected, bound = expect_steps(node.layer, x, np.zeros_like(x.values), actual, exact_first)
        difference = np.abs(expected - actual)
        ratio = ratios(difference, bound)
        flat = ratio.transpose(1, 0, 2).reshape(time, -1).argmax(axis=1)
        at = [values.transpose(1, 0, 2).reshape(time, -1)[np.arange(time), flat] for values in (difference, bound)]
        figures = (tuple(np.minimum(np.nan_to_num(v[steps], nan=1e300), 1e300).tolist()) for v in (drift, *at))
        curves.append(DriftCurve(runtime, node.name, tuple(steps.tolist()), *figures))
    return curves


def _split(network: Network, batch: ProbeBatch, out: Outputs) -> Iterator[tuple[ProbeBatch, Outputs]]:
    """Splits a large batch and its outputs into parts of some rows, which are compared one after the other."""
    inputs, rows = network.named(batch.given), len(batch.names)
    parts = row_parts(network, inputs)
    if len(parts) == 1:
        yield batch, out
        return
    for part in parts:

        def take(arrays: Mapping[str, npt.NDArray[Any]], part: slice = part) -> dict[str, npt.NDArray[Any]]:
            return {name: take_rows(values, part, rows) for name, values in arrays.items()}

        cuts = None if out.cuts is None else take(out.cuts)
        yield (
            ProbeBatch({name: values[part] for name, values in inputs.items()}, batch.names[part]),
            Outputs(take(out.answers), take(out.states), cuts),
        )


def _form_problem(name: str, expected: Decisions, actual: npt.NDArray[np.float32] | None) -> str | None:
    if actual is None:
        return f"there is no output {name}"
    if actual.dtype != np.float32:
        return f"{name} should be float32, not {actual.dtype}"
    if actual.shape != expected.values.shape:
        return f"{name} should have the shape {expected.values.shape}, not {actual.shape}"
    return None


def _compare_layers(
    network: Network, batch: ProbeBatch, actual: Outputs, names: Mapping[str, str]
) -> tuple[list[LayerReport], float]:
    """Compares each layer, starting from the runtime's own states and cuts, with the rounding errors of its inputs.

    Args:
        network: The reference.
        batch: The inputs.
        actual: The outputs, states and cuts of the runtime.
        names: The name in the report of each layer that is shown as a cut.

    Returns:
        The largest ratio of each layer and output, and the smallest bound of a probability, 0 if there is none.
    """
    states = {name: values.astype(np.float64) for name, values in actual.states.items()}
    if missing := set(network.shown_states) - states.keys():
        raise ValueError(f"no states of {', '.join(sorted(missing))}")
    outputs = {node.name: name for name, node in network.ends.items()}
    shows_cuts, cuts = actual.cuts is not None, actual.cuts or {}

    def show(node: Node, expected: Array, bound: Array) -> Array | None:
        shown = actual.answers[outputs[node.name]] if shows_cuts and node.name in outputs else cuts.get(node.name)
        return None if shown is None else shown.astype(np.float64).reshape(expected.shape)

    reports = []
    ends = {}
    for layer in compare_alone(network, batch.given, states, show):
        name = layer.node.name
        if isinstance(layer.node.layer, Recurrent):
            reports.append(largest_ratio(name, batch, layer.expected, layer.bound, states[name]))
            if layer.cell_state is not None:
                cell = cell_state_of(name)
                reports.append(largest_ratio(cell, batch, *layer.cell_state, states[cell]))
            ends[name] = layer.output.values, layer.error
            continue
        ends[name] = layer.expected, layer.bound
        if layer.actual is not None and name not in outputs:
            reports.append(largest_ratio(names[name], batch, layer.expected, layer.bound, layer.actual))
    for name, node in network.ends.items():
        reports.append(largest_ratio(name, batch, *ends[node.name], actual.answers[name]))
    probabilities = [node for node in network.ends.values() if node.head_kind != "values"]
    smallest = [float(ends[node.name][1].max(axis=-1).min()) for node in probabilities]
    return reports, min(smallest, default=0.0)


def ratios(difference: Array, bound: Array) -> Array:
    """Divides differences by their bounds. A bound of 0 allows only equality."""
    return np.divide(difference, bound, out=np.where(difference == 0, 0.0, np.inf), where=bound > 0)


def largest_ratio(
    layer: str, batch: ProbeBatch, expected: Array, bound: Array, actual: npt.NDArray[np.floating]
) -> LayerReport:
    """Finds the largest ratio of difference to bound in one array, and its place; NaN counts as larger than all."""
    difference = np.abs(expected - actual)
    ratio = ratios(difference, bound)
    bad = ~np.isfinite(difference)
    where = np.unravel_index(int(np.argmax(bad) if bad.any() else np.argmax(ratio)), ratio.shape)
    # In a TimeDistributed, the rows are the positions of all inputs.
    row, unit = int(where[0]) * len(batch.names) // max(len(ratio), 1), int(where[-1])
    step = int(where[1]) if ratio.ndim > 2 else None
    if bad.any():
        return _not_finite(layer, batch.names[row], step, unit)
    return LayerReport(
        layer,
        float(min(ratio[where], 1e300)),
        batch.names[row],
        step,
        unit,
        float(difference[where]),
        float(min(bound[where], 1e300)),  # JSON has no infinity, which is the bound of a number without one
    )


def _not_finite(layer: str, probe: str, step: int | None = None, unit: int = 0) -> LayerReport:
    return LayerReport(layer, None, probe, step, unit, None, None)


def _rank(report: LayerReport) -> float:
    return np.inf if report.ratio is None else report.ratio
