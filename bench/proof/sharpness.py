"""How sharp the proof is: random networks exported for real, the right files and wrong ones, and what each check says.

    python -m bench.proof.sharpness [--networks 500] [--seed 0] [--save]

Every network is a Keras model of 1 to 4 recurrent layers, converted by tf2onnx and rewritten as an export does it. The
right files have to pass; each mutant has to fail in the layer, and where it is bound to a step, at the step, that was
changed. A mutant that the float64 reference itself says to move no state by more than rounding can is counted apart.
Beside it: what tolerances in common use say of the same files. Exit code 1 if the proof is wrong anywhere.
"""

from __future__ import annotations

from bench import RESULTS
from bench.machine import restrict, today, versions

restrict(threads=1)  # before any framework: hundreds of small products

# ruff: noqa: E402
import argparse
import dataclasses
import json
import sys
import time as clock
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import onnx

from bench.proof.mutants import MUTANTS, build_mutant, effect
from bench.proof.networks import Case, draw_case
from rnnx.export.convert import convert
from rnnx.onnx_file.visible_states import with_states
from rnnx.proof.compare import Outputs, compare_runtime
from rnnx.proof.report import LayerReport, RuntimeReport
from rnnx.reference import Array, SimpleRNN
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.replace import Rewritten, replace_loops
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan_form import write_scan
from rnnx.runtime.session import Session

# The largest of the right exports is far below; a mutant this near to the bound may be hidden by real rounding.
_HIDDEN_BELOW = 1.1

# The absolute and the relative part, as numpy.allclose takes them.
TOLERANCES: dict[str, tuple[float, float]] = {
    "absolute 1e-3": (1e-3, 0.0),
    "absolute 1e-4": (1e-4, 0.0),
    "relative 1e-2": (0.0, 1e-2),
}


def run(form: Rewritten, case: Case) -> Outputs:
    """Runs a file with its states."""
    session = Session(with_states(form.model.SerializeToString(), form.recipe()), device="cpu")
    outputs = dict(zip(session.output_names, session.run(case.batch.given), strict=True))
    return Outputs(
        {"probs": outputs["probs"]}, {name: outputs[v].transpose(1, 0, 2) for name, v in form.states.items()}
    )


def prove(name: str, outputs: Outputs, case: Case) -> RuntimeReport:
    """What the proof says."""
    return compare_runtime(name, case.network, [case.batch], [outputs], [{"probs": case.decisions}])


def failing(report: RuntimeReport) -> Iterator[LayerReport]:
    """The recurrent layers that failed."""
    return (layer for layer in report.layers if not layer.passed and layer.layer not in ("probs", "end to end"))


@dataclass
class Count:
    """How often what was said of one kind of mutant."""

    made: int = 0
    caught: int = 0
    missed: int = 0
    misplaced: int = 0
    apart: int = 0
    let_pass: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0))


def passes(expected: Array, actual: npt.NDArray[np.float32], tolerance: tuple[float, float]) -> bool:
    """What a comparison of the outputs alone would say."""
    absolute, relative = tolerance
    return bool(np.allclose(actual, expected, rtol=relative, atol=absolute))


def count_mutants(case: Case, converted: onnx.ModelProto, counts: dict[str, Count], say: Callable[[str], None]) -> None:
    """Makes every mutant of a case and asks the proof."""
    layer = case.network.recurrent_nodes[case.layer]
    assert isinstance(layer, SimpleRNN)  # noqa: S101  # the mutants are of no other
    node = next(node for node in case.network.nodes if node.name == case.layer)
    x = layer.in_order(case.network.forward(case.batch.given)[node.inputs[0]])
    for mutant in MUTANTS:
        if not mutant.needs(layer, x, case):
            continue
        outputs = run(build_mutant(converted, case, mutant), case)
        report = prove(mutant.name, outputs, case)
        size, where = effect(case, mutant, outputs)
        count = counts[mutant.name]
        failed = list(failing(report))
        if not failed and size <= _HIDDEN_BELOW:
            count.apart += 1
            continue
        count.made += 1
        for tolerance, values in TOLERANCES.items():
            count.let_pass[tolerance] += passes(case.decisions.values, outputs.answers["probs"], values)
        if not failed:
            count.missed += 1
            say(f"missed: {mutant.name} in {case.layer}, effect {size:.3g}")
        elif failed[0].layer != case.layer or not _is_place(failed[0], case, where):
            count.misplaced += 1
            say(f"misplaced: {mutant.name} in {case.layer}: {failed}")
        else:
            count.caught += 1


def _is_place(found: LayerReport, case: Case, where: set[tuple[int, int]]) -> bool:
    return found.step is not None and (case.batch.names.index(found.probe), found.step) in where


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", action="store_true", help="write bench/results/proof.{md,json}")
    options = parser.parse_args()
    started = clock.monotonic()
    counts = {mutant.name: Count() for mutant in MUTANTS}
    ratios: dict[str, list[float]] = {"model.onnx": [], "model.batch.onnx": []}
    whole: list[float] = []
    refused_right = dict.fromkeys(TOLERANCES, 0)
    problems: list[str] = []
    for i in range(options.networks):
        keras.backend.clear_session()
        case = draw_case(np.random.default_rng([options.seed, i]))

        def say(problem: str, number: int = i) -> None:
            problems.append(f"network {number}: {problem}")
            print(problems[-1], file=sys.stderr, flush=True)

        converted = remove_negative_ids(convert(case.model, case.network))
        for name, write in (("model.onnx", write_rnn), ("model.batch.onnx", write_scan)):
            outputs = run(replace_loops(converted, write), case)
            report = prove(name, outputs, case)
            ratios[name].append(report.worst.ratio or 1e300)
            whole.append(report.layers[-1].ratio or 0.0)
            if not report.passed:
                say(f"refused: {name}: {report.worst}, {report.problems}")
            if name == "model.onnx":
                for tolerance, values in TOLERANCES.items():
                    refused_right[tolerance] += not passes(case.decisions.values, outputs.answers["probs"], values)
        count_mutants(case, converted, counts, say)
        if i % 25 == 24:
            print(f"{i + 1} networks, {clock.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    text = _table(options.networks, options.seed, counts, ratios, whole, refused_right)
    print(text)
    if options.save:
        record = {
            "date": today(),
            "versions": versions(("onnxruntime", "tf2onnx", "keras", "tensorflow", "numpy")),
            "networks": options.networks,
            "seed": options.seed,
            "largest_ratio": {name: max(values) for name, values in ratios.items()},
            "largest_ratio_end_to_end": max(whole),
            "mutants": {name: dataclasses.asdict(count) for name, count in counts.items()},
            "right_refused": refused_right,
            "problems": problems,
        }
        (RESULTS / "proof.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "proof.md").write_text(text + "\n", encoding="utf-8")
    return 1 if problems else 0


def _table(
    networks: int,
    seed: int,
    counts: dict[str, Count],
    ratios: dict[str, list[float]],
    whole: list[float],
    refused: dict[str, int],
) -> str:
    head = " | ".join(f"let pass by {name}" for name in TOLERANCES)
    rows = []
    for name, count in counts.items():
        shares = " | ".join(f"{count.let_pass[t] / max(count.made, 1):.0%}" for t in TOLERANCES)
        rows.append(
            f"| {name} | {count.made} | {count.caught} | {count.missed + count.misplaced} | {count.apart} | {shares} |"
        )
    total = sum(count.made for count in counts.values())
    passed = {t: sum(count.let_pass[t] for count in counts.values()) for t in TOLERANCES}
    caught = sum(count.caught for count in counts.values())
    rows.append(
        f"| all | {total} | {caught} | {total - caught} | {sum(c.apart for c in counts.values())} | "
        + " | ".join(f"{passed[t] / max(total, 1):.0%}" for t in TOLERANCES)
        + " |"
    )
    largest = ", ".join(f"{name} {max(values):.3f}" for name, values in ratios.items())
    wrongly = ", ".join(f"{name}: {count}" for name, count in refused.items())
    return (
        f"`python -m bench.proof.sharpness --networks {networks} --seed {seed}`: {networks} random networks.\n\n"
        f"Right exports, the largest ratio of difference to bound: {largest}; end to end {max(whole):.3f}. "
        f"Of the {networks} right `model.onnx`, tolerances on the output would have refused: {wrongly}.\n\n"
        f"| wrong in | files | caught in their place | missed or misplaced | within rounding | {head} |\n"
        f"|---|---:|---:|---:|---:|{'---:|' * len(TOLERANCES)}\n" + "\n".join(rows)
    )


if __name__ == "__main__":
    sys.exit(main())
