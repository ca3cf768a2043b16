"""Measures ten public tasks: `rnnx train` with its defaults, and simpler peers on the same split.

The peers of texts are those of `bench.training.peers`, or of `bench.training.label_sets` for several labels per text;
those of sequences of numbers are a logistic regression and a random forest on the numbers in one row. A set that is not
in the folder is left out, with a line that says so. The test parts choose nothing.

    python -m bench.training.ten_tasks --data-dir FOLDER [--tasks banking77 ...] [--seed 0] [--runs FOLDER] [--save]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TypeAlias

from bench import RESULTS, machine
from bench.training import label_sets
from bench.training.label_sets import LABEL_SET_PEERS, LabelSetTexts, read_cedr
from bench.training.peers import (
    PEERS,
    Measured,
    Scores,
    measure_rnnx,
    score,
    train_and_evaluate,
)
from bench.training.series_sets import SeriesSet, read_series, write_npz
from bench.training.text_sets import SETS, TextSet, read_banking, read_emotions

AnySet: TypeAlias = TextSet | LabelSetTexts | SeriesSet

# Small tasks first, so that an interrupted measurement has most of them.
TASKS: dict[str, Callable[[Path], AnySet]] = {
    "BasicMotions": partial(read_series, name="BasicMotions"),
    "JapaneseVowels": partial(read_series, name="JapaneseVowels"),
    "banking77": read_banking,
    "emotion_nlp": read_emotions,
    "CEDR": read_cedr,
    **{name: SETS[name] for name in SETS if name.startswith("GermEval")},
    **{name: SETS[name] for name in SETS if not name.startswith("GermEval")},
}
_CLOSE, _FAR = 0.005, 0.02


def measure_series(folder: Path, series: SeriesSet, *options: str) -> Scores:
    """Trains on sequences of numbers, exports and evaluates by the commands of rnnx."""
    folder.mkdir(parents=True, exist_ok=True)
    write_npz(folder / "series.npz", series)
    return train_and_evaluate(folder, folder / "series.npz", folder / "series.npz", *options)


def measure_flat(series: SeriesSet, make_model: Callable[[], object]) -> Scores:
    """Fits a classifier of scikit-learn on the numbers of each sequence in one row, standardised, zeros at the end."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    began = time.process_time()
    train, test = (part.reshape(len(part), -1) for part in series.padded())
    model = make_pipeline(StandardScaler(), make_model()).fit(train, series.train_labels)
    return score(series.test_labels, list(model.predict(test)), time.process_time() - began)


def measure_logistic(series: SeriesSet) -> Scores:
    """Fits a logistic regression."""
    from sklearn.linear_model import LogisticRegression

    return measure_flat(series, lambda: LogisticRegression(max_iter=5000))


def measure_forest(series: SeriesSet) -> Scores:
    """Fits a random forest of 500 trees."""
    from sklearn.ensemble import RandomForestClassifier

    return measure_flat(series, lambda: RandomForestClassifier(500, random_state=0))


SERIES_PEERS: dict[str, Callable[[SeriesSet], Scores | None]] = {
    "logistic regression": measure_logistic,
    "random forest": measure_forest,
}


def measure_task(name: str, rows: AnySet, seed: int, runs: Path) -> dict[str, Scores | None]:
    """Measures rnnx and every peer on a task."""
    measured = Measured(runs / "ten_tasks.json")
    folder = runs / f"{name.replace(', ', '-').replace(' ', '-')}-{seed}"
    options = ("--seed", str(seed))
    if isinstance(rows, SeriesSet):
        own = partial(measure_series, folder, rows, *options)
        peers = {peer: partial(measure, rows) for peer, measure in SERIES_PEERS.items()}
    elif isinstance(rows, LabelSetTexts):
        own = partial(label_sets.measure_rnnx, folder, rows, *options)
        peers = {peer: partial(measure, rows) for peer, measure in LABEL_SET_PEERS.items()}
    else:
        own = partial(measure_rnnx, folder, rows, *options)
        peers = {peer: partial(measure, rows) for peer, measure in PEERS.items()}
    scores = {peer: measured.get_scores(f"{name}: {peer}", measure) for peer, measure in peers.items()}
    return {"rnnx": measured.get_scores(f"{name}: rnnx, seed {seed}", own), **scores}


def to_markdown(figures: Mapping[str, tuple[float, Mapping[str, Scores | None]]]) -> str:
    """Writes a row for each task: rnnx, each peer, and how far rnnx is from the best peer, in points."""
    lines = [
        "| task | majority | rnnx | best of the others | difference in points | all others |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for name, (majority, scores) in figures.items():
        own, others = scores["rnnx"], {peer: found for peer, found in scores.items() if found and peer != "rnnx"}
        if own is None:
            continue
        best = max(others.values(), key=lambda found: found.accuracy)
        told = "; ".join(f"{peer}: {_cell(found)}" for peer, found in others.items())
        difference = 100 * (own.accuracy - best.accuracy)
        lines.append(f"| {name} | {majority:.4f} | {_cell(own)} | {best.accuracy:.4f} | {difference:+.2f} | {told} |")
    return "\n".join(lines)


def count_level(differences: Iterable[float]) -> tuple[int, int]:
    """Counts the tasks on which rnnx is level with the best peer or better, and those on which it is far below.

    Args:
        differences: The accuracy of rnnx minus that of the best peer, in -1..1, of each task.
    """
    differences = list(differences)
    return sum(d >= -_CLOSE for d in differences), sum(d < -_FAR for d in differences)


def _cell(scores: Scores) -> str:
    return f"{scores.accuracy:.4f} / {scores.macro_f1:.4f}, {scores.cpu_s:.0f} s"


def _read(name: str, folder: Path) -> AnySet | None:
    try:
        return TASKS[name](folder)
    except FileNotFoundError as error:
        print(f"{name}: left out, {error.filename} is not there", file=sys.stderr)
        return None


def main() -> None:
    """Measures every task, prints the table and, with `--save`, writes it."""
    arguments = _parse()
    machine.restrict(1)
    figures = {}
    with nullcontext(arguments.runs) if arguments.runs else tempfile.TemporaryDirectory() as runs:
        Path(runs).mkdir(parents=True, exist_ok=True)
        for name in arguments.tasks:
            if (rows := _read(name, arguments.data_dir)) is not None:
                figures[name] = (rows.majority, measure_task(name, rows, arguments.seed, Path(runs)))
    versions = machine.versions(("rnnx", "tensorflow", "keras", "scikit-learn", "fasttext-numpy2-wheel"))
    differences = [
        scores["rnnx"].accuracy - max(found.accuracy for peer, found in scores.items() if found and peer != "rnnx")
        for _, scores in figures.values()
        if scores["rnnx"]
    ]
    level, far = count_level(differences)
    report = "\n".join(
        [
            f"`python -m bench.training.ten_tasks --data-dir FOLDER --seed {arguments.seed}`, {machine.today()}, "
            "two shared cores, one thread.",
            "Accuracy / macro F1 on the test parts, and the processor time of training and testing.",
            "CEDR has several labels per text: micro F1 / macro F1, and in the column of the majority the micro F1 of "
            "giving every text the most frequent label.",
            *(f"{name} was not measured." for name in TASKS if name not in figures),
            ", ".join(f"{tool} {version}" for tool, version in versions.items()) + ".",
            f"Within half a point of the best of the others, or better: {level} of {len(differences)}. "
            f"More than two points below: {far}.",
            "",
            to_markdown(figures),
        ]
    )
    print(report)
    if arguments.save:
        (RESULTS / "ten_tasks.md").write_text(report + "\n", encoding="utf-8")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures ten public tasks with the defaults.")
    parser.add_argument("--data-dir", type=Path, required=True, help="the folder of the public sets")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), help="by default all")
    parser.add_argument("--seed", type=int, default=0, help="the seed of each training")
    parser.add_argument("--runs", type=Path, help="keep bundles and figures here, and use those that are here")
    parser.add_argument("--save", action="store_true", help="write bench/results/ten_tasks.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
