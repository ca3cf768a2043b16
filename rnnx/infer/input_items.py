"""The items of a command: its inputs one by one, where each is from, and their answers in the same order.

`rnnx.infer.text_files` and `rnnx.infer.array_files` read items. An item that cannot be read says why, and never stops
the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rnnx.infer.encoders import Encoded
from rnnx.infer.predictions import LabelSet, Prediction, Rating, Tagging, Values
from rnnx.infer.predictor import Predictor
from rnnx.text.tokenizer import to_text

if TYPE_CHECKING:
    from rnnx.datasets.column_files import ColumnSentence
    from rnnx.datasets.conllu import ConlluSentence

STDIN = "-"
# Items of at most this much memory are answered together, however few they are.
_WINDOW_BYTES = 32 << 20
# The first window is this part of a whole one, and each further one twice as large as the one before, until they are
# whole. So the cores begin to compute early, and the first answers come early.
_FIRST_WINDOW = 1 / 8


@dataclass(frozen=True)
class Item:
    """One input.

    Attributes:
        source: The file as the user named it; `-` for stdin.
        line: The line number, from 1; None if the file is one text, or holds numbers.
        text: The text; None for any other item, and if it cannot be read.
        error: Why the item cannot be read; for an item with a text, a warning.
        index: The index of a sequence in its file, from 0; None for a text, and for a file that cannot be read.
        sentence: A sentence of a treebank or another file of words; None for any other item.
        encoded: A sequence, or a text that was too long to be kept, as the reader of the model encodes it; None for any
            other item.
        counts_characters: Whether the answer counts places in the characters of the text, not in its bytes.
    """

    source: str
    line: int | None
    text: bytes | None
    error: str | None = None
    index: int | None = None
    sentence: ConlluSentence | ColumnSentence | None = None
    encoded: Encoded | None = None
    counts_characters: bool = False

    @property
    def given(self) -> str | bytes | tuple[bytes, ...] | Encoded | None:
        """The input for the model; None if there is none."""
        if self.encoded is not None:
            return self.encoded
        if self.sentence is not None:
            return self.sentence.words
        return to_text(self.text) if self.counts_characters and self.text is not None else self.text

    @property
    def size_bytes(self) -> int:
        """The memory that the item takes."""
        if self.encoded is not None:
            return self.encoded.size_bytes
        if self.sentence is not None:
            return sum(map(len, self.sentence.lines))
        return len(self.text or b"")


@dataclass(frozen=True)
class Answer:
    """An item with its prediction; None if the item cannot be read, or the network gives no finite number."""

    item: Item
    prediction: Prediction | LabelSet | Rating | Tagging | Values | None


def reason(error: OSError) -> str:
    """Says why a file cannot be read."""
    if isinstance(error, IsADirectoryError):
        return "a folder, not a file; name the files in it"
    return error.strerror or str(error)


def answer(
    predictor: Predictor, items: Iterable[Item | None], threshold: float, window: int | None = None
) -> Iterator[Answer]:
    """Predicts every item that can be predicted; answers come in the order of the items.

    Args:
        predictor: A bundle.
        items: From one of the `read_` functions; None means that the next item may take a while.
        threshold: As in `Predictor.predict`.
        window: How many items are sorted by length and answered together, for items that are all in memory; None
            means `Predictor.window`, and less at first, so that the first answers come early.
    """
    waiting: deque[list[Item]] = deque()

    def inputs() -> Iterator[list[Any] | None]:
        first = max(1, int(predictor.window * _FIRST_WINDOW)) if window is None else window
        for some in _windows(items, first, window or predictor.window):
            if some is not None:
                waiting.append(some)
                yield [item.given for item in some if item.given is not None]
            else:
                yield None

    for answers in predictor.predict_windows(inputs(), threshold=threshold):
        predictions = iter(answers)
        for item in waiting.popleft():
            prediction = None if item.given is None else next(predictions)
            if prediction is not None and not prediction.is_finite:
                yield Answer(replace(item, error=f"{_name(item)}the network gives no finite number"), None)
            else:
                yield Answer(item, prediction)


def _name(item: Item) -> str:
    return "" if item.index is None else f"sequence {item.index}: "


def _windows(items: Iterable[Item | None], first: int, most: int) -> Iterator[list[Item] | None]:
    """Collects items to be answered together: enough for good batches, but in bounded memory and without waiting.

    Args:
        items: As in `answer`.
        first: The items of the first window; each further one has twice as many as the one before.
        most: The most items of a window.

    Yields:
        The items of a window; None when the next item may take a while.
    """
    window: list[Item] = []
    size = 0
    count = first
    for item in items:
        if item is not None:
            window.append(item)
            size += item.size_bytes
        if window and (item is None or len(window) == count or size > _WINDOW_BYTES):
            yield window
            window, size = [], 0
            count = min(2 * count, most)
        if item is None:
            yield None
    if window:
        yield window
