"""Text that comes in pieces, to words: those of `rnnx.text.tokenizer` for the whole, wherever it was cut."""

from __future__ import annotations

from rnnx.text.tokenizer import Tokenizer, to_words

_BREAK = b"<br />"
# A word that goes on and on is held back up to here; what any vocabulary knows is shorter.
_MOST_HELD_BYTES = 1 << 16
_NEAR_BYTES = 1 << 10


class TextStream:
    """Cuts text into words as it comes.

    Attributes:
        held: The bytes that are held back: a word that may go on, or the begin of what may become a `<br />`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Begins a text.

        Args:
            tokenizer: The bundle's own.
        """
        self.held = b""
        self._strips_breaks = tokenizer.config.strip_breaks
        longest = max(len(token) for token in tokenizer.vocabulary.tokens)
        self._most_held = max(longest + 1, _MOST_HELD_BYTES)

    def feed(self, data: bytes) -> list[bytes]:
        """Takes a piece of text.

        Returns:
            The words that are finished by it. Of one longer than 64 kB, which no vocabulary knows, the begin.
        """
        text = self.held + data
        end = self._find_end(text)
        self.held = text[end:][: self._most_held]
        return to_words(text[:end], strip_breaks=self._strips_breaks).split()

    def finish(self) -> list[bytes]:
        """Ends the text: what was held back is a word, if it is one."""
        text, self.held = self.held, b""
        return to_words(text, strip_breaks=self._strips_breaks).split()

    def _find_end(self, text: bytes) -> int:
        """Up to where the words are the same whatever follows."""
        if self._strips_breaks:
            for length in range(len(_BREAK) - 1, 0, -1):
                if text.endswith(_BREAK[:length]):
                    return len(text) - length  # what stands in front of a `<` is finished
        # Nearly always there is a space close to the end.
        start = max(0, len(text) - _NEAR_BYTES)
        if (at := to_words(text[start:], strip_breaks=False).rfind(b" ")) >= 0:
            return start + at + 1
        return to_words(text[:start], strip_breaks=False).rfind(b" ") + 1
