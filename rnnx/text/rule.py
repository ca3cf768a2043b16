"""What a rule of the tokenizer does: it finds the tokens of a text. `rnnx.text.rules` lists the rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

# The bytes of the positions of all tokens, `(count, 2)` int64: the first one, and the one after the last.
Spans = npt.NDArray[np.int64]

_LINE_BREAK = b"<br />"


def strip_line_breaks(text: bytes) -> bytes:
    """Replaces each `<br />` by spaces. All other bytes keep their positions."""
    return text.replace(_LINE_BREAK, b" " * len(_LINE_BREAK))


class TextRule(ABC):
    """A rule that splits any bytes into tokens."""

    @abstractmethod
    def to_words(self, text: bytes, *, strip_breaks: bool) -> bytes:
        """Writes the tokens of a text as they are in a vocabulary, with one or more spaces between them.

        Args:
            text: Any bytes; UTF-8 is expected, but not required.
            strip_breaks: Whether `<br />` is replaced by a space first.
        """

    @abstractmethod
    def locate(self, text: bytes, *, strip_breaks: bool) -> Spans:
        """Returns the positions of the tokens of `to_words`, in their order."""

    @abstractmethod
    def find_end(self, text: bytes) -> int:
        """Returns the length of the part whose tokens do not change, no matter which bytes follow the text."""

    @abstractmethod
    def shorten(self, text: bytes, most_bytes: int) -> bytes:
        """Shortens the beginning of a single token, so that a token of unbounded length needs bounded memory.

        Args:
            text: The part of a text after `find_end`.
            most_bytes: A shorter token stays the same token; a longer one is cut there.
        """

    @abstractmethod
    def find_wrong(self, words: Sequence[bytes]) -> int | None:
        """Returns the index of the first word that is not a single token of this rule; None if there is none."""
