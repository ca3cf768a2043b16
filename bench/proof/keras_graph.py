"""Proves the states that an export takes from Keras's compiled graph, and compares them with eager ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bench.proof.findings import Findings
from bench.proof.networks import Case
from rnnx.export.keras_states import KerasRunner, run_eagerly
from rnnx.proof.compare import compare_runtime
from rnnx.reference import Array
from rnnx.rounding.recurrent_bounds import expect_steps

States = Mapping[str, npt.NDArray[np.float32]]


def prove_keras(case: Case, number: int, findings: Findings) -> None:
    """Compares the states of the compiled graph with the reference, and with those of an eager call."""
    run_keras = KerasRunner(case.model, case.network)
    if run_keras.name.endswith("step by step"):
        findings.add_problem(number, "Keras's states do not come from a compiled graph")
    compiled = run_keras(case.batch)
    report = compare_runtime(run_keras.name, case.network, [case.batch], [compiled], [{"probs": case.decisions}])
    findings.keras_ratios.append(report.worst.ratio or 1e300)
    if not report.passed:
        findings.add_problem(number, f"refused: {run_keras.name}: {report.worst}, {report.problems}")
    _, eager = run_eagerly(case.model, case.network, list(case.network.named(case.batch.given).values()))
    findings.equal_keras += all(np.array_equal(compiled.states[name], states) for name, states in eager.items())
    ratio = largest_difference(case, compiled.states, eager)
    findings.eager_ratios.append(ratio)
    if ratio > 1:
        findings.add_problem(number, f"compiled and eager states differ by {ratio:.3g} times the bound of a step")


def largest_difference(case: Case, compiled: States, eager: States) -> float:
    """Returns how far the roundings of two computations are apart, relative to the bound of a step.

    The rounding of a step is the difference between a state and the reference's step from the same computation's state
    before it. So a difference at one step does not count again at the next, even if the weights expand differences.
    """
    expected, eager_expected = _expect(case, compiled), _expect(case, eager)
    ratios = []
    for name, (steps, bound) in expected.items():
        eager_steps, _ = eager_expected[name]
        difference = np.abs((compiled[name] - steps) - (eager[name] - eager_steps))
        # A bound of 0 allows only equality.
        ratio = np.divide(difference, bound, out=np.where(difference == 0, 0.0, 1e300), where=bound > 0)
        ratios.append(float(ratio.max()))
    return max(ratios)


def _expect(case: Case, states: States) -> dict[str, tuple[Array, Array]]:
    """Returns the reference's step from each of the given states, and its bound, by recurrent layer."""
    exact = {name: values.astype(np.float64) for name, values in states.items()}
    tensors = case.network.forward(case.batch.given, exact)
    inputs = {node.name: tensors[node.inputs[0]] for node in case.network.nodes if node.name in states}
    return {
        name: expect_steps(case.network.recurrent_nodes[name], x, np.zeros_like(x.values), exact[name])
        for name, x in inputs.items()
    }
