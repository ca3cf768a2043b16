"""Measures the accuracy on texts in Chinese and German: `rnnx train` with its defaults, and simpler peers.

rnnx is run as a user runs it, by its commands, with each rule of the tokenizer that can read the texts. The peers are
logistic regressions on words or characters, and fastText if it is installed (`pip install fasttext-numpy2-wheel`).

    python -m bench.training.languages --data-dir FOLDER [--sets waimai ...] [--seed 0] [--runs FOLDER] [--save]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from bench import RESULTS, machine
from bench.training.text_sets import SETS, Rows, TextSet, write_csv

_RULES = ("unicode-14", "bytes")
_MOST_FEATURES = 60_000


def measure_rnnx(name: str, rows: TextSet, rule: str, seed: int, runs: Path) -> float:
    """Trains, exports and evaluates by the commands of rnnx; a bundle that is there already is not trained again.

    Returns:
        The accuracy on the test part.
    """
    folder = runs / f"{name.replace(', ', '-').replace(' ', '-')}-{rule}-{seed}"
    bundle = folder / "bundle"
    folder.mkdir(parents=True, exist_ok=True)
    for part, examples in (("train", rows.train), ("test", rows.test)):
        write_csv(folder / f"{part}.csv", examples)
    if not bundle.exists():
        options = ["--tokenizer", rule, "--seed", str(seed), "--out", str(folder / "run"), "--fresh"]
        run_rnnx("train", str(folder / "train.csv"), *options)
        run_rnnx("export", str(folder / "run"), "--out", str(bundle))
    return float(json.loads(run_rnnx("evaluate", str(bundle), str(folder / "test.csv"), "--json"))["accuracy"])


def run_rnnx(*arguments: str) -> str:
    """Runs a command of rnnx and returns what it prints.

    Raises:
        SystemExit: If it fails; the message holds its stderr.
    """
    command = [sys.executable, "-m", "rnnx", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def measure_logistic(rows: TextSet, analyzer: str, lengths: tuple[int, int]) -> float:
    """Fits a logistic regression on tf-idf.

    Args:
        rows: The texts.
        analyzer: `word`, `char` or `char_wb` (characters within words).
        lengths: The fewest and the most words or characters of a feature.

    Returns:
        The accuracy on the test part.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    features = TfidfVectorizer(analyzer=analyzer, ngram_range=lengths, max_features=_MOST_FEATURES, sublinear_tf=True)
    model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000))
    model.fit([text for _, text in rows.train], [label for label, _ in rows.train])
    return float(model.score([text for _, text in rows.test], [label for label, _ in rows.test]))


def measure_words(rows: TextSet) -> float | None:
    """Fits a logistic regression on words and pairs of words; None if no spaces separate words."""
    return measure_logistic(rows, "word", (1, 2)) if rows.has_spaces else None


def measure_characters(rows: TextSet) -> float:
    """Fits a logistic regression on one to three characters, or on two to four within words."""
    return measure_logistic(rows, "char_wb", (2, 4)) if rows.has_spaces else measure_logistic(rows, "char", (1, 3))


def measure_fasttext(rows: TextSet) -> float | None:
    """Trains fastText on words, pairs of words, and characters.

    Returns:
        The accuracy on the test part; None if fastText is not installed.
    """
    if find_spec("fasttext") is None:
        return None
    import fasttext

    names = sorted({label for label, _ in rows.train})
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / part) for part in ("train", "test")]
        for path, examples in zip(paths, (rows.train, rows.test), strict=True):
            Path(path).write_text(_to_fasttext(examples, names), encoding="utf-8")
        model = fasttext.train_supervised(paths[0], epoch=25, wordNgrams=2, minn=1, maxn=4, thread=1, verbose=0)
        return float(model.test(paths[1])[1])


def _to_fasttext(rows: Rows, names: Sequence[str]) -> str:
    return "".join(f"__label__{names.index(label)} {' '.join(text.split())}\n" for label, text in rows)


_PEERS: dict[str, Callable[[TextSet], float | None]] = {
    "logistic regression on words": measure_words,
    "on characters": measure_characters,
    "fastText": measure_fasttext,
}


class Measured:
    """Figures that are kept in a file, so that an interrupted measurement goes on."""

    def __init__(self, path: Path) -> None:
        """Reads the file, if it is there."""
        self._path = path
        self._figures: dict[str, float | None] = json.loads(path.read_text("utf-8")) if path.exists() else {}

    def get(self, name: str, measure: Callable[[], float | None]) -> float | None:
        """Returns a figure, measured if it is not in the file."""
        if name not in self._figures:
            self._figures[name] = measure()
            self._path.write_text(json.dumps(self._figures, indent=1) + "\n", encoding="utf-8")
            print(f"{name}: {self._figures[name]}", file=sys.stderr)
        return self._figures[name]


def measure_set(name: str, rows: TextSet, seed: int, runs: Path) -> dict[str, float | None]:
    """Measures every system on a set."""
    measured = Measured(runs / "figures.json")
    figures: dict[str, float | None] = {"majority": rows.majority}
    for rule in _RULES:
        # To the rule bytes, a sentence without spaces is one word.
        figures[f"rnnx, {rule}"] = (
            measured.get(f"{name}: {rule}, seed {seed}", partial(measure_rnnx, name, rows, rule, seed, runs))
            if rule != "bytes" or rows.has_spaces
            else None
        )
    for peer, measure in _PEERS.items():
        figures[peer] = measured.get(f"{name}: {peer}", partial(measure, rows))
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
