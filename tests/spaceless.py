"""Draws small treebanks in scripts without spaces between words, as values, as CoNLL-U, and as the texts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnnx.datasets.sentences import TaggedWords

# For each language the slots of a sentence: a tag, and the words that can be there.
LANGUAGES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "ja": (
        ("PRON", ("私", "彼", "彼女")),
        ("ADP", ("は", "も")),
        ("PROPN", ("東京", "京都", "大阪", "パリ", "ベルリン")),
        ("ADP", ("で", "から")),
        ("NOUN", ("本", "新聞", "手紙", "テレビ")),
        ("ADP", ("を",)),
        ("VERB", ("読み", "買い", "見")),
        ("AUX", ("ます", "ました")),
        ("PUNCT", ("。", "\uff01")),
    ),
    "th": (
        ("PRON", ("ฉัน", "เขา", "เธอ")),
        ("AUX", ("จะ", "กำลัง", "ได้")),
        ("VERB", ("อ่าน", "ซื้อ", "เขียน")),
        ("NOUN", ("หนังสือ", "จดหมาย", "ข่าว")),
        ("ADP", ("ใน", "ที่", "จาก")),
        ("PROPN", ("กรุงเทพ", "เชียงใหม่", "ภูเก็ต")),
    ),
}


def make_spaceless(language: str, count: int, seed: int) -> list[TaggedWords]:
    """Draws sentences of one word for each slot."""
    rng = np.random.default_rng(seed)
    slots = LANGUAGES[language]
    tags = tuple(tag for tag, _ in slots)
    return [TaggedWords(tuple(str(rng.choice(words)).encode() for _, words in slots), tags) for _ in range(count)]


def to_text(sentences: Sequence[TaggedWords]) -> bytes:
    """Writes the sentences without spaces, each in a line."""
    return b"".join(b"".join(sentence.words) + b"\n" for sentence in sentences)


def write_spaceless(folder: Path, language: str, count: int = 120) -> Path:
    """Writes `LANGUAGE-ud-{train,dev,test}.conllu`, in which no word is followed by a space; returns the first."""
    for part, size, seed in (("train", count, 1), ("dev", count // 4, 2), ("test", count // 4, 3)):
        lines: list[bytes] = []
        for sentence in make_spaceless(language, size, seed):
            lines.append(b"# text = " + b"".join(sentence.words))
            for i, (word, tag) in enumerate(zip(sentence.words, sentence.tags, strict=True), 1):
                lines.append(b"\t".join([b"%d" % i, word, b"_", tag.encode(), *[b"_"] * 5, b"SpaceAfter=No"]))
            lines.append(b"")
        (folder / f"{language}-ud-{part}.conllu").write_bytes(b"".join(line + b"\n" for line in lines))
    return folder / f"{language}-ud-train.conllu"
