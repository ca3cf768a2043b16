"""Measures how sharp the proof is, on right and on wrong exports of random networks.

    python -m bench.proof.sharpness [--networks 500] [--seed 0] [--save]

Every network is a Keras model of 1 to 4 recurrent layers, converted by tf2onnx and rewritten as in an export. The right
files have to pass. Each wrong file (a mutant) has to fail in the layer that was changed and, if the change concerns a
single step, at that step. Next to each network, one with 1 to 8 layers without states after its recurrence is drawn.
One number of their weights is changed, and its layer has to fail. A third network has layers of every family between
recurrences. There a weight is changed, an operator is replaced by another one, or a number that finds ids. A mutant
that moves no state and no output of its layer by more than rounding can, as the float64 reference says, is counted
apart. The table also shows how many mutants the tolerances in common use would let pass.
Keras's own states, which an export takes from one compiled graph, are
compared with those of its cells called step by step. The exit code is 1 if the proof is wrong about any file, or if
Keras's states differ by more than rounding.
"""

from __future__ import annotations

from bench.machine import restrict

restrict(threads=1)  # before any framework is imported: threads only slow the many small products down

# ruff: noqa: E402
import argparse
import sys
import time as clock
from collections.abc import Iterator

import keras
import numpy as np
import onnx

from bench.proof.findings import TOLERANCES, Findings, save, to_markdown
from bench.proof.keras_graph import prove_keras
from bench.proof.layered import draw_layered_case
from bench.proof.mutants import MUTANTS, build_mutant, effect
from bench.proof.networks import Case, draw_case, draw_deep_case
from bench.proof.running import HIDDEN_BELOW, passes, prove, run
from bench.proof.without_states import prove_deep, prove_layered
from rnnx.export.convert import convert
from rnnx.proof.report import LayerReport, RuntimeReport
from rnnx.reference import SimpleRNN
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.replace import replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan

FORMS = {"model.onnx": write_rnn, "model.batch.onnx": write_scan}


def failing_layers(report: RuntimeReport) -> Iterator[LayerReport]:
    """Yields the reports of the recurrent layers that failed."""
    return (layer for layer in report.layers if not layer.passed and layer.layer not in ("probs", "end to end"))


def prove_right_files(case: Case, number: int, converted: onnx.ModelProto, findings: Findings) -> None:
    """Proves both forms of a network; each of them has to pass."""
    for name, write in FORMS.items():
        outputs = run(replace_recurrences(converted, write), case)
        report = prove(name, outputs, case)
        findings.ratios[name].append(report.worst.ratio or 1e300)
        findings.whole.append(report.layers[-1].ratio or 0.0)
        if not report.passed:
            findings.add_problem(number, f"refused: {name}: {report.worst}, {report.problems}")
        if name == "model.onnx":
            for tolerance, limits in TOLERANCES.items():
                is_refused = not passes(case.decisions.values, outputs.answers["probs"], limits)
                findings.refused_right[tolerance] += is_refused


def prove_mutants(case: Case, number: int, converted: onnx.ModelProto, findings: Findings) -> None:
    """Makes every mutant of a network and counts what the proof says of it."""
    layer = case.network.recurrent_nodes[case.layer]
    assert isinstance(layer, SimpleRNN)  # noqa: S101  # mutants are made of this layer only
    node = next(node for node in case.network.nodes if node.name == case.layer)
    x = layer.in_order(case.network.forward(case.batch.given)[node.inputs[0]])
    for mutant in MUTANTS:
        if not mutant.needs(layer, x, case):
            continue
        outputs = run(build_mutant(converted, case, mutant), case)
        report = prove(mutant.name, outputs, case)
        size, places = effect(case, mutant, outputs)
        count = findings.counts[mutant.name]
        failed = list(failing_layers(report))
        if not failed and size <= HIDDEN_BELOW:
            count.apart += 1
            continue
        count.made += 1
        for tolerance, limits in TOLERANCES.items():
            count.let_pass[tolerance] += passes(case.decisions.values, outputs.answers["probs"], limits)
        if not failed:
            count.missed += 1
            findings.add_problem(number, f"missed: {mutant.name} in {case.layer}, effect {size:.3g}")
        elif failed[0].layer != case.layer or not _is_place(failed[0], case, places):
            count.misplaced += 1
            findings.add_problem(number, f"misplaced: {mutant.name} in {case.layer}: {failed}")
        else:
            count.caught += 1


def _is_place(found: LayerReport, case: Case, places: set[tuple[int, int]]) -> bool:
    """Says whether a failure is in a row and at a step where the mutant has an effect."""
    return found.step is not None and (case.batch.names.index(found.probe), found.step) in places


def main() -> int:
    """Proves the files of all networks and prints the table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=500, help="the number of random networks")
    parser.add_argument("--seed", type=int, default=0, help="the seed that they are drawn from")
    parser.add_argument("--save", action="store_true", help="write bench/results/proof.{md,json}")
    options = parser.parse_args()
    started = clock.monotonic()
    findings = Findings(options.networks, options.seed)
    for number in range(options.networks):
        keras.backend.clear_session()
        case = draw_case(np.random.default_rng([options.seed, number]))
        prove_keras(case, number, findings)
        converted = remove_negative_ids(convert(case.model, case.network))
        prove_right_files(case, number, converted, findings)
        prove_mutants(case, number, converted, findings)
        rng = np.random.default_rng([options.seed, number, 1])
        prove_deep(draw_deep_case(rng), number, rng, findings)
        rng = np.random.default_rng([options.seed, number, 2])
        prove_layered(draw_layered_case(rng), number, rng, findings)
        if number % 25 == 24:
            seconds = clock.monotonic() - started
            print(f"{number + 1} networks, {seconds:.0f} s: {findings.summary}", file=sys.stderr, flush=True)
    markdown = to_markdown(findings)
    print(markdown)
    if options.save:
        save(findings, markdown)
    return 1 if findings.problems else 0


if __name__ == "__main__":
    sys.exit(main())
