"""Marks text from right to left, such as Arabic, so that it does not turn the line around it on a terminal.

Source: Unicode standard annex 9, section 2.4: characters that begin a part of a line with its own direction, and end
it. A mark holds up to the end of its line, so each line of a part needs its own.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.measure import Measurement

_LEFT_TO_RIGHT, _RIGHT_TO_LEFT, _END = "\u2066", "\u2067", "\u2069"
_STRONG = {"L": _LEFT_TO_RIGHT, "R": _RIGHT_TO_LEFT, "AL": _RIGHT_TO_LEFT}


def isolate(text: str, direction_of: str | None = None) -> str:
    """Marks a line, or a part of one.

    Args:
        text: The line. It is returned as it is if nothing in it is read from right to left.
        direction_of: The text whose first letter gives the direction; `text` by default.
    """
    if not _turns(text):
        return text
    directions = (unicodedata.bidirectional(c) for c in (text if direction_of is None else direction_of))
    begin = next((_STRONG[direction] for direction in directions if direction in _STRONG), _LEFT_TO_RIGHT)
    return f"{begin}{text}{_END}"


def cell(text: str) -> str | IsolatedCell:
    """Returns what a table of rich shows of a text: the text, or the lines that it takes, each of them marked."""
    return IsolatedCell(text) if _turns(text) else text


def _turns(text: str) -> bool:
    return not text.isascii() and any(unicodedata.bidirectional(c) in ("R", "AL", "AN") for c in text)


class IsolatedCell:
    """A cell of a table of rich, which breaks its text into lines as wide as the column, and marks each of them."""

    def __init__(self, text: str) -> None:
        """Takes the text of the cell."""
        self._text = text

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement
        from rich.text import Text

        return Measurement.get(console, options, Text(self._text))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        for line in Text(self._text).wrap(console, options.max_width, overflow="fold"):
            yield Text(isolate(line.plain, self._text))
