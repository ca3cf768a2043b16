"""Compares another computation of a network with the reference, step by step (`rnnx.proof.report` has the results).

Comparing recurrent networks end to end says little. Where the weights expand differences, two right float32
computations diverge; where they contract differences, an error is forgotten. So each step is compared alone: one
float64 step of the reference from the runtime's own previous state has to be within the rounding bound
(`rnnx.rounding.step_bound`) of the runtime's next state. The layers after the recurrence are compared in the same way,
from the runtime's own states. The figure is the ratio of difference to bound. Above 1, float32 arithmetic cannot
explain what the runtime computed.

The outputs are also compared end to end, from ids to probabilities, within what all roundings together can do
(`rnnx.rounding.decisions`). That bound decides which labels have to be equal.

Imports numpy only; runs nothing but the reference; prints nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.proof.report import END_TO_END, DriftCurve, LayerReport, RuntimeReport
from rnnx.reference import Array, Given, Network, Recurrent, RecurrentLayer, Tensor
from rnnx.rounding.decisions import Decisions, label_ids
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.recurrent_bounds import expect_steps

# A probability may be off by its bound. If every bound is half of its range or more, wrong probabilities could pass.
_SAYS_NOTHING = 0.5
_CURVE_POINTS = 48


@dataclass(frozen=True, eq=False)
class ProbeBatch:
    """Inputs that run as one batch.

    Attributes:
        given: The inputs by name, or the only input: ids `(batch, time)` int32.
        names: A name for each row, such as `empty` or `text 3`.
        texts: The text of each row, for files that read text; None for made-up rows.
    """

    given: Given
    names: tuple[str, ...]
    texts: tuple[bytes, ...] | None = None

    @property
    def time(self) -> int:
        """The number of steps of the longest input."""
        arrays = self.given.values() if isinstance(self.given, Mapping) else [self.given]
        return max(int(values.shape[1]) for values in arrays)


@dataclass(frozen=True, eq=False)
class Outputs:
    """The outputs and the states of a runtime for one batch.

    Attributes:
        answers: By output name, float32, in the shape of the output: `(batch, 1)`, `(batch, classes)`,
            `(batch, time, classes)` or another.
        states: By recurrent layer, float32 (batch, time, units), in the order of their computation.
    """

    answers: Mapping[str, npt.NDArray[np.float32]]
    states: Mapping[str, npt.NDArray[np.float32]]


def compare_runtime(
    runtime: str,
    network: Network,
    batches: Sequence[ProbeBatch],
    outputs: Sequence[Outputs],
    decisions: Sequence[Mapping[str, Decisions]],
) -> RuntimeReport:
    """Compares one runtime with the reference.

    Args:
        runtime: Its name in the report.
        network: The reference.
        batches: The inputs.
        outputs: The runtime's outputs, one for each batch.
        decisions: For each batch, the reference's outputs with their end-to-end bounds, and the labels that rounding
            cannot change.

    Returns:
        For each layer the largest ratio over all batches, and the problems.
    """
    problems: list[str] = []
    layers: dict[str, LayerReport] = {}
    diffs: list[float] = []
    label_count = tie_count = 0
    smallest_bound = np.inf
    for batch, out, expected in zip(batches, outputs, decisions, strict=True):
        if form_problems := [p for name, d in expected.items() if (p := _form_problem(name, d, out.answers.get(name)))]:
            problems += form_problems
            continue
        compared, bound = _compare_layers(network, batch, out)
        smallest_bound = min(smallest_bound, bound)
        for name, decision in expected.items():
            actual = out.answers[name]
            compared.append(_largest_ratio(END_TO_END, batch, decision.values, decision.bounds, actual))
            diffs.append(float(np.abs(decision.values - actual).max()))
            certain = decision.is_certain
            wrong = np.argwhere((decision.label_ids != label_ids(decision.head, actual)) & certain)
            label_count += int(certain.sum())
            tie_count += 0 if decision.head == "values" else int((~certain).sum())
            rows = dict.fromkeys(wrong[:, 0].tolist())
            problems += [f"another label than the reference on {batch.names[row]!r}" for row in rows]
        for report in compared:
            if report.layer not in layers or _rank(report) > _rank(layers[report.layer]):
                layers[report.layer] = report
    if diffs and smallest_bound >= _SAYS_NOTHING:
        problems.append(
            "the bound of the probabilities says nothing on any probe: the weights are too large for float32"
        )
    is_finite = bool(diffs) and np.isfinite(diffs).all()
    return RuntimeReport(
        runtime,
        tuple(layers.values()) or (_not_finite(next(iter(network.ends)), "every probe"),),
        max(diffs) if is_finite else None,
        label_count,
        tie_count,
        tuple(problems),
    )


def trace_drift(runtime: str, network: Network, batch: ProbeBatch, outputs: Outputs) -> list[DriftCurve]:
    """Follows the states of each recurrent layer along a long sequence.

    Args:
        runtime: Its name in the report.
        network: The reference.
        batch: One row or several.
        outputs: The runtime's outputs for it.

    Returns:
        One curve for each recurrent layer.
    """
    own = network.forward(batch.given)
    given = network.forward(batch.given, {name: values.astype(np.float64) for name, values in outputs.states.items()})
    curves = []
    for node in network.nodes:
        if not isinstance(node.layer, Recurrent):
            continue
        actual = outputs.states[node.name].astype(np.float64)
        time = actual.shape[1]
        steps = np.unique(np.geomspace(1, time, min(time, _CURVE_POINTS)).round().astype(int)) - 1
        drift = np.abs(node.layer.states(node.layer.in_order(own[node.inputs[0]])) - actual).max(axis=(0, 2))
        # The rounding of the layers below is not counted: the inputs follow exactly from the runtime's own states.
        x = given[node.inputs[0]]
        expected, bound = expect_steps(node.layer, x, np.zeros_like(x.values), actual)
        difference = np.abs(expected - actual)
        ratio = np.divide(difference, bound, out=np.where(difference == 0, 0.0, np.inf), where=bound > 0)
        flat = ratio.transpose(1, 0, 2).reshape(time, -1).argmax(axis=1)
        at = [values.transpose(1, 0, 2).reshape(time, -1)[np.arange(time), flat] for values in (difference, bound)]
        figures = (tuple(np.minimum(np.nan_to_num(v[steps], nan=1e300), 1e300).tolist()) for v in (drift, *at))
        curves.append(DriftCurve(runtime, node.name, tuple(steps.tolist()), *figures))
    return curves


def _form_problem(name: str, expected: Decisions, actual: npt.NDArray[np.float32] | None) -> str | None:
    if actual is None:
        return f"there is no output {name}"
    if actual.dtype != np.float32:
        return f"{name} should be float32, not {actual.dtype}"
    if actual.shape != expected.values.shape:
        return f"{name} should be of shape {expected.values.shape}, not {actual.shape}"
    return None


def _compare_layers(network: Network, batch: ProbeBatch, actual: Outputs) -> tuple[list[LayerReport], float]:
    """Compares each layer, computed from the runtime's own states, with the rounding that its inputs may carry.

    Returns:
        The largest ratio of each layer and output, and the smallest bound of a probability; 0 if no output is one.
    """
    states = {name: values.astype(np.float64) for name, values in actual.states.items()}
    recurrent = network.recurrent_nodes
    if missing := recurrent.keys() - states.keys():
        raise ValueError(f"no states of {', '.join(sorted(missing))}")
    tensors = network.forward(batch.given, states)
    errors: dict[str, Array] = {each.name: np.zeros(tensors[each.name].values.shape) for each in network.inputs}
    reports = []
    for node in network.nodes:
        inputs, input_errors = [tensors[name] for name in node.inputs], [errors[name] for name in node.inputs]
        if isinstance(node.layer, Recurrent):
            reports.append(_compare_steps(node.name, node.layer, batch, inputs[0], input_errors[0], states[node.name]))
            errors[node.name] = np.zeros_like(tensors[node.name].values)  # from here on, the runtime's own states
        else:
            errors[node.name] = output_error(node.layer, inputs, input_errors, tensors[node.name])
    for name, node in network.ends.items():
        reports.append(_largest_ratio(name, batch, tensors[node.name].values, errors[node.name], actual.answers[name]))
    probabilities = [node for node in network.ends.values() if node.head_kind != "values"]
    smallest = [float(errors[node.name].max(axis=-1).min()) for node in probabilities]
    return reports, min(smallest, default=0.0)


def _compare_steps(
    name: str, layer: RecurrentLayer, batch: ProbeBatch, x: Tensor, x_error: Array, states: Array
) -> LayerReport:
    return _largest_ratio(name, batch, *expect_steps(layer, x, x_error, states), states)


def _largest_ratio(
    layer: str, batch: ProbeBatch, expected: Array, bound: Array, actual: npt.NDArray[np.floating]
) -> LayerReport:
    difference = np.abs(expected - actual)
    # A bound of 0 allows nothing but equality.
    ratio = np.divide(difference, bound, out=np.where(difference == 0, 0.0, np.inf), where=bound > 0)
    bad = ~np.isfinite(difference)
    where = np.unravel_index(int(np.argmax(bad) if bad.any() else np.argmax(ratio)), ratio.shape)
    row, unit = int(where[0]), int(where[-1])
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
        float(bound[where]),
    )


def _not_finite(layer: str, probe: str, step: int | None = None, unit: int = 0) -> LayerReport:
    return LayerReport(layer, None, probe, step, unit, None, None)


def _rank(report: LayerReport) -> float:
    return np.inf if report.ratio is None else report.ratio
