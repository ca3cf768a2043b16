"""Finds the columns of the text and of the label by their names. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import NamedTuple

from rnnx.datasets.table_form import Columns

# In the order in which they are looked for. Names of ratings, such as stars, are not labels: they may be values.
RATING_NAMES = ("rating", "ratings", "stars", "star_rating", "score", "value", "label", "target", "y")
_TEXT_NAMES = (
    *("text", "texts", "review", "sentence", "content", "comment", "message", "tweet", "body", "document", "utterance"),
    *(
        "reviews",
        "review_text",
        "text_review",
        "review_body",
        "reviewtext",
        "comment_text",
        "tweet_text",
        "post",
        "sms",
    ),
    *("question", "query", "headline", "title", "description"),
)
LABEL_NAMES = (
    *("label", "labels", "category", "class", "sentiment", "target", "intent", "tag", "emotion", "topic"),
    *("label_name", "label_text", "polarity", "cat", "y"),
)
# A column of this name is never taken for the only other one.
_NUMBER_NAMES = ("", "id", "index", "idx", "no", "nr", "number", "#", "row", "unnamed:_0")


class FoundColumns(NamedTuple):
    """The indices of the two columns, and which of them the user should be told of."""

    text: int
    label: int
    is_text_guessed: bool
    is_label_guessed: bool


def find_columns(names: Sequence[str], columns: Columns, usual: Sequence[str] = LABEL_NAMES) -> FoundColumns | None:
    """Finds the columns of a table.

    A column that the user named is found by its name, or by its number from 1. Otherwise the usual names are looked
    for; if there are two columns and one of them is known for certain, the other one is taken.

    Args:
        names: The names of the columns.
        columns: What the user said.
        usual: The usual names of the column of the labels, or of the numbers.

    Returns:
        The columns; None if one of them is not there.
    """
    text, label = look_for_columns(names, columns, usual)
    if text is None or label is None or text == label:
        return None
    return FoundColumns(
        text,
        label,
        is_text_guessed=columns.text is None and _find(names, None, "text") is None,
        is_label_guessed=columns.label is None and _find(names, None, "label") is None,
    )


def look_for_columns(
    names: Sequence[str], columns: Columns, usual: Sequence[str] = LABEL_NAMES
) -> tuple[int | None, int | None]:
    """Looks for the columns of the text and of the label as `find_columns` does; None for one that is not there."""
    text, label = _find(names, columns.text, "text"), _find(names, columns.label, "label")
    if len(names) == 2 and label is None and columns.label is None and text is not None:
        label = _other(names, text)
    elif len(names) == 2 and text is None and columns.text is None and label is not None:
        text = _other(names, label)
    if text is None and columns.text is None:
        text = _guess(names, _TEXT_NAMES, label)
    if label is None and columns.label is None:
        label = _guess(names, usual, text)
    return text, label


def find_column(names: Sequence[str], name: str) -> int | None:
    """Finds the column that the user named, by its name or by its number from 1; None if it is not there."""
    return _find(names, name, name)


def suggest_column(names: Sequence[str], name: str) -> str:
    """The column that was meant by a name that no column has, as the end of a message; empty if none is like it."""
    plain = {_plain(other): other for other in names}
    close = get_close_matches(_plain(name), plain, n=1)
    return f"; perhaps you mean {plain[close[0]]!r:.60}" if close else ""


def add_columns(names: Sequence[str], more: Sequence[str]) -> list[str]:
    """The names of the columns of a table and of the answers; a name that is taken already gets another one."""
    columns = list(names)
    for name in more:
        free = name
        while free in columns:
            free = f"predicted_{free}"
        columns.append(free)
    return columns


def _find(names: Sequence[str], name: str | None, usual: str) -> int | None:
    """The column that the user named, or that has exactly the usual name; the last one if there are several."""
    wanted = usual if name is None else name
    places = [i for i, other in enumerate(names) if other == wanted]
    if not places and name is not None:
        places = [i for i, other in enumerate(names) if other.strip().casefold() == name.strip().casefold()]
        if not places and name.isascii() and name.isdigit() and 0 < int(name[:9]) <= len(names):
            places = [int(name) - 1]
    return places[-1] if places else None


def _guess(names: Sequence[str], usual: Sequence[str], taken: int | None) -> int | None:
    plain = [_plain(name) for name in names]
    places = (plain.index(name) for name in usual if plain.count(name) == 1 and plain.index(name) != taken)
    return next(places, None)


def _other(names: Sequence[str], known: int) -> int | None:
    return None if _plain(names[1 - known]) in _NUMBER_NAMES else 1 - known


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_")
