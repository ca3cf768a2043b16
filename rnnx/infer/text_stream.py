"""Splits text that comes in pieces into words: the same words that `rnnx.text.tokenizer` finds in the whole text."""

from __future__ import annotations

from rnnx.text.tokenizer import Tokenizer

_BREAK = b"<br />"
# At most this much of an unfinished word is kept. No vocabulary has a longer word (or else the limit grows with it).
_MOST_HELD_BYTES = 1 << 16
# A word is cut between two characters, and a character has at most this many bytes.
_CHARACTER_BYTES = 4


class TextStream:
    """Cuts text into words as it comes.

    Attributes:
        held: The bytes that are held back: a word that may go on, or the beginning of a possible `<br />`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Begins a text.

        Args:
            tokenizer: The tokenizer of the bundle.
        """
        self.held = b""
        self._rule = tokenizer.rule
        self._strips_breaks = tokenizer.config.strip_breaks
        longest = max(len(token) for token in tokenizer.vocabulary.tokens)
        self._most_held = max(longest + _CHARACTER_BYTES, _MOST_HELD_BYTES)

    def feed(self, data: bytes) -> list[bytes]:
        """Takes a piece of text.

        Returns:
            The words that it finishes. A word longer than 64 kB is cut; the vocabulary does not have it in any case.
        """
        text = self.held + data
        end = self._find_end(text)
        self.held = self._rule.shorten(text[end:], self._most_held)
        return self._split(text[:end])

    def finish(self) -> list[bytes]:
        """Ends the text; returns the word that was held back, if there is one."""
        text, self.held = self.held, b""
        return self._split(text)

    def _split(self, text: bytes) -> list[bytes]:
        return self._rule.to_words(text, strip_breaks=self._strips_breaks).split()

    def _find_end(self, text: bytes) -> int:
        """Returns the length of the part whose words cannot change any more when more text comes."""
        if self._strips_breaks:
            for length in range(len(_BREAK) - 1, 0, -1):
                if text.endswith(_BREAK[:length]):
                    return len(text) - length  # a word before `<` is finished
        return self._rule.find_end(text)
