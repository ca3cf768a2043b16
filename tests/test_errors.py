from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from rnnx.errors import DataError, UntrustedDataError, one_line


def test_an_error_is_quoted_on_one_line() -> None:
    assert one_line(ValueError("  the first line\n\n\tthe second ")) == "the first line the second"


def test_a_long_error_is_truncated() -> None:
    assert one_line(ValueError("x" * 1000)) == "x" * 300
    assert one_line(ValueError("ab\ncd"), 4) == "ab c"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("is empty"), "is empty"),
        (DataError("is empty", Path("a/b.csv")), "a/b.csv: is empty"),
        (DataError("is empty", "-", 7), "-:7: is empty"),
        (UntrustedDataError("unpacks too far", Path("a.zip")), "a.zip: unpacks too far"),
    ],
)
def test_a_data_error_says_where_and_what(error: DataError, message: str) -> None:
    assert str(error) == message
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own, as multiprocessing would
    assert (str(again), again.what, again.where, again.line) == (message, error.what, error.where, error.line)
