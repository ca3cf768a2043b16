"""Files and lines as items: a text each, or the reason why there is none. A bad file never stops the rest."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rnnx.datasets.readers import BYTE_ORDER_MARK
from rnnx.infer.predictor import Prediction, Predictor, chunks

STDIN = "-"
_WINDOW = 2048


@dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        source: The file as it was named; `-` for stdin.
        line: From 1; None where the file is one text.
        text: None if it cannot be read.
        error: Why not; or, beside a text, what is odd about it.
    """

    source: str
    line: int | None
    text: bytes | None
    error: str | None = None


@dataclass(frozen=True)
class Answer:
    """An item with its prediction; None where the item has no text."""

    item: Item
    prediction: Prediction | None


def read_files(sources: Iterable[str]) -> Iterator[Item]:
    """Reads each file as one text."""
    for source in sources:
        try:
            data = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
        except OSError as error:
            yield Item(source, None, None, _reason(error))
        else:
            yield _item(source, None, data.removeprefix(BYTE_ORDER_MARK), empty="the file is empty")


def read_lines(sources: Iterable[str]) -> Iterator[Item]:
    """Reads each line of each file as one text; an empty line is a text without words."""
    for source in sources:
        try:
            if source == STDIN:
                yield from _lines_of(source, sys.stdin.buffer)
            else:
                with Path(source).open("rb") as file:
                    yield from _lines_of(source, file)
        except OSError as error:
            yield Item(source, None, None, _reason(error))


def answer(
    predictor: Predictor, items: Iterable[Item], threshold: float, *, is_interactive: bool = False
) -> Iterator[Answer]:
    """Predicts what can be predicted; answers come in the order of the items, `is_interactive` one by one."""
    for window in chunks(items, 1 if is_interactive else _WINDOW):
        texts = [item.text for item in window if item.text is not None]
        predictions = iter(predictor.predict(texts, threshold=threshold))
        for item in window:
            yield Answer(item, None if item.text is None else next(predictions))


def _lines_of(source: str, file: BinaryIO) -> Iterator[Item]:
    for number, line in enumerate(file, 1):
        text = line.removesuffix(b"\n").removesuffix(b"\r")
        yield _item(source, number, text.removeprefix(BYTE_ORDER_MARK) if number == 1 else text, empty=None)


def _item(source: str, line: int | None, text: bytes, empty: str | None) -> Item:
    if not text and empty:
        return Item(source, line, None, empty)
    if (at := text.find(b"\0")) >= 0:
        return Item(source, line, None, f"not a text: a zero byte at offset {at} (a binary file, or UTF-16?)")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return Item(source, line, text, f"not UTF-8 at byte {error.start}; read byte by byte all the same")
    return Item(source, line, text)


def _reason(error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file; name the files in it"
    return error.strerror or str(error)
