"""Draws a small artificial treebank, as values and as CoNLL-U."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnx.datasets.sentences import TaggedWords

DETERMINERS = ("the", "a", "every")
ADJECTIVES = ("small", "reddish", "careful", "mindful", "bluish", "playful")
NOUNS = ("cat", "runner", "painter", "house", "London", "café", "nation", "station")
VERBS = ("walked", "painted", "jumped", "sees", "mended", "talked")


def make_sentences(count: int, seed: int) -> list[TaggedWords]:
    """Draws sentences of one to three clauses: determiner, perhaps an adjective, noun, verb, and a final mark."""
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(count):
        pairs: list[tuple[str, str]] = []
        for _ in range(rng.integers(1, 4)):
            pairs.append((str(rng.choice(DETERMINERS)), "DET"))
            if rng.random() < 0.5:
                pairs.append((str(rng.choice(ADJECTIVES)), "ADJ"))
            pairs.append((str(rng.choice(NOUNS)), "NOUN"))
            pairs.append((str(rng.choice(VERBS)), "VERB"))
        pairs.append((str(rng.choice([".", "!"])), "PUNCT"))
        pairs[0] = (pairs[0][0].capitalize(), pairs[0][1])
        sentences.append(TaggedWords(tuple(word.encode() for word, _ in pairs), tuple(tag for _, tag in pairs)))
    return sentences


def to_conllu(sentences: Sequence[TaggedWords]) -> bytes:
    """Writes sentences as CoNLL-U."""
    lines: list[bytes] = []
    for number, sentence in enumerate(sentences, 1):
        lines.append(b"# sent_id = %d" % number)
        for i, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True), 1):
            lines.append(b"\t".join([b"%d" % i, word, b"_", tag.encode(), *[b"_"] * 6]))
        lines.append(b"")
    return b"".join(line + b"\n" for line in lines)


def write_treebank(folder: Path, sizes: tuple[int, int, int] = (160, 40, 30)) -> Path:
    """Writes `own-ud-{train,dev,test}.conllu` and returns the first; a part of size 0 is left out."""
    for part, size, seed in zip(("train", "dev", "test"), sizes, (1, 2, 3), strict=True):
        if size:
            (folder / f"own-ud-{part}.conllu").write_bytes(to_conllu(make_sentences(size, seed)))
    return folder / "own-ud-train.conllu"
