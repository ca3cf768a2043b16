"""Draws small files of words with tags of names, as values and as files of a word and its tag per line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnx.datasets.sentences import TaggedWords

FIRST_NAMES = ("Anna", "Bülent", "Carla", "Dmitri", "Émile")
LAST_NAMES = ("Weber", "Öztürk", "Rossi", "Ivanova", "Dubois")
PLACES = ("Bonn", "Köln", "New York", "Paris", "Rio de Janeiro")
VERBS = ("visited", "left", "knows", "painted")


def make_names(count: int, seed: int) -> list[TaggedWords]:
    """Draws sentences of a person, a verb and one or two places; the tags are in the scheme BIO."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        person = [str(rng.choice(FIRST_NAMES)), str(rng.choice(LAST_NAMES))]
        pairs = _span(" ".join(person[: rng.integers(1, 3)]), "PER")
        pairs.append((str(rng.choice(VERBS)), "O"))
        pairs += _span(str(rng.choice(PLACES)), "LOC")
        if rng.random() < 0.5:
            pairs += [("and", "O"), *_span(str(rng.choice(PLACES)), "LOC")]
        pairs.append((".", "O"))
        sentences.append(TaggedWords(tuple(word.encode() for word, _ in pairs), tuple(tag for _, tag in pairs)))
    return sentences


def _span(text: str, label: str) -> list[tuple[str, str]]:
    return [(word, f"{'I' if i else 'B'}-{label}") for i, word in enumerate(text.split())]


def to_columns(sentences: Sequence[TaggedWords], between: bytes = b"\t") -> bytes:
    """Writes sentences with a word and its tag per line."""
    blocks = [
        b"".join(word + between + tag.encode() + b"\n" for word, tag in zip(s.words, s.tags, strict=True))
        for s in sentences
    ]
    return b"\n".join(blocks)


def write_names(folder: Path, sizes: tuple[int, int, int] = (200, 40, 30)) -> Path:
    """Writes `own-{train,dev,test}.conll` and returns the first."""
    for part, size, seed in zip(("train", "dev", "test"), sizes, (1, 2, 3), strict=True):
        (folder / f"own-{part}.conll").write_bytes(to_columns(make_names(size, seed)))
    return folder / "own-train.conll"
