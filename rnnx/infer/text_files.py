"""Reads files and lines as items, one text each. A file that cannot be read never stops the rest."""

from __future__ import annotations

import io
import os
import select
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

from rnnx.errors import DataError
from rnnx.files.foreign import is_address, name_document
from rnnx.files.read import open_stdin
from rnnx.infer.encoders import Encoded
from rnnx.infer.input_items import STDIN, Item, reason
from rnnx.infer.long_text import MOST_WHOLE_BYTES, PIECE_BYTES, ReadText, TextCollector
from rnnx.text.tokenizer import Tokenizer

_CHUNK_BYTES = 1 << 16
# So much of a line that cannot be read is skipped to find the next line. A file of zeros has none.
MOST_SKIPPED_BYTES = 256 << 20


def read_files(sources: Iterable[str], tokenizer: Tokenizer | None = None) -> Iterator[Item]:
    """Reads each file as one text.

    Args:
        sources: The names of the files.
        tokenizer: The tokenizer of the bundle, with which a text of any length is read in bounded memory; None if the
            texts must be kept whole.
    """
    for source in sources:
        text = TextCollector(tokenizer)
        try:
            with nullcontext(open_stdin()) if source == STDIN else Path(source).open("rb") as file:
                for piece in iter(partial(file.read, PIECE_BYTES), b""):
                    text.add(piece)
                    if text.is_refused:  # the rest may have no end
                        break
        except OSError as error:
            yield Item(source, None, None, _why_missing(source, error))
        else:
            yield _item(source, None, text.take(), empty="the file is empty")


def read_lines(sources: Iterable[str], tokenizer: Tokenizer | None = None) -> Iterator[Item | None]:
    """Reads each line of each file as one text; an empty line is a text without words.

    Args:
        sources: The names of the files.
        tokenizer: As for `read_files`.

    Yields:
        Items; None when stdin has no further input yet, so that the items so far can be answered.
    """
    for source in sources:
        try:
            if source == STDIN:
                yield from _lines_of_stdin(tokenizer)
            else:
                with Path(source).open("rb") as file:
                    yield from _lines_of(source, file, tokenizer)
        except OSError as error:
            yield Item(source, None, None, reason(error))


def split_lines(source: str, data: bytes) -> Iterator[Item]:
    """Splits what is in memory into lines as `read_lines` does, each one text.

    Args:
        source: The file as the user named it.
        data: Its content.
    """
    yield from _lines_of(source, io.BytesIO(data), None)


def read_treebank(source: str) -> Iterator[Item]:
    """Reads each sentence of a CoNLL-U file, or of another one with a word per line; `Item.line` is where it begins."""
    from rnnx.datasets.tagged_files import read_sentences  # the readers of data sets are not needed for texts

    try:
        with Path(source).open("rb") as file:
            for sentence in read_sentences(Path(source), _bounded(source, file)):
                yield Item(source, sentence.first_line, None, sentence=sentence)
    except OSError as error:
        yield Item(source, None, None, reason(error))
    except DataError as error:
        yield Item(source, None, None, f"{error.line}: {error.what}")


def _bounded(source: str, file: BinaryIO) -> Iterator[bytes]:
    """Reads the lines of a treebank; raises DataError at a sentence that is too long to be kept."""
    size = 0
    for number, line in enumerate(iter(partial(file.readline, MOST_WHOLE_BYTES), b""), 1):
        size = size + len(line) if line.strip() else 0
        if size >= MOST_WHOLE_BYTES:
            raise DataError(f"a sentence of {MOST_WHOLE_BYTES >> 20} MB (no blank line before it?)", source, number)
        yield line


def _lines_of_stdin(tokenizer: Tokenizer | None) -> Iterator[Item | None]:
    """Reads the lines of stdin; yields None whenever no further input has come yet."""
    stdin = open_stdin()
    try:
        descriptor = stdin.fileno()
    except OSError:  # stdin is not a file of the operating system, as in a notebook or a test
        yield from _lines_of(STDIN, stdin, tokenizer)
        return
    lines = _Lines(STDIN, tokenizer)
    while not lines.is_hopeless and (chunk := os.read(descriptor, _CHUNK_BYTES)):
        yield from lines.feed(chunk)
        if not _has_more(descriptor):
            yield None
    yield from lines.finish()


def _has_more(descriptor: int) -> bool:
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    except (OSError, ValueError):  # Windows cannot tell for a pipe; then items are answered in whole windows
        return True


def _lines_of(source: str, file: BinaryIO, tokenizer: Tokenizer | None) -> Iterator[Item]:
    lines = _Lines(source, tokenizer)
    # A pipe gives what has come, so that lines are not held back until a chunk is full.
    read = file.read1 if isinstance(file, io.BufferedIOBase) else file.read
    for chunk in iter(partial(read, _CHUNK_BYTES), b""):
        yield from lines.feed(chunk)
        if lines.is_hopeless:
            break
    yield from lines.finish()


class _Lines:
    """Cuts chunks of a file into lines, each an item; a long line is read in bounded memory."""

    def __init__(self, source: str, tokenizer: Tokenizer | None) -> None:
        self._source = source
        self._text = TextCollector(tokenizer)
        self._count = 0

    @property
    def is_hopeless(self) -> bool:
        """Whether a line that cannot be read goes on for so long that nothing after it is looked for."""
        return self._text.size > MOST_SKIPPED_BYTES and self._text.is_refused

    def feed(self, chunk: bytes) -> Iterator[Item]:
        """Takes a chunk of at most 64 kB; yields the lines that it ends."""
        first, *rest = chunk.split(b"\n")
        self._text.add(first)
        if not rest:
            return
        *whole, last = rest
        self._count += 1
        yield _line_item(self._source, self._count, self._text.take())
        for line in whole:
            self._count += 1
            yield _line_item(self._source, self._count, self._text.take_whole(line))
        self._text.add(last)

    def finish(self) -> Iterator[Item]:
        """Ends the file; yields its last line if no line break ends it."""
        if self._text.has_begun:
            is_hopeless = self.is_hopeless
            item = _line_item(self._source, self._count + 1, self._text.take())
            yield replace(item, error=f"{item.error}; nothing after it was read") if is_hopeless else item


def _line_item(source: str, number: int, text: bytes | ReadText) -> Item:
    return _item(source, number, text.removesuffix(b"\r") if isinstance(text, bytes) else text, empty=None)


def text_item(source: str, line: int, text: bytes, tokenizer: Tokenizer | None = None) -> Item:
    """Makes an item of a text that is in memory; it cannot be read if it holds zero bytes.

    Args:
        source: The file as the user named it.
        line: Where the text is in the file.
        text: The text; it may be empty.
        tokenizer: The tokenizer of the bundle, with which a long text is read piece by piece; None keeps it whole.
    """
    if tokenizer is None or len(text) <= PIECE_BYTES:
        return _item(source, line, text, empty=None)
    collector = TextCollector(tokenizer)
    collector.take()  # a byte order mark is removed from the first text of a file only
    for start in range(0, len(text), PIECE_BYTES):
        collector.add(text[start : start + PIECE_BYTES])
    return _item(source, line, collector.take(), empty=None)


def _item(source: str, line: int | None, text: bytes | ReadText, empty: str | None) -> Item:
    if isinstance(text, ReadText):
        return _long_item(source, line, text)
    if not text and empty:
        return Item(source, line, None, empty)
    if (what := name_document(text)) is not None:
        return Item(source, line, None, _no_text_error(what))
    if (at := text.find(b"\0")) >= 0:
        return Item(source, line, None, zero_error(at))
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return Item(source, line, text, _utf8_warning(error.start))
    return Item(source, line, text)


def _long_item(source: str, line: int | None, text: ReadText) -> Item:
    if (what := name_document(text.head)) is not None:
        return Item(source, line, None, _no_text_error(what))
    if text.encoding is None:
        return Item(
            source, line, None, f"longer than {MOST_WHOLE_BYTES >> 20} MB, the most that is read whole; split the text"
        )
    if text.zero_at is not None:
        return Item(source, line, None, zero_error(text.zero_at))
    warning = None if text.invalid_at is None else _utf8_warning(text.invalid_at)
    return Item(source, line, None, warning, encoded=Encoded(*text.encoding))


def _no_text_error(what: str) -> str:
    return f"not a text: {what}; this model reads texts: save it as plain text (.txt)"


def zero_error(at: int) -> str:
    """Why a text with a zero byte at an offset in bytes has no answer."""
    return f"not a text: a zero byte at offset {at} (a binary file, or UTF-16?); save it as UTF-8"


def _utf8_warning(at: int) -> str:
    return f"not UTF-8 at byte {at}; read all the same, byte by byte"


def _why_missing(source: str, error: OSError) -> str:
    """Says why a file that should be a text cannot be read."""
    if is_address(source):
        return "an address, not a file; download it, and name the file"
    if isinstance(error, FileNotFoundError) and " " in source.strip():
        return f"{reason(error)}; if it is a text itself, send it to stdin: echo TEXT | rnnx infer -"
    return reason(error)
