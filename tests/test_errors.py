from __future__ import annotations

from rnnx.errors import one_line


def test_an_error_is_quoted_on_one_line() -> None:
    assert one_line(ValueError("  the first line\n\n\tthe second ")) == "the first line the second"


def test_a_long_error_is_cut() -> None:
    assert one_line(ValueError("x" * 1000)) == "x" * 300
    assert one_line(ValueError("ab\ncd"), 4) == "ab c"
