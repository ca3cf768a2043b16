"""Files and lines as items: a text each, or the reason why there is none. A bad file never stops the rest.

An item may be a sequence of numbers too, which `rnnx.infer.array_files` reads; all are answered here.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rnnx.datasets.conllu import ConlluSentence, parse_conllu
from rnnx.errors import DataError
from rnnx.infer.encoders import Encoded, Row
from rnnx.infer.long_text import MOST_WHOLE_BYTES, PIECE_BYTES, ReadText, TextCollector
from rnnx.infer.predictions import Prediction, Tagging, Values
from rnnx.infer.predictor import Predictor
from rnnx.text.tokenizer import Tokenizer

STDIN = "-"
# A window of answers holds at most this much text, however few the files.
_WINDOW_BYTES = 32 << 20
_CHUNK_BYTES = 1 << 16
_NO_TEXT = (b"\x93NUMPY", b"PK\x03\x04")
_NO_TEXT_ERROR = "not a text: an array of numpy's, or an archive; this model reads texts"


@dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        source: The file as it was named; `-` for stdin.
        line: From 1; None where the file is one text, or holds numbers.
        text: None if it cannot be read.
        error: Why not; or, beside a text, what is odd about it.
        index: Of a sequence in its file, from 0; None for a text, and for a file that cannot be read.
        row: A sequence by input name; None for a text, and if it cannot be read.
        sentence: One of a treebank, whose words are given; None for anything else.
        encoded: What the model reads of a text that was too long to be held; None for anything else.
    """

    source: str
    line: int | None
    text: bytes | None
    error: str | None = None
    index: int | None = None
    row: Row | None = None
    sentence: ConlluSentence | None = None
    encoded: Encoded | None = None

    @property
    def given(self) -> bytes | Row | tuple[bytes, ...] | Encoded | None:
        """What the model is given; None if there is nothing."""
        if self.encoded is not None:
            return self.encoded
        if self.sentence is not None:
            return self.sentence.words
        return self.text if self.row is None else self.row

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        if self.encoded is not None:
            return int(self.encoded.given.nbytes)
        if self.sentence is not None:
            return sum(map(len, self.sentence.lines))
        return len(self.text or b"") if self.row is None else sum(values.nbytes for values in self.row.values())


@dataclass(frozen=True)
class Answer:
    """An item with its prediction; None where there is nothing to be read, or the network gives no number."""

    item: Item
    prediction: Prediction | Tagging | Values | None


def read_files(sources: Iterable[str], tokenizer: Tokenizer | None = None) -> Iterator[Item]:
    """Reads each file as one text.

    Args:
        sources: Their names.
        tokenizer: The bundle's own, which makes memory for texts of any length; None if they are needed as a whole.
    """
    for source in sources:
        text = TextCollector(tokenizer)
        try:
            with nullcontext(sys.stdin.buffer) if source == STDIN else Path(source).open("rb") as file:
                for piece in iter(partial(file.read, PIECE_BYTES), b""):
                    text.add(piece)
        except OSError as error:
            yield Item(source, None, None, reason(error))
        else:
            yield _item(source, None, text.take(), empty="the file is empty")


def read_lines(sources: Iterable[str], tokenizer: Tokenizer | None = None) -> Iterator[Item | None]:
    """Reads each line of each file as one text; an empty line is a text without words.

    Args:
        sources: Their names.
        tokenizer: As for `read_files`.

    Yields:
        Items; None where stdin has nothing more to give yet.
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


def read_treebank(source: str) -> Iterator[Item]:
    """Reads each sentence of a CoNLL-U file; `line` is where it begins."""
    try:
        with Path(source).open("rb") as file:
            for sentence in parse_conllu(source, _bounded(source, file)):
                yield Item(source, sentence.first_line, None, sentence=sentence)
    except OSError as error:
        yield Item(source, None, None, reason(error))
    except DataError as error:
        yield Item(source, None, None, f"{error.line}: {error.what}")


def _bounded(source: str, file: BinaryIO) -> Iterator[bytes]:
    """The lines of a treebank, as long as its sentences can be held."""
    size = 0
    for number, line in enumerate(iter(partial(file.readline, MOST_WHOLE_BYTES), b""), 1):
        size = size + len(line) if line.strip() else 0
        if size >= MOST_WHOLE_BYTES:
            raise DataError(f"a sentence of {MOST_WHOLE_BYTES >> 20} MB (no blank line before it?)", source, number)
        yield line


def answer(predictor: Predictor, items: Iterable[Item | None], threshold: float) -> Iterator[Answer]:
    """Predicts what can be predicted; answers come in the order of the items.

    Args:
        predictor: A bundle.
        items: From one of the `read_` functions; None means that the next one may take a while.
        threshold: As in `Predictor.predict`.
    """
    for window in _windows(items, predictor.window):
        given: list[Any] = [item.given for item in window if item.given is not None]
        predictions = predictor.predict_stream(given, threshold=threshold)
        for item in window:
            prediction = None if item.given is None else next(predictions)
            if prediction is not None and not prediction.is_finite:
                yield Answer(replace(item, error=f"{_name(item)}the network gives no finite number"), None)
            else:
                yield Answer(item, prediction)


def _name(item: Item) -> str:
    return "" if item.index is None else f"sequence {item.index}: "


def _windows(items: Iterable[Item | None], most: int) -> Iterator[list[Item]]:
    """Gathers items to be answered together: enough for good batches, not so many as to fill the memory or to wait."""
    window: list[Item] = []
    size = 0
    for item in items:
        if item is not None:
            window.append(item)
            size += item.size_bytes
        if window and (item is None or len(window) == most or size > _WINDOW_BYTES):
            yield window
            window, size = [], 0
    if window:
        yield window


def _lines_of_stdin(tokenizer: Tokenizer | None) -> Iterator[Item | None]:
    """The lines of stdin, with a None wherever nothing more has come yet."""
    try:
        descriptor = sys.stdin.fileno()
    except OSError:  # not a file of the system's: a test's, a notebook's
        yield from _lines_of(STDIN, sys.stdin.buffer, tokenizer)
        return
    number, text = 0, TextCollector(tokenizer)
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        first, *lines = chunk.split(b"\n")
        text.add(first)
        for rest in lines:
            number += 1
            yield _line_item(STDIN, number, text.take())
            text.add(rest)
        if not _has_more(descriptor):
            yield None
    if text.has_begun:
        yield _line_item(STDIN, number + 1, text.take())


def _has_more(descriptor: int) -> bool:
    try:
        return bool(select.select([descriptor], [], [], 0)[0])
    except (OSError, ValueError):  # where the system cannot tell (pipes on Windows), gather whole windows
        return True


def _lines_of(source: str, file: BinaryIO, tokenizer: Tokenizer | None) -> Iterator[Item]:
    number, text = 1, TextCollector(tokenizer)
    for piece in iter(partial(file.readline, PIECE_BYTES), b""):
        text.add(piece.removesuffix(b"\n"))
        if piece.endswith(b"\n"):
            yield _line_item(source, number, text.take())
            number += 1
    if text.has_begun:
        yield _line_item(source, number, text.take())


def _line_item(source: str, number: int, text: bytes | ReadText) -> Item:
    return _item(source, number, text.removesuffix(b"\r") if isinstance(text, bytes) else text, empty=None)


def _item(source: str, line: int | None, text: bytes | ReadText, empty: str | None) -> Item:
    if isinstance(text, ReadText):
        return _long_item(source, line, text)
    if not text and empty:
        return Item(source, line, None, empty)
    if text.startswith(_NO_TEXT):
        return Item(source, line, None, _NO_TEXT_ERROR)
    if (at := text.find(b"\0")) >= 0:
        return Item(source, line, None, _zero_error(at))
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return Item(source, line, text, _utf8_warning(error.start))
    return Item(source, line, text)


def _long_item(source: str, line: int | None, text: ReadText) -> Item:
    if text.head.startswith(_NO_TEXT):
        return Item(source, line, None, _NO_TEXT_ERROR)
    if text.encoding is None:
        most = f"{MOST_WHOLE_BYTES >> 20} MB"
        return Item(
            source, line, None, f"longer than the {most} that can be read as a whole; cut it into several texts"
        )
    if text.zero_at is not None:
        return Item(source, line, None, _zero_error(text.zero_at))
    warning = None if text.invalid_at is None else _utf8_warning(text.invalid_at)
    return Item(source, line, None, warning, encoded=Encoded(*text.encoding))


def _zero_error(at: int) -> str:
    return f"not a text: a zero byte at offset {at} (a binary file, or UTF-16?)"


def _utf8_warning(at: int) -> str:
    return f"not UTF-8 at byte {at}; read byte by byte all the same"


def reason(error: OSError) -> str:
    """Why a file cannot be read, in words."""
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file; name the files in it"
    return error.strerror or str(error)
