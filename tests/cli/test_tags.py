"""Tests how rows of tagged words are printed."""

from __future__ import annotations

import sys

import pytest

from rnnx.cli import tags, terminal
from rnnx.infer.input_items import Answer, Item
from rnnx.infer.predictions import TaggedWord, Tagging


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_long_text_is_printed_as_several_tables(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table is printed only when all of it is laid out; one table for a whole book would keep a person waiting."""
    sizes: list[int] = []
    monkeypatch.setattr(terminal, "write_table", lambda columns, rows: sizes.append(len(rows)))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    word = TaggedWord("cat", "NOUN", 0, 0.9)
    answers = [Answer(Item("a.txt", None, b""), Tagging(((word,) * count,))) for count in (450, 3)]
    tags.write_rows(answers, with_lines=False)
    assert sizes == [200, 200, 50, 3]
