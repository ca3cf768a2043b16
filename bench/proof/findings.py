"""What the proof said of right and wrong files: the counts of `sharpness`, and its table."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import RESULTS
from bench.machine import today, versions
from bench.proof import operators, weights
from bench.proof.mutants import MUTANTS

# The absolute and the relative tolerance, as numpy.allclose takes them.
TOLERANCES: dict[str, tuple[float, float]] = {
    "absolute 1e-3": (1e-3, 0.0),
    "absolute 1e-4": (1e-4, 0.0),
    "relative 1e-2": (0.0, 1e-2),
}


_NAMES = (
    *(mutant.name for mutant in MUTANTS),
    weights.NAME,
    weights.OF_ANY_FAMILY,
    operators.OPERATOR,
    operators.NUMBER,
)


@dataclass
class Count:
    """What the proof said of the mutants of one kind, and how many of them each tolerance would have let pass.

    Attributes:
        made: The mutants that the proof has to refuse.
        caught: Those that it refused in the right layer and step.
        missed: Those that it passed.
        misplaced: Those that it refused in another layer or step.
        apart: Further mutants that passed, because they move no state by more than rounding can.
        let_pass: The mutants that a tolerance on the output lets pass, by the tolerance's name.
    """

    made: int = 0
    caught: int = 0
    missed: int = 0
    misplaced: int = 0
    apart: int = 0
    let_pass: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0))


@dataclass
class Findings:
    """What the proof said of all files.

    Attributes:
        networks: The number of random networks.
        seed: The seed that they are drawn from.
        counts: The counts of the mutants, by kind.
        ratios: The largest ratio of difference to bound of each right file, by the form's name.
        whole: The ratio of each right file, end to end.
        refused_right: The right files that a tolerance on the output refuses, by the tolerance's name.
        keras_ratios: The largest ratio of Keras's compiled graph, one for each network.
        eager_ratios: The difference between the compiled and the eager states, relative to the bound of a step, one for
            each network.
        equal_keras: The networks whose compiled and eager states are equal bit by bit.
        problems: What the proof says wrongly.
    """

    networks: int
    seed: int
    counts: dict[str, Count] = field(default_factory=lambda: {name: Count() for name in _NAMES})
    ratios: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    whole: list[float] = field(default_factory=list)
    refused_right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOLERANCES, 0))
    keras_ratios: list[float] = field(default_factory=list)
    eager_ratios: list[float] = field(default_factory=list)
    equal_keras: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """The figures so far, in one line."""
        counts = self.counts.values()
        made, caught = sum(count.made for count in counts), sum(count.caught for count in counts)
        return f"{caught} of {made} caught, {self.equal_keras} equal in Keras, {len(self.problems)} problems"

    def add_problem(self, number: int, problem: str) -> None:
        """Records what the proof says wrongly of a file of a network, and prints it to stderr."""
        self.problems.append(f"network {number}: {problem}")
        print(self.problems[-1], file=sys.stderr, flush=True)


def save(findings: Findings, markdown: str) -> None:
    """Writes the findings as JSON and as Markdown."""
    record = {
        "date": today(),
        "versions": versions(("onnxruntime", "tf2onnx", "keras", "tensorflow", "numpy")),
        "networks": findings.networks,
        "seed": findings.seed,
        "largest_ratio": {name: max(ratios) for name, ratios in findings.ratios.items()},
        "largest_ratio_end_to_end": max(findings.whole),
        "mutants": {name: dataclasses.asdict(count) for name, count in findings.counts.items()},
        "right_refused": findings.refused_right,
        "keras_largest_ratio": max(findings.keras_ratios),
        "keras_compiled_and_eager": {"equal": findings.equal_keras, "largest_ratio": max(findings.eager_ratios)},
        "problems": findings.problems,
    }
    (RESULTS / "proof.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "proof.md").write_text(markdown + "\n", encoding="utf-8")


def to_markdown(findings: Findings) -> str:
    """Writes what was said of the right files as text, and of the mutants as a table."""
    heading = " | ".join(f"let pass by {tolerance}" for tolerance in TOLERANCES)
    rows = [_row(name, [count]) for name, count in findings.counts.items()]
    rows.append(_row("all", list(findings.counts.values())))
    largest = ", ".join(f"{name} {max(ratios):.3f}" for name, ratios in findings.ratios.items())
    refused = ", ".join(f"{tolerance}: {count}" for tolerance, count in findings.refused_right.items())
    command = f"python -m bench.proof.sharpness --networks {findings.networks} --seed {findings.seed}"
    return (
        f"`{command}`: {findings.networks} random networks.\n\n"
        f"The largest ratio of difference to bound among the right files: {largest}; end to end "
        f"{max(findings.whole):.3f}. Of the {findings.networks} right `model.onnx`, tolerances on the output would "
        f"have refused: {refused}.\n\n"
        f"Keras's compiled graph: {max(findings.keras_ratios):.3f}. Its states are equal to those of the cells called "
        f"step by step, bit by bit, in {findings.equal_keras} of {findings.networks} networks; the largest difference "
        f"is {max(findings.eager_ratios):.3f} times the bound of a step.\n\n"
        f"| mutation | files | caught in the right place | missed or misplaced | within rounding | {heading} |\n"
        f"|---|---:|---:|---:|---:|{'---:|' * len(TOLERANCES)}\n" + "\n".join(rows)
    )


def _row(name: str, counts: Sequence[Count]) -> str:
    """Writes the sums of some counts as a row of the table."""
    made, caught = sum(count.made for count in counts), sum(count.caught for count in counts)
    wrong = sum(count.missed + count.misplaced for count in counts)
    let_pass = (sum(count.let_pass[tolerance] for count in counts) for tolerance in TOLERANCES)
    shares = " | ".join(f"{passed / max(made, 1):.0%}" for passed in let_pass)
    return f"| {name} | {made} | {caught} | {wrong} | {sum(count.apart for count in counts)} | {shares} |"
