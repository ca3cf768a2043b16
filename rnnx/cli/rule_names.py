"""The names of the tokenizer's rules, as `--tokenizer` of `rnnx train` and `rnnx export` takes them."""

from __future__ import annotations

from enum import StrEnum


class RuleName(StrEnum):
    """The choices of `--tokenizer`."""

    BYTES = "bytes"
    UNICODE_14 = "unicode-14"
    UNICODE_14_MARKS = "unicode-14-marks"
