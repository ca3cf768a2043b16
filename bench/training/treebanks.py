"""Measures a tagger on a treebank of any language: `rnnx train` with its defaults, and the most frequent tag of a word.

rnnx is run as a user runs it, by its commands. The peer gives a word the tag that it has most often in the training
part, and an unknown word the tag that most words have that occur once.

    python -m bench.training.treebanks TRAIN.conllu TEST.conllu [--rules bytes unicode-14] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from bench import machine
from bench.training.peers import run_rnnx
from rnnx.datasets.conllu import read_conllu
from rnnx.datasets.sentences import TaggedWords


def measure_majority(train: Sequence[TaggedWords], test: Sequence[TaggedWords]) -> tuple[float, float]:
    """Returns the share of the words whose tag is the most frequent one, and that among the unknown words."""
    tags: defaultdict[bytes, Counter[str]] = defaultdict(Counter)
    for sentence in train:
        for word, tag in zip(sentence.words, sentence.tags, strict=True):
            tags[word][tag] += 1
    rare = Counter(tag for counts in tags.values() if counts.total() == 1 for tag in counts)
    best = {word: counts.most_common(1)[0][0] for word, counts in tags.items()}
    of_unknown = (rare or Counter(tag for counts in tags.values() for tag in counts)).most_common(1)[0][0]
    pairs = [pair for sentence in test for pair in zip(sentence.words, sentence.tags, strict=True)]
    unknown = [tag == of_unknown for word, tag in pairs if word not in best]
    right = sum(best.get(word, of_unknown) == tag for word, tag in pairs)
    return right / len(pairs), sum(unknown) / max(1, len(unknown))


def measure_rnnx(train: Path, test: Path, rule: str, seed: int) -> tuple[float, float]:
    """Trains, exports and evaluates by the commands of rnnx, and returns the same two figures."""
    with tempfile.TemporaryDirectory() as folder:
        run, bundle = str(Path(folder) / "run"), str(Path(folder) / "bundle")
        run_rnnx("train", str(train), "--tokenizer", rule, "--seed", str(seed), "--out", run)
        run_rnnx("export", run, "--out", bundle)
        figures = json.loads(run_rnnx("evaluate", bundle, str(test), "--json"))
    return float(figures["accuracy"]), float(figures["unknown_accuracy"] or 0)


def main() -> None:
    """Measures both, and prints a table."""
    parser = argparse.ArgumentParser(description="Measures a tagger on a treebank.")
    parser.add_argument("train", type=Path, help="the training part; a dev part in the same folder chooses the epoch")
    parser.add_argument("test", type=Path, help="the test part")
    parser.add_argument("--rules", nargs="+", default=["unicode-14"], help="the rules of the words to train with")
    parser.add_argument("--seed", type=int, default=0, help="the seed of each training")
    arguments = parser.parse_args()
    machine.restrict(1)
    rows = {"most frequent tag": measure_majority(read_conllu(arguments.train), read_conllu(arguments.test))}
    for rule in arguments.rules:
        rows[f"rnnx, {rule}"] = measure_rnnx(arguments.train, arguments.test, rule, arguments.seed)
    print("| system | accuracy | on unknown words |\n|---|---:|---:|")
    for name, (accuracy, of_unknown) in rows.items():
        print(f"| {name} | {accuracy:.4f} | {of_unknown:.4f} |")


if __name__ == "__main__":
    main()
