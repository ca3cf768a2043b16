"""`rnnx infer --follow`: reads one growing sequence from a file or stdin, and answers after each line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from rnnx.bundle.directory import STREAM_NAME, VOCABULARY_NAME, open_directory
from rnnx.bundle.find_model import find_directory
from rnnx.cli import terminal
from rnnx.cli.answers import describe_label, label_cells
from rnnx.errors import UsageError
from rnnx.files.read import open_stdin
from rnnx.infer.stream import Stream, StreamAnswer, open_stream
from rnnx.infer.text_files import MOST_SKIPPED_BYTES, zero_error
from rnnx.text.tokenizer import BYTE_ORDER_MARK

if TYPE_CHECKING:
    from rnnx.infer.predictions import Prediction
    from rnnx.runtime.session import Device

STDIN = "-"
# A longer line is read in pieces of this size; a text is answered after each piece.
_MOST_LINE_BYTES = 1 << 16


class Follower:
    """Answers a sequence line by line; each answer is written at once.

    Attributes:
        failed_count: How many lines could not be read.
    """

    def __init__(self, stream: Stream, source: str, top: int, *, as_jsonl: bool) -> None:
        """Begins to follow.

        Args:
            stream: The stream of a bundle.
            source: The file as the user named it, for the answers.
            top: How many labels a row shows.
            as_jsonl: Whether answers are lines of JSON; else they are tab-separated.
        """
        self.failed_count = 0
        self._stream = stream
        self._source = source
        self._top = top
        self._as_jsonl = as_jsonl
        self._is_text = stream.config.kind == "texts"
        self._feed = self._feed_text if self._is_text else self._feed_numbers

    def follow(self, file: BinaryIO) -> None:
        """Reads a file to its end: a text by lines or pieces of long lines, numbers by lines of whole positions.

        A text is not read on after its first zero byte, and numbers not after a line without an end.
        """
        number, begin = 1, 0
        while piece := file.readline(_MOST_LINE_BYTES):
            is_cut = len(piece) == _MOST_LINE_BYTES and not piece.endswith(b"\n")
            if self._is_text and (at := piece.find(b"\0")) >= 0:
                self._fail(number, f"{zero_error(begin + at)}; nothing after it was read")
                return
            begin += len(piece)
            if number == 1:
                piece = piece.removeprefix(BYTE_ORDER_MARK)
            try:
                answers = list(self._feed(piece, is_cut=is_cut))
            except ValueError as error:
                self._fail(number, str(error))
                if is_cut and not self._is_text:
                    if not _skip_line(file):
                        return
                    number += 1
            else:
                self._write(number, answers)
            number += piece.endswith(b"\n")
        if (answer := self._stream.finish()).words:  # the last piece was cut, and its last word held back
            self._write(number, [answer])

    def _fail(self, number: int, reason: str) -> None:
        self.failed_count += 1
        terminal.error(f"{self._source}:{number}: {reason}")
        if self._as_jsonl:
            self._write_json(number, {"status": "error", "error": reason})

    def _feed_text(self, piece: bytes, *, is_cut: bool) -> Iterator[StreamAnswer]:
        answer = self._stream.feed(piece)
        if is_cut or piece.endswith(b"\n"):
            yield answer
            return
        # The file ends without a newline, which ends its last word. A classifier needs only one answer to the whole.
        if self._stream.config.task != "classification":
            yield answer
        yield self._stream.finish()

    def _feed_numbers(self, piece: bytes, *, is_cut: bool) -> Iterator[StreamAnswer]:
        if is_cut:
            raise ValueError(f"the line is longer than {_MOST_LINE_BYTES} bytes")
        cells = piece.decode(errors="replace").replace(",", " ").split()
        port = self._stream.config.inputs[0]
        numbers = np.array([float(cell) if port.kind == "numbers" else int(cell) for cell in cells])
        shape = [size or 1 for size in port.shape[1:]]
        if numbers.size % math.prod(shape):
            raise ValueError(f"the line has {numbers.size} numbers, but each position has {math.prod(shape)}")
        yield self._stream.feed(numbers.reshape(-1, *shape))

    def _write(self, number: int, answers: list[StreamAnswer]) -> None:
        task = self._stream.config.task
        for answer in answers:
            words: tuple[str | None, ...] = answer.words or (None,) * len(answer.predictions)
            if task == "classification":
                for prediction in answer.predictions:
                    self._write_prediction(number, prediction, None)
            elif task == "tagging":
                for word, prediction in zip(words, answer.predictions, strict=True):
                    self._write_prediction(number, prediction, word)
            else:
                self._write_values(number, answer)

    def _write_prediction(self, number: int, prediction: Prediction, word: str | None) -> None:
        if self._as_jsonl:
            word_field = {} if word is None else {"word": word}
            self._write_json(number, {"status": "ok", **word_field, **describe_label(prediction)})
            return
        terminal.write_row([number if word is None else word, *label_cells(prediction, self._top)])

    def _write_values(self, number: int, answer: StreamAnswer) -> None:
        if self._as_jsonl:
            values = {name: array.tolist() for name, array in answer.outputs.items()}
            self._write_json(number, {"status": "ok", "values": values})
            return
        for array in answer.outputs.values():
            for row in array.reshape(-1, array.shape[-1]):
                terminal.write_row([number, *(f"{value:.6g}" for value in row)])

    def _write_json(self, number: int, item: dict[str, Any]) -> None:
        terminal.write_json({"source": self._source, "line": number, **item}, indent=None)


def _skip_line(file: BinaryIO) -> bool:
    """Reads the rest of a line; returns False if it has no end that is worth looking for."""
    skipped = 0
    while piece := file.readline(_MOST_LINE_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            return True
        if skipped > MOST_SKIPPED_BYTES:
            return False
    return True


def follow(model: str, source: str, device: Device, threshold: float, top: int, *, as_jsonl: bool) -> int:
    """Follows a file, or stdin, to its end.

    Args:
        model: The name of a shipped model, or the path of a bundle.
        source: The file; `-` is stdin.
        device: As for `open_stream`.
        threshold: With two labels, the probability from which the second one is chosen.
        top: How many labels a row shows.
        as_jsonl: Whether answers are lines of JSON; else they are tab-separated.

    Returns:
        The exit code: 1 if a line could not be read.

    Raises:
        ModelError: If the bundle is broken, or has no streaming file.
        UsageError: If the network reads several inputs.
        OSError: If the file cannot be opened.
    """
    directory = open_directory(find_directory(model), lambda config: {VOCABULARY_NAME, STREAM_NAME})
    stream = open_stream(directory, device=device, threshold=threshold)
    if len(stream.config.inputs) > 1:
        raise UsageError(f"{model} reads several inputs, but a growing file is one; use Predictor.stream in Python")
    follower = Follower(stream, source, top, as_jsonl=as_jsonl)
    if source == STDIN:
        follower.follow(open_stdin())
    else:
        with Path(source).open("rb") as file:
            follower.follow(file)
    return 1 if follower.failed_count else 0
