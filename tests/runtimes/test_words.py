"""Tests that the page of `rnnx embed browser` draws the words that `rnnx.text` finds, in any bytes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.bundle.find_model import SAMPLES_PATH
from rnnx.export.golden_texts import golden_texts
from rnnx.text.rules import find_rule
from rnnx.text.unicode_table import CHARACTER_COUNT
from tests.unicode_texts import LINES, draw_texts

pytestmark = pytest.mark.runtimes

_PROGRAM = Path(__file__).parent / "words.mjs"
PLAIN = TokenizerConfig(400, True, False, "batch", "left", "left")
BREAKS = dataclasses.replace(PLAIN, strip_breaks=True)
BOOLS = (False, True)
READINGS: tuple[tuple[TextRuleName, bool], ...] = (
    ("unicode-14", False),
    ("unicode-14", True),
    ("unicode-14-marks", False),
)


def run_page(cases: list[tuple[TokenizerConfig, list[bytes]]]) -> dict[str, Any]:
    """Runs the functions of the page in Node."""
    if shutil.which("node") is None:
        pytest.skip("needs Node 18")
    given = [
        {"tokenizer": dataclasses.asdict(config), "texts": [text.hex() for text in texts]} for config, texts in cases
    ]
    done = subprocess.run(  # noqa: S603  # our own program
        ["node", _PROGRAM, SAMPLES_PATH / "browser" / "page"],  # noqa: S607
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def every_character() -> list[bytes]:
    """Returns every character between two letters, and a few of those after the table."""
    codes = (*range(CHARACTER_COUNT + 0x100), *range(CHARACTER_COUNT, 0x110000, 0x101))
    return [b"".join(b"a%sb " % chr(code).encode("utf-8", "surrogatepass") for code in codes)]


def test_the_words_are_those_of_each_rule() -> None:
    texts = [*golden_texts("unicode-14"), *LINES, *draw_texts(np.random.default_rng(5), 3_000, 12), *every_character()]
    unicode_configs = [
        dataclasses.replace(PLAIN, strip_breaks=strip_breaks, rule=rule, marks=marks)
        for strip_breaks, (rule, marks) in itertools.product(BOOLS, READINGS)
    ]
    cases = [(config, texts) for config in (PLAIN, BREAKS, *unicode_configs)]
    for (config, _), found in zip(cases, run_page(cases)["found"], strict=True):
        rule = find_rule(config)
        for text, spans in zip(texts, found, strict=True):
            assert rule.locate(text, strip_breaks=config.strip_breaks).tolist() == spans, (config, text)


def test_a_long_word_is_cut_between_characters() -> None:
    seen = run_page([(PLAIN, [b""])])
    assert (seen["first"], seen["last"]) == ("很好", "吃😀é")


def test_the_page_names_a_rule_that_it_does_not_know() -> None:
    later = dataclasses.replace(PLAIN, rule="unicode-99")  # type: ignore[arg-type]  # a later version
    with pytest.raises(AssertionError, match="this page does not know the tokenizer rule unicode-99"):
        run_page([(later, [b""])])
