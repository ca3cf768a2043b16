"""Reads texts of any length in bounded memory: of a long text, only the words that the model reads are kept."""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass

from rnnx.infer.text_stream import TextStream
from rnnx.text.tokenizer import BYTE_ORDER_MARK, Encoding, Tokenizer

# A text of at most this size is kept whole.
PIECE_BYTES = 1 << 20
# A tagger or an explanation needs the whole text; this is the longest one that they read.
MOST_WHOLE_BYTES = 16 << 20
# As much of a long text as the check for archives and arrays looks at.
_HEAD_BYTES = 8


@dataclass(frozen=True)
class ReadText:
    """A long text that was read and not kept.

    Attributes:
        head: Its first bytes.
        encoding: The ids of the whole text; None if it would have to be kept whole and is too long for that.
        zero_at: The offset of its first zero byte; None if there is none.
        invalid_at: The offset of its first byte that is not UTF-8; None if there is none.
    """

    head: bytes
    encoding: Encoding | None = None
    zero_at: int | None = None
    invalid_at: int | None = None


class TextCollector:
    """Puts texts together from pieces, one text after the other; removes a byte order mark before the first text."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        """Begins the first text.

        Args:
            tokenizer: The tokenizer of the bundle; None if the texts must be kept whole.
        """
        self._tokenizer = tokenizer
        self._most = MOST_WHOLE_BYTES if tokenizer is None else PIECE_BYTES
        self._pieces: list[bytes] = []
        self._size = 0
        self._long: _LongText | ReadText | None = None
        self._is_first = True

    @property
    def has_begun(self) -> bool:
        """Whether a text has begun and not ended."""
        return self._size > 0

    @property
    def size(self) -> int:
        """The bytes of the text so far."""
        return self._size

    @property
    def is_refused(self) -> bool:
        """Whether the text is known to be unreadable: it holds a zero byte, or is too long to be kept."""
        if isinstance(self._long, ReadText):
            return True
        if isinstance(self._long, _LongText):
            return self._long.is_refused
        return any(b"\0" in piece for piece in self._pieces)

    def add(self, piece: bytes) -> None:
        """Takes the next piece of the text."""
        self._size += len(piece)
        if self._size <= self._most:
            self._pieces.append(piece)
        elif isinstance(self._long, _LongText):
            self._long.feed(piece)
        elif self._long is None:
            self._pieces.append(piece)
            self._begin_long(self._join())
            self._pieces = []

    def take(self) -> bytes | ReadText:
        """Ends the text and returns it."""
        text = self._long.finish() if isinstance(self._long, _LongText) else self._long or self._join()
        self._pieces, self._size, self._long, self._is_first = [], 0, None, False
        return text

    def take_whole(self, text: bytes) -> bytes | ReadText:
        """Takes a text that is in one piece, and returns it; no other text may have begun."""
        if len(text) <= self._most and not self._is_first:
            return text
        self.add(text)
        return self.take()

    def _join(self) -> bytes:
        data = b"".join(self._pieces)
        return data.removeprefix(BYTE_ORDER_MARK) if self._is_first else data

    def _begin_long(self, data: bytes) -> None:
        if self._tokenizer is None:
            self._long = ReadText(data[:_HEAD_BYTES])
        else:
            self._long = _LongText(self._tokenizer)
            self._long.feed(data)


class _LongText:
    """Keeps the words that the model reads, counts the others, and looks for zero bytes and invalid UTF-8."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer)
        self._kept: deque[bytes] = deque(maxlen=tokenizer.config.max_length)
        self._word_count = self._size = 0
        self._head = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._zero_at: int | None = None
        self._invalid_at: int | None = None

    @property
    def is_refused(self) -> bool:
        return self._zero_at is not None

    def feed(self, piece: bytes) -> None:
        self._head = self._head or piece[:_HEAD_BYTES]
        if self._zero_at is None and (at := piece.find(b"\0")) >= 0:
            self._zero_at = self._size + at
        self._decode(piece, is_last=False)
        self._size += len(piece)
        self._keep(self._stream.feed(piece))

    def finish(self) -> ReadText:
        self._decode(b"", is_last=True)
        self._keep(self._stream.finish())
        encoding = self._tokenizer.encode_words(list(self._kept), self._word_count)
        return ReadText(self._head, encoding, self._zero_at, self._invalid_at)

    def _decode(self, piece: bytes, *, is_last: bool) -> None:
        if self._invalid_at is None:
            begun = len(self._decoder.getstate()[0])  # bytes of a character that began in the piece before
            try:
                self._decoder.decode(piece, is_last)
            except UnicodeDecodeError as error:
                self._invalid_at = self._size - begun + error.start

    def _keep(self, words: list[bytes]) -> None:
        self._word_count += len(words)
        keeps_last = self._tokenizer.config.truncation_side == "left"
        self._kept.extend(words if keeps_last else words[: self._tokenizer.config.max_length - len(self._kept)])
