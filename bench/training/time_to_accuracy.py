"""Time to the article's best validation accuracy: the article's script in plain Keras, and rnnx's training.

The same reviews, ids, split and batch size for all: IMDB's training part, a fifth of it held out, 10,000 words, the
last 500 tokens, padded in front, 128 a batch. Each training is a fresh process, one after the other, in turns. The
seconds hold building, compiling, training and validation; imports and the encoding are left out on all sides.

    python -m bench.training.time_to_accuracy --data-dir FOLDER [--rounds 1] [--seeds 0 1 2] [--cores 2] [--save]
    python -m bench.training.time_to_accuracy --data-dir FOLDER --texts 2000 --target 0.6    # a try
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import RESULTS, machine
from rnnx.datasets import load_dataset
from rnnx.datasets.hold_out import hold_out_by_label
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from rnnx.train.recipes import RECIPES

ARTICLE_BEST = 0.835  # the best validation accuracy of the article's network, at its seventh epoch
_KERAS, _ARTICLE, _DEFAULT = "the article's script (Keras)", "rnnx, the article's network", "rnnx, its own network"


@dataclass(frozen=True)
class Training:
    """What one process did.

    Attributes:
        system: Which.
        seed: Of the start weights and the order.
        share: How much of an epoch lies between two validations.
        accuracy: Of each validation, in 0..1.
        ended_s: Seconds from the start to the end of each validation.
        training_s: Seconds of the training before each validation, without it.
    """

    system: str
    seed: int
    share: float
    accuracy: Sequence[float]
    ended_s: Sequence[float]
    training_s: Sequence[float]

    def first(self, target: float) -> int | None:
        """The validation that first reached the target; None if none did."""
        return next((i for i, accuracy in enumerate(self.accuracy) if accuracy >= target), None)

    def seconds(self, target: float) -> float:
        """To the end of that validation; infinite where none reached it."""
        first = self.first(target)
        return float("inf") if first is None else self.ended_s[first]

    @property
    def epoch_s(self) -> float:
        """Seconds of an epoch's training without validation, the first stretch (it compiles) left out."""
        return statistics.median(self.training_s[1:]) / self.share


def write_reviews(path: Path, data_dir: Path | None, count: int | None) -> tuple[int, int]:
    """Encodes IMDB's training part as the article does, and writes it for all.

    Returns:
        Training and validation texts.
    """
    examples = load_dataset("imdb", data_dir=data_dir).train
    if count is not None:
        examples = examples.take(np.random.default_rng(0).permutation(len(examples))[:count])
    recipe = RECIPES["article"]
    held_out = hold_out_by_label(examples.label_ids, recipe.validation_fraction, 0)
    seen = examples.take(np.flatnonzero(~held_out)).texts
    vocabulary = Vocabulary.build(seen, recipe.vocabulary_size, strip_breaks=recipe.tokenizer.strip_breaks)
    tokenizer = Tokenizer(recipe.tokenizer, vocabulary)
    ids = tokenizer.pad([tokenizer.encode(text).ids for text in examples.texts])
    np.savez(path, ids=ids, label_ids=examples.label_ids, held_out=held_out)
    return len(seen), int(held_out.sum())


def run(system: str, path: Path, seed: int, target: float) -> Training:
    """Trains in a fresh process.

    Raises:
        SystemExit: If it fails; shows what it said.
    """
    ours = "bench.training.training_rnnx"
    modules = {
        _KERAS: ["bench.training.training_keras"],
        _ARTICLE: [ours, "article"],
        _DEFAULT: [ours, "default"],
    }
    command = [sys.executable, "-m", *modules[system], str(path), str(seed), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stderr}")
    return Training(system, seed, **json.loads(done.stdout.splitlines()[-1]))


def to_markdown(trainings: Sequence[Training], target: float) -> str:
    """Medians, and how many times less than the article's script."""
    by_system: dict[str, list[Training]] = {}
    for training in trainings:
        by_system.setdefault(training.system, []).append(training)
    heads = f"| training | s to {target:g} | smallest | largest | reached | epochs to it | accuracy there | best"
    lines = [f"{heads} | script's s over it | s an epoch | script's epoch over it |", "|---|" + "---:|" * 10]
    lines += [f"| {system} | {' | '.join(_row(by_system, system, target))} |" for system in by_system]
    return "\n".join(lines)


def _row(by_system: Mapping[str, Sequence[Training]], system: str, target: float) -> list[str]:
    runs, script = by_system[system], by_system[_KERAS]
    seconds = [run.seconds(target) for run in runs]
    median, theirs = statistics.median(seconds), statistics.median(run.seconds(target) for run in script)
    at_least = statistics.median(run.ended_s[-1] for run in script)  # how long it was tried, where it never came there
    firsts = [(run, first) for run in runs if (first := run.first(target)) is not None]
    pace, their_pace = (statistics.median(run.epoch_s for run in some) for some in (runs, script))
    ratio = f"{theirs / median:.2f}" if np.isfinite(theirs) else f"> {at_least / median:.2f}"
    return [
        _number(median, 1),
        _number(min(seconds), 1),
        _number(max(seconds), 1),
        f"{len(firsts)} of {len(runs)}",
        _number(statistics.median((first + 1) * run.share for run, first in firsts), 2) if firsts else "-",
        _number(statistics.median(run.accuracy[first] for run, first in firsts), 4) if firsts else "-",
        _number(max(max(run.accuracy) for run in runs), 4),
        ratio if np.isfinite(median) else "-",
        _number(pace, 2),
        f"{their_pace / pace:.2f}",
    ]


def _number(value: float, places: int) -> str:
    return f"{value:.{places}f}" if np.isfinite(value) else "never"


def main() -> None:
    """Trains, prints Markdown, writes it down if asked to."""
    arguments = _parse()
    cores = machine.restrict(arguments.cores) if arguments.cores else sorted(os.sched_getaffinity(0))
    trainings = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.npz"
        counts = write_reviews(path, arguments.data_dir, arguments.texts)
        for _ in range(arguments.rounds):
            for seed in arguments.seeds:
                for system in (_KERAS, _ARTICLE, _DEFAULT):
                    trainings.append(run(system, path, seed, arguments.target))
                    ended = trainings[-1].seconds(arguments.target)
                    print(f"{system}, seed {seed}: {_number(ended, 1)} s", file=sys.stderr)
    markdown = to_report(arguments, trainings, counts, cores)
    print(markdown)
    if arguments.save:
        save(arguments, trainings, counts, markdown)


def to_report(
    arguments: argparse.Namespace, trainings: Sequence[Training], counts: tuple[int, int], cores: Sequence[int]
) -> str:
    """The table with what it was measured on and what its columns hold."""
    tools = ", ".join(f"{name} {version}" for name, version in _versions().items())
    lines = [
        f"`{_command(arguments)}`: {counts[0]:,} reviews to train on, {counts[1]:,} for validation.",
        f"{machine.cpu_model()}, {len(cores)} cores, {machine.today()}. {tools}.",
        "",
        to_markdown(trainings, arguments.target),
        "",
        "Medians over seeds and rounds, each training in a process of its own. Seconds to the end of the first",
        "validation that reached the accuracy, with building, compiling and every validation until then, without",
        "imports and encoding. rnnx's own network is validated after each quarter of an epoch (labels alone, no",
        "pretraining), the other two after each epoch, for 20 epochs at most; where the script never reached it, the",
        "ratio is over the time it was tried. An epoch's seconds are training alone, once all is compiled.",
    ]
    return "\n".join(lines) + "\n"


def save(arguments: argparse.Namespace, trainings: Sequence[Training], counts: tuple[int, int], markdown: str) -> None:
    """Writes the two files."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    document = {
        "command": _command(arguments),
        "date": machine.today(),
        "cpu": machine.cpu_model(),
        "versions": _versions(),
        "target": arguments.target,
        "training_texts": counts[0],
        "validation_texts": counts[1],
        "trainings": [dataclasses.asdict(training) for training in trainings],
    }
    (arguments.out / "training.md").write_text(markdown, encoding="utf-8")
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    (arguments.out / "training.json").write_text(text, encoding="utf-8")


def _versions() -> dict[str, str]:
    return machine.versions(("rnnx", "tensorflow", "keras", "numpy"))


def _command(arguments: argparse.Namespace) -> str:
    """As it was typed, as far as it decides the figures."""
    names = ("rounds", "seeds", "target", "texts", "cores")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    given["seeds"] = " ".join(map(str, arguments.seeds))
    return " ".join(
        ["python -m bench.training.time_to_accuracy", *(f"--{name} {value}" for name, value in given.items())]
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time to an accuracy: the article's script, and rnnx's training.")
    parser.add_argument("--data-dir", type=Path, help="where the IMDB reviews lie; fetched without")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--target", type=float, default=ARTICLE_BEST, help="validation accuracy; default %(default)s")
    parser.add_argument("--texts", type=int, help="a cut of the training part, for a try")
    parser.add_argument("--cores", type=int, help="tie every process to so many; default all, threads as each likes")
    parser.add_argument("--save", action="store_true", help="write training.md and training.json")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where to; default bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
