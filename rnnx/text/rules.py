"""The rules of the tokenizer, by their names in `config.json`."""

from __future__ import annotations

from functools import cache
from typing import assert_never

from rnnx.bundle.config import TextRuleName, TokenizerConfig
from rnnx.text.byte_rule import BYTE_RULE
from rnnx.text.rule import TextRule


def find_rule(config: TokenizerConfig) -> TextRule:
    """Returns the rule that a config names. A rule is made once."""
    return _make_rule(config.rule, config.marks)


@cache
def _make_rule(name: TextRuleName, marks: bool) -> TextRule:  # two fields of a config
    match name:
        case "bytes":
            return BYTE_RULE
        case "unicode-14" | "unicode-14-marks":
            from rnnx.text.unicode_rule import UnicodeRule  # other models do not need the table

            return UnicodeRule(name, marks=marks)
        case _:
            assert_never(name)
