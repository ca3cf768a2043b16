"""The options that say what a table of texts looks like; `train` and `evaluate` share them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from rnnx.cli import terminal

if TYPE_CHECKING:
    from rnnx.datasets import Listener

TextColumnOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="The column of a table that holds the text, by name or number. [default: text, or a like name]"),
]
LabelColumnOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="The column of a table that holds the label. [default: label, or a like name]"),
]
LabelColumnsOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="Columns of a table that hold 0 or 1, one for each label, by name: joy,anger. Several per text."),
]
LabelDelimiterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(help="What separates the labels in a cell: | reads joy|anger as two labels. Several per text."),
]
TagColumnOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="The column of the tags of words: upos, xpos, deprel, feats.Case, ... of .conllu, or the number of a "
        "column of another file. [default: upos, or found]"
    ),
]
DelimiterOption: TypeAlias = Annotated[
    str | None, typer.Option(help="What separates the cells of a table: one character, or tab. [default: found]")
]
EncodingOption: TypeAlias = Annotated[
    str | None, typer.Option(help="The encoding of a table, such as cp1252. [default: UTF-8, or UTF-16 if it is]")
]
HeaderOption: TypeAlias = Annotated[
    bool, typer.Option("--header/--no-header", help="Whether the first row of a table names the columns.")
]
QuotesOption: TypeAlias = Annotated[
    bool | None,
    typer.Option("--quotes/--no-quotes", help="Whether quotes enclose cells. [default: found for tabs, else yes]"),
]
SkipBadRowsOption: TypeAlias = Annotated[
    bool, typer.Option("--skip-bad-rows", help="Leave out the rows of a table that have no text or no label.")
]


def split_names(names: str | None) -> tuple[str, ...]:
    """Splits names at the commas between them."""
    return tuple(name.strip() for name in (names or "").split(",") if name.strip())


def make_listener() -> Listener:
    """Prints what is found out about a data set to stderr."""
    from rnnx.datasets import Listener

    return Listener(terminal.note, terminal.warning)
