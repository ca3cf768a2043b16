"""Measures the accuracy on texts in Chinese and German: `rnnx train` with its defaults, and simpler peers.

rnnx is run as a user runs it, by its commands, with each rule of the tokenizer that can read the texts. The peers are
logistic regressions on words or characters, and fastText if it is installed (`pip install fasttext-numpy2-wheel`).

    python -m bench.training.languages --data-dir FOLDER [--sets waimai ...] [--seed 0] [--runs FOLDER] [--save]
"""

from __future__ import annotations

import argparse
import tempfile
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from bench import RESULTS, machine
from bench.training.peers import PEERS, Measured, measure_rnnx
from bench.training.text_sets import SETS, TextSet

_RULES = ("unicode-14", "bytes")


def measure_set(name: str, rows: TextSet, seed: int, runs: Path) -> dict[str, float | None]:
    """Measures every system on a set."""
    measured = Measured(runs / "figures.json")
    figures: dict[str, float | None] = {"majority": rows.majority}
    for rule in _RULES:
        # To the rule bytes, a sentence without spaces is one word.
        folder = runs / f"{name.replace(', ', '-').replace(' ', '-')}-{rule}-{seed}"
        measure_it = partial(measure_rnnx, folder, rows, "--tokenizer", rule, "--seed", str(seed))
        is_possible = rule != "bytes" or rows.has_spaces
        scores = measured.get_scores(f"{name}: {rule}, seed {seed}", measure_it) if is_possible else None
        figures[f"rnnx, {rule}"] = scores and scores.accuracy
    for peer, measure in PEERS.items():
        scores = measured.get_scores(f"{name}: {peer}", partial(measure, rows))
        figures[peer] = scores and scores.accuracy
    return figures


def to_markdown(figures: dict[str, dict[str, float | None]]) -> str:
    """Writes a table with a row for each set and a column for each system."""
    systems = list(next(iter(figures.values())))
    lines = [f"| set | {' | '.join(systems)} |", "|---|" + "---:|" * len(systems)]
    for name, row in figures.items():
        cells = ["-" if value is None else f"{value:.4f}" for value in row.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Measures every set, prints the table and, with `--save`, writes it."""
    arguments = _parse()
    machine.restrict(1)
    with nullcontext(arguments.runs) if arguments.runs else tempfile.TemporaryDirectory() as runs:
        figures = {
            name: measure_set(name, SETS[name](arguments.data_dir), arguments.seed, Path(runs))
            for name in arguments.sets
        }
    command = f"python -m bench.training.languages --data-dir FOLDER --seed {arguments.seed}"
    versions = machine.versions(("rnnx", "tensorflow", "keras", "scikit-learn", "fasttext-numpy2-wheel"))
    tools = ", ".join(f"{tool} {version}" for tool, version in versions.items())
    report = "\n".join(
        [
            f"`{command}`, {machine.today()}. Accuracy on the test parts; `-` was not measured.",
            f"{tools}.",
            "",
            to_markdown(figures),
        ]
    )
    print(report)
    if arguments.save:
        (RESULTS / "languages.md").write_text(report + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures the accuracy on texts in Chinese and German.")
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder of the public sets")
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS), help="which sets; by default all")
    parser.add_argument("--seed", type=int, default=0, help="the seed of each training")
    parser.add_argument("--runs", type=Path, help="keep bundles and figures here, and use those that are here")
    parser.add_argument("--save", action="store_true", help="write bench/results/languages.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
