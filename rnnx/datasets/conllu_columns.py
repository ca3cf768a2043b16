"""The columns of CoNLL-U that can hold the tag of a word. Standard library only.

Source: https://universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from rnnx.errors import UsageError

NO_VALUE = "_"

_INDICES = {"lemma": 2, "upos": 3, "xpos": 4, "feats": 5, "deprel": 7, "misc": 9}
_WITH_KEYS = ("feats", "misc")


class ConlluColumn(NamedTuple):
    """A column of tags.

    Attributes:
        place: Its index, from 0.
        name: Its name in the format, in lower case.
        key: The feature whose value is the tag, such as `Case` in FEATS; None for the whole column.
    """

    place: int
    name: str
    key: str | None = None

    @property
    def may_be_empty(self) -> bool:
        """Whether `_` is a value: a word need not have features."""
        return self.name in _WITH_KEYS

    def value(self, cell: bytes) -> bytes:
        """Reads the tag in a cell of the column; `_` if the word does not have the feature."""
        if self.key is None:
            return cell
        start = f"{self.key}=".encode()
        return next((pair[len(start) :] for pair in cell.split(b"|") if pair.startswith(start)), NO_VALUE.encode())

    def __str__(self) -> str:
        return self.name if self.key is None else f"{self.name}.{self.key}"


UPOS = ConlluColumn(3, "upos")


def find_conllu_column(name: str) -> ConlluColumn:
    """Finds a column by its name or its number from 1, or a feature by `feats.NAME` or `misc.NAME`.

    Raises:
        UsageError: If there is no such column for tags; the message lists them.
    """
    lower, _, key = name.partition(".")
    lower = lower.lower()
    lower = next((known for known, index in _INDICES.items() if lower == str(index + 1)), lower)
    if lower not in _INDICES or ("." in name and not (lower in _WITH_KEYS and re.fullmatch(r"[^=|\s]+", key))):
        raise UsageError(
            f"--tag-column of a .conllu file should be {', '.join(_INDICES)}, feats.NAME or misc.NAME, not {name!r:.40}"
        )
    return ConlluColumn(_INDICES[lower], lower, key or None)
