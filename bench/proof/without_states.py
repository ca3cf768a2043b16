"""Proves networks with layers without states, and with layers of every family: right files, and wrong ones."""

from __future__ import annotations

from bench.proof import operators, weights
from bench.proof.findings import TOLERANCES, Findings
from bench.proof.networks import Case, Rng
from bench.proof.running import HIDDEN_BELOW, passes, prove, run
from rnnx.errors import ModelError
from rnnx.export.convert import convert
from rnnx.export.find_cuts import with_cuts
from rnnx.export.forms import build_forms
from rnnx.proof.compare import Outputs
from rnnx.proof.report import RuntimeReport
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.replace import Rewritten, replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn


def prove_deep(case: Case, number: int, rng: Rng, findings: Findings) -> None:
    """Proves a right file of a network with layers without states, and a file in which one of their weights is off."""
    converted = remove_negative_ids(convert(case.model, case.network))
    form = with_cuts(replace_recurrences(converted, write_rnn), case.network)
    report = prove("deep", run(form, case), case)
    findings.ratios["model.onnx, layers without states"].append(report.worst.ratio or 1e300)
    if not report.passed:
        findings.add_problem(number, f"refused: deep: {report.worst}, {report.problems}")
    _prove_wrong_weight(case, form, number, rng, findings, weights.NAME)


def prove_layered(case: Case, number: int, rng: Rng, findings: Findings) -> None:
    """Proves the right files of a network with layers of every family, and wrong ones.

    In a wrong one, a weight is off, an operator is another one, or a number that finds ids is another one.
    """
    forms = build_forms(case.model, case.network)
    for name, form in forms.items():
        report = prove(name, run(form, case), case)
        findings.ratios[f"{name}, layers of every family"].append(report.worst.ratio or 1e300)
        if not report.passed:
            findings.add_problem(number, f"refused: layered {name}: {report.worst}, {report.problems}")
    form = forms["model.onnx"]
    _prove_wrong_weight(case, form, number, rng, findings, weights.OF_ANY_FAMILY)
    right = run(form, case)
    for name, wrong in (
        (operators.OPERATOR, operators.build_other_operator(form, rng)),
        (operators.NUMBER, operators.build_other_number(form, case, rng)),
    ):
        if wrong is not None:
            _prove_other(case, wrong, right, number, findings, name)


def _prove_wrong_weight(case: Case, form: Rewritten, number: int, rng: Rng, findings: Findings, name: str) -> None:
    """Proves a file in which one number of a weight is off, and counts what the proof says of it."""
    place = weights.draw_place(case, rng)
    outputs = run(weights.build_wrong_weight(form, case, place), case)
    report = prove(name, outputs, case)
    size = weights.effect_of_weight(case, place, outputs)
    is_end = place.node.name in {node.name for node in case.network.ends.values()}
    what = f"{name}: {place.weight} of {place.node.name}, effect {size:.3g}"
    _count(findings, number, case, outputs, report, (name, what, "probs" if is_end else place.node.name, size))


def _prove_other(case: Case, wrong: Rewritten, right: Outputs, number: int, findings: Findings, name: str) -> None:
    """Proves a file with another operator or number, and counts what the proof says of it."""
    try:
        outputs = run(wrong, case)
    except ModelError:
        return  # onnxruntime does not take the file: that is no matter of the proof
    place = operators.find_place(case, right, outputs)
    if place is None:  # the other number is not in the input, or the other operator gives the same
        findings.counts[name].apart += 1
        return
    layer, size = place
    report = prove(name, outputs, case)
    # The difference of both files has the rounding of the right one in it.
    what = f"{name} in {layer}, effect {size:.3g}"
    if report.worst.layer in operators.layers_of_place(case, right, layer):
        layer = report.worst.layer
    _count(findings, number, case, outputs, report, (name, what, layer, size - 1))


def _count(
    findings: Findings,
    number: int,
    case: Case,
    outputs: Outputs,
    report: RuntimeReport,
    mutant: tuple[str, str, str, float],
) -> None:
    """Counts what the proof says of a mutant: its name in the table, what it is, the layer, and its effect there."""
    name, what, layer, size = mutant
    count = findings.counts[name]
    if report.worst.passed and size <= HIDDEN_BELOW:
        count.apart += 1
        return
    count.made += 1
    for tolerance, limits in TOLERANCES.items():
        count.let_pass[tolerance] += passes(case.decisions.values, outputs.answers["probs"], limits)
    if report.worst.passed:
        count.missed += 1
        findings.add_problem(number, f"missed: {what}")
    elif report.worst.layer != layer:
        count.misplaced += 1
        findings.add_problem(number, f"misplaced: {what}: {report.worst}")
    else:
        count.caught += 1
