"""Tests that a label that no bundle may have is refused where the data are read, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnx.bundle.config import describe_bad_label, require_printable
from rnnx.datasets import load_any
from rnnx.errors import DataError
from tests.sensors import save

LONG = "long " * 250


def write_table(folder: Path) -> Path:
    path = folder / "t.csv"
    path.write_text(f"text,label\na,x\nb,{LONG}y\n", encoding="utf-8")
    return path


def write_lists(folder: Path) -> Path:
    path = folder / "t.jsonl"
    path.write_text(f'{{"text": "a", "labels": ["{LONG}y", "x"]}}\n', encoding="utf-8")
    return path


def write_words(folder: Path) -> Path:
    path = folder / "t.conll"
    path.write_text(f"a\tx\nb\t{LONG.replace(' ', '-')}y\n\n", encoding="utf-8")
    return path


def write_series(folder: Path) -> Path:
    return save(folder / "t.npz", x=np.zeros((2, 3, 1)), y=["x", f"{LONG}y"])


@pytest.mark.parametrize("write", [write_table, write_lists, write_words, write_series])
def test_a_text_in_place_of_a_label_is_refused_where_it_is_read(write: Callable[[Path], Path], tmp_path: Path) -> None:
    what = (
        r"the label that begins with 'long.* has 1,251 characters, and at most 1,000 are allowed; check that it is the"
    )
    with pytest.raises(DataError, match=what):
        load_any(str(write(tmp_path)), None)


@pytest.mark.parametrize("label", ["", "a\nb", "\x1b[31m", "\u202e", "x" * 1001, "x", "é", "x" * 1000, "a b"])
def test_what_is_described_is_what_a_config_refuses(label: str) -> None:
    what = describe_bad_label(["fine", label])
    if what is None:
        require_printable(["fine", label])
    else:
        with pytest.raises(ValueError, match=r"^labels should "):
            require_printable(["fine", label])
