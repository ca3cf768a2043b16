"""Texts of any length in bounded memory: of a long one, only what the model reads of it is kept."""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass

from rnnx.datasets.folders_and_tables import BYTE_ORDER_MARK
from rnnx.infer.text_stream import TextStream
from rnnx.text.tokenizer import Encoding, Tokenizer

# A text up to here is held as it is.
PIECE_BYTES = 1 << 20
# What a reader without a tokenizer (a tagger, an explanation) holds, since it needs all of it.
MOST_WHOLE_BYTES = 16 << 20
_HEAD_BYTES = 8


@dataclass(frozen=True)
class ReadText:
    """A long text, read and gone.

    Attributes:
        head: Its first bytes.
        encoding: What the tokenizer makes of the whole of it; None if it was too long to be held, and had to be.
        zero_at: Where its first zero byte stands; None if nowhere.
        invalid_at: Where it first is no UTF-8; None if nowhere.
    """

    head: bytes
    encoding: Encoding | None = None
    zero_at: int | None = None
    invalid_at: int | None = None


class TextCollector:
    """Gathers texts from pieces, one after the other; a byte order mark in front of the first one goes."""

    def __init__(self, tokenizer: Tokenizer | None) -> None:
        """Begins the first one.

        Args:
            tokenizer: The bundle's own; None if the texts are needed as a whole.
        """
        self._tokenizer = tokenizer
        self._most = MOST_WHOLE_BYTES if tokenizer is None else PIECE_BYTES
        self._pieces: list[bytes] = []
        self._size = 0
        self._long: _LongText | ReadText | None = None
        self._is_first = True

    @property
    def has_begun(self) -> bool:
        """Whether there is anything of a text that has not ended."""
        return self._size > 0

    def add(self, piece: bytes) -> None:
        """Takes the next piece of a text."""
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
        """Ends the text."""
        text = self._long.finish() if isinstance(self._long, _LongText) else self._long or self._join()
        self._pieces, self._size, self._long, self._is_first = [], 0, None, False
        return text

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
    """Keeps the words that the model reads, counts the others, and looks for what no text holds."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = TextStream(tokenizer)
        self._kept: deque[bytes] = deque(maxlen=tokenizer.config.max_length)
        self._word_count = self._size = 0
        self._head = b""
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._zero_at: int | None = None
        self._invalid_at: int | None = None

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
            begun = len(self._decoder.getstate()[0])  # of a character that goes on in this piece
            try:
                self._decoder.decode(piece, is_last)
            except UnicodeDecodeError as error:
                self._invalid_at = self._size - begun + error.start

    def _keep(self, words: list[bytes]) -> None:
        self._word_count += len(words)
        keeps_last = self._tokenizer.config.truncation_side == "left"
        self._kept.extend(words if keeps_last else words[: self._tokenizer.config.max_length - len(self._kept)])
