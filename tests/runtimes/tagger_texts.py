"""Texts to compare the kits for taggers with rnnx, and the file with the words of some of them.

`python -m tests.runtimes.tagger_texts` writes `exported/embed/taggers/texts.json` again, the golden texts of the kits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import WordRuleName, WordsConfig
from rnnx.bundle.find_model import SAMPLES_PATH
from rnnx.bundle.kits import CHARACTERS_NAME, TEXTS_PATH
from rnnx.text.sentence_split import split_text
from rnnx.text.word_rule import SplitText
from rnnx.text.word_rules import find_word_rule
from tests.unicode_texts import BROKEN, LINES, PIECES, draw_texts

GOLDEN_TEXTS = (
    b"",
    b" \n\r\n ",
    b"They didn't see Mr. Smith's U.S. e-mail (at 5:30pm)... \"Why?!\" he asked. Then they left!",
    b"A heading\nwrite to a.b-c@mail.example.com, see http://x.org/a?b=c. Or pay $3.50; call 713-853-3989 :-)",
    b"cannot gonna didnt O'Neill and/or 50% the dogs' bowl, 10,000 at 9/11. PG&E \x01\x02 <pad> <start> <unknown>",
    "it\u2019s \u201cso\u201d\u2026 na\xefve\xa0caf\xe9\u2014 \xbfQu\xe9? \xaboui\xbb".encode(),
    "\u597d\u770b\u3002\u597d \U0001f600".encode(),
    b"caf\xe9 \xff\xfe\xc3\x28 n\xe2\x80t \xe2\x80\x99s \xe2\x80",
    b"www.a.b http:// isn't'll I'm ive !!! --- ... e-e-mail .5.6.7 A. Z.\tZ. a.b.c.",
)  # fmt: skip
_ENGLISH = (
    b"don't", b"Mr", b"Mr.", b"U.S.", b"e-mail", b"non-", b"http://", b"www.a", b"a@b", b".c", b":-)", b";P", b"5",
    b",000", b"pm", b"x", b"713-853-3989", b"PG&E", b"'s", b"\xe2\x80\x99", b"n't", b"cannot", b"gonna", b"didnt",
    b"...", b"?!",
    b"\xe2\x80\xa6", b"--", b'"', b"''", b")", b"(", b"\xc2\xa0", b"\xe2\x80\x8a", b"\xef\xbb\xbf", b"\xc2\xbb",
    b"\xe2\x80\x9d", b"\xe3\x80\x82", b"\n", b"\r", b"\x0b", b"\x0c", b"\x1c", b"\x85", b" ", b" ", b"Then",
    b"then", b"I", b"J.", b"_", b"&", b"/", b"wonderful", b"IT'S", b"CAN'T", b"No.", b"no.", b"z.B.",
    b"l'", b"Nord-S\xc3\xbcd",
    b"\xe5\x8c\x97\xe4\xba\xac\xe5\xa4\xa7\xe5\xad\xa6", b"\xc4\xb0", b"\xe2\x85\xa0",
)  # fmt: skip


def draw_tagger_texts(count: int, most: int = 14) -> list[bytes]:
    """Draws texts of words and marks that the rules treat in different ways, of any characters and of any bytes."""
    rng = np.random.default_rng(11)
    pieces = (*_ENGLISH, *_ENGLISH, *PIECES, *BROKEN)
    drawn = [b"".join(pieces[i] for i in rng.integers(len(pieces), size=rng.integers(most))) for _ in range(count)]
    return [*GOLDEN_TEXTS, *LINES, *drawn, *draw_texts(rng, count // 4, 12)]


def format_golden_texts() -> str:
    """Formats the golden texts with their sentences: the first byte of each word, and the one after its last."""
    rows = [{"bytes": text.hex(), "sentences": spans_of(split_text, text)} for text in GOLDEN_TEXTS]
    return "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"


def spans_of(split: SplitText, text: bytes) -> list[list[list[int]]]:
    """Returns the sentences of a text, each as the places of its words."""
    return [[[word.start, word.end] for word in sentence] for sentence in split(text)]


# The rules of taggers that the kits have: a name, and whether a hyphen joins words.
RULES = ("bytes", "unicode-14", "unicode-14 joins hyphens")
_SLOTS = ("SUFFIX1", "SUFFIX3", "PREFIX2", "SHAPE")


def given_to_rules(rule: str, texts: Sequence[bytes]) -> bytes:
    """Formats the settings of a rule, the known words and texts, for a program that runs the rules of a kit."""
    config = _settings(rule)
    settings = {"rule": config.rule, "features": config.features, "joins_hyphens": config.joins_hyphens}
    given = {"settings": settings, "words": [w.hex() for w in _known_words()], "texts": [text.hex() for text in texts]}
    return json.dumps(given).encode()


def write_characters(folder: Path) -> None:
    """Writes a config with the table of characters, as `rnnx embed` does for the rule `unicode-14`."""
    table = json.loads((SAMPLES_PATH / CHARACTERS_NAME).read_bytes())
    (folder / "config.json").write_text(json.dumps({"characters": table}), encoding="utf-8")


def require_same_rules(rule: str, texts: Sequence[bytes], found: Sequence[Any]) -> None:
    """Makes sure that a kit found the sentences of rnnx, and that it looks up the same tokens for each word.

    Args:
        rule: One of `RULES`.
        texts: The texts.
        found: For each text the sentences, as the places of their words, and for each word its tokens in hexadecimal.
    """
    config = _settings(rule)
    expected = find_word_rule(config.rule)
    split = expected.make_splitter(_known_words(), joins_hyphens=config.joins_hyphens)
    assert len(found) == len(texts)
    for text, (sentences, tokens) in zip(texts, found, strict=True):
        assert sentences == spans_of(split, text), text
        words = [word.word for sentence in split(text) for word in sentence]
        rows = [[expected.lower(word), *expected.features_of(word, _SLOTS)] for word in words]
        assert tokens == [[token.hex() for token in row] for row in rows], text


def require_same_words(model: Any, texts: Sequence[bytes], found: Sequence[Any]) -> None:
    """Makes sure that a kit gives the sentences, tags and probabilities of rnnx.

    Args:
        model: The `Predictor` of a tagger.
        texts: The texts.
        found: For each text its sentences, each as start, end, tag and probability of its words.
    """
    for text, sentences, expected in zip(texts, found, model.predict(list(texts)), strict=True):
        words = [[[word.start, word.end, word.tag] for word in sentence] for sentence in expected.sentences]
        assert [[row[:3] for row in sentence] for sentence in sentences] == words, text
        probabilities = [word.probability for word in expected.words]
        assert [row[3] for sentence in sentences for row in sentence] == pytest.approx(probabilities, abs=1e-5)


def _settings(rule: str) -> WordsConfig:
    name: WordRuleName = "bytes" if rule == "bytes" else "unicode-14"
    return WordsConfig(_SLOTS, 100, name, joins_hyphens="hyphens" in rule)


@cache
def _known_words() -> list[bytes]:
    """Returns words for a vocabulary: of every script, abbreviations and parts of words."""
    lower = find_word_rule("unicode-14").lower
    extra = (
        "n't",
        "'s",
        "l'",
        "z.b.",
        "dr.",
        "dr",
        "\u5317\u4eac",
        "\u5317\u4eac\u5927\u5b66",
        "1.",
        "1",
        "nord",
        "a.",
    )
    parts = [part for line in LINES for part in line.split()]
    return sorted({lower(word) for word in (*parts, *PIECES, *(word.encode() for word in extra))} - {b""})


if __name__ == "__main__":
    TEXTS_PATH.write_text(format_golden_texts(), encoding="utf-8")
