"""Measures the time to the article's best validation accuracy: the article's Keras script, and rnnx's training.

All get the same reviews, ids, split and batch size: IMDB's training part with a fifth of it held out, 10,000 words, the
last 500 tokens, padded in front, 128 rows in a batch. The trainings take turns, each in a fresh process. The seconds
include building, compiling, training and validation, and exclude imports and the encoding of the texts.

    python -m bench.training.time_to_accuracy --data-dir FOLDER [--rounds 1] [--seeds 0 1 2] [--cores 2] [--save]
    python -m bench.training.time_to_accuracy --data-dir FOLDER --texts 2000 --target 0.6    # a quick trial
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
from rnnx.train.recipes import ARTICLE

ARTICLE_BEST = 0.835  # the best validation accuracy of the article's network, at its seventh epoch
_KERAS, _ARTICLE, _DEFAULT = "the article's script (Keras)", "rnnx, the article's network", "rnnx, its own network"


@dataclass(frozen=True)
class Training:
    """One training, in a process of its own.

    Attributes:
        system: The name of the training.
        seed: The seed of the initial weights and of the order of the texts.
        share: The part of an epoch between two validations.
        accuracy: The accuracy of each validation, in 0..1.
        ended_s: The seconds from the start to the end of each validation.
        training_s: The seconds of training before each validation, without the validation.
    """

    system: str
    seed: int
    share: float
    accuracy: Sequence[float]
    ended_s: Sequence[float]
    training_s: Sequence[float]

    def first(self, target: float) -> int | None:
        """Returns the index of the first validation that reached the target; None if none did."""
        return next((index for index, accuracy in enumerate(self.accuracy) if accuracy >= target), None)

    def seconds(self, target: float) -> float:
        """Returns the seconds to the end of the first validation that reached the target; infinity if none did."""
        first = self.first(target)
        return float("inf") if first is None else self.ended_s[first]

    @property
    def epoch_s(self) -> float:
        """The seconds of training in one epoch, without validation; the first stretch is left out, as it compiles."""
        return statistics.median(self.training_s[1:]) / self.share


def write_reviews(path: Path, data_dir: Path | None, count: int | None) -> tuple[int, int]:
    """Encodes IMDB's training part as the article does and writes it to a file that all trainings read.

    Args:
        path: The file to write.
        data_dir: The folder of the reviews; without it they are downloaded.
        count: The number of texts to draw for a trial; None for all.

    Returns:
        The number of training texts and the number of validation texts.
    """
    examples = load_dataset("imdb", data_dir=data_dir).train
    if count is not None:
        examples = examples.take(np.random.default_rng(0).permutation(len(examples))[:count])
    held_out = hold_out_by_label(examples.label_ids, ARTICLE.validation_fraction, 0)
    seen = examples.take(np.flatnonzero(~held_out)).texts
    vocabulary = Vocabulary.build(seen, ARTICLE.vocabulary_size, strip_breaks=ARTICLE.tokenizer.strip_breaks)
    tokenizer = Tokenizer(ARTICLE.tokenizer, vocabulary)
    ids = tokenizer.pad([tokenizer.encode(text).ids for text in examples.texts])
    np.savez(path, ids=ids, label_ids=examples.label_ids, held_out=held_out)
    return len(seen), int(held_out.sum())


def run(system: str, path: Path, seed: int, target: float) -> Training:
    """Runs one training in a fresh process.

    Raises:
        SystemExit: If the process fails; the message holds its stderr.
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
    """Writes a table of medians, and of the article's script's time divided by each training's."""
    by_system: dict[str, list[Training]] = {}
    for training in trainings:
        by_system.setdefault(training.system, []).append(training)
    heads = f"| training | s to {target:g} | smallest | largest | reached | epochs to it | accuracy there | best"
    lines = [f"{heads} | script's s / its s | s per epoch | script's epoch / its epoch |", "|---|" + "---:|" * 10]
    lines += [f"| {system} | {' | '.join(_row(by_system, system, target))} |" for system in by_system]
    return "\n".join(lines)


def _row(by_system: Mapping[str, Sequence[Training]], system: str, target: float) -> list[str]:
    """Writes the cells of one system's row."""
    runs, script = by_system[system], by_system[_KERAS]
    seconds = [run.seconds(target) for run in runs]
    median, theirs = statistics.median(seconds), statistics.median(run.seconds(target) for run in script)
    at_least = statistics.median(run.ended_s[-1] for run in script)  # the script's time if it never reached it
    firsts = [(run, first) for run in runs if (first := run.first(target)) is not None]
    pace = statistics.median(run.epoch_s for run in runs)
    their_pace = statistics.median(run.epoch_s for run in script)
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
    """Runs all trainings, prints the table and, with `--save`, writes it."""
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
    """Writes the table, what it was measured on, and what its columns mean."""
    tools = ", ".join(f"{name} {version}" for name, version in _versions().items())
    lines = [
        f"`{_command(arguments)}`: {counts[0]:,} reviews to train on, {counts[1]:,} for validation.",
        f"{machine.cpu_model()}, {len(cores)} cores, {machine.today()}. {tools}.",
        "",
        to_markdown(trainings, arguments.target),
        "",
        "Medians over seeds and rounds, each training in a process of its own. The seconds run to the end of the first",
        "validation that reached the accuracy. They include building, compiling and every validation until then, but",
        "not imports and encoding. rnnx's own network trains from the labels only (no pretraining). It is validated",
        "after each quarter of an epoch, the other two after each epoch, for at most 20 epochs. If the script never",
        "reached the accuracy, its whole time is used for the ratio. The seconds per epoch are those of training only,",
        "after compilation.",
    ]
    return "\n".join(lines) + "\n"


def save(arguments: argparse.Namespace, trainings: Sequence[Training], counts: tuple[int, int], markdown: str) -> None:
    """Writes the report and the measurements as `training.md` and `training.json`."""
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
    """Returns the command with the options that affect the figures."""
    names = ("rounds", "seeds", "target", "texts", "cores")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    given["seeds"] = " ".join(map(str, arguments.seeds))
    return " ".join(
        ["python -m bench.training.time_to_accuracy", *(f"--{name} {value}" for name, value in given.items())]
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measures the time to an accuracy: the article's script, and rnnx's training."
    )
    parser.add_argument("--data-dir", type=Path, help="the folder of the IMDB reviews; without it they are downloaded")
    parser.add_argument("--rounds", type=int, default=1, help="how often each training is run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="the seeds of each training")
    parser.add_argument(
        "--target", type=float, default=ARTICLE_BEST, help="the validation accuracy to reach; by default %(default)s"
    )
    parser.add_argument("--texts", type=int, help="use only this many texts, for a quick trial")
    parser.add_argument(
        "--cores", type=int, help="bind every process to this many cores; by default all, and each chooses its threads"
    )
    parser.add_argument("--save", action="store_true", help="write training.md and training.json")
    parser.add_argument("--out", type=Path, default=RESULTS, help="write into this folder; by default bench/results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
