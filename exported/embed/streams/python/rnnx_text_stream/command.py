"""The command around the library."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import onnxruntime

from rnnx_text_stream.model import FOLDER, Answer, StreamError, StreamModel

_CHUNK_BYTES = 1 << 16  # a longer line is read in pieces


def main() -> int:
    """Runs the command, and returns its exit code."""
    parser = argparse.ArgumentParser(description="Prints the answer so far after each line of a text.")
    parser.add_argument("text", nargs="?", help="the text; -- in front of one that looks like an option")
    parser.add_argument("--file", metavar="PATH", help="reads the text from a file; - is the standard input")
    parser.add_argument("--golden", action="store_true", help="compares with golden.json; 1 at the first difference")
    options = parser.parse_args()
    if (options.text is not None) + (options.file is not None) + options.golden > 1:
        parser.error("choose one of a text, --file and --golden")
    if options.text is None and options.file is None and not options.golden and sys.stdin.isatty():
        parser.error("which text?")
    try:
        model = StreamModel.load()
        if options.golden:
            return run_golden(model)
        if options.text is not None:
            print(format_answer(model.finish(model.step(model.begin(), options.text)[0])[1]))
            return 0
        file = sys.stdin.buffer if options.file in (None, "-") else Path(options.file).open("rb")
        for line in answer_lines(model, file):
            print(line, flush=True)
    except (StreamError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def answer_lines(model: StreamModel, file: BinaryIO) -> Iterator[str]:
    """Yields the answer so far after each line as it comes, and after the word at the end of the text."""
    state, is_answered = model.begin(), False
    while chunk := file.readline(_CHUNK_BYTES):
        state, answer = model.step(state, chunk)
        line = format_answer(answer) if chunk.endswith(b"\n") else ""
        is_answered = line != ""
        if line:
            yield line
    state, answer = model.finish(state)
    if answer.words or not is_answered:
        yield format_answer(answer)


def format_answer(answer: Answer) -> str:
    """The answer as a line; empty before the first word."""
    if answer.number is not None:
        return f"{answer.number:.7g}"
    return f"{answer.label}\t{answer.probability:.6f}" if answer.label is not None else ""


def run_golden(model: StreamModel) -> int:
    """Compares with the golden vectors, in chunks of several sizes, and returns the exit code."""
    rows = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
    largest, start = 0.0, time.perf_counter()
    sizes = (1, 7, 1 << 20)
    for size in sizes:
        for i, row in enumerate(rows):
            text, words = bytes.fromhex(row["bytes"]), list[str]()
            state = model.begin()
            for at in range(0, len(text), size):
                state, answer = model.step(state, text[at : at + size])
                words += answer.words
            state, answer = model.finish(state)
            words += answer.words
            ids = row["ids"][len(row["ids"]) - len(words) :]
            difference = max(abs(p - q) for p, q in zip(state.latest, row["outputs"]))
            if model.to_ids(words) != ids or not difference <= row["tolerance"]:
                print(f"golden text {i} in chunks of {size}: other words, or off by {difference:.3g}")
                return 1
            largest = max(largest, difference)
    microseconds = (time.perf_counter() - start) / (len(sizes) * len(rows)) * 1e6
    right = f"{len(sizes) * len(rows)} of {len(sizes) * len(rows)} right"
    print(f"onnxruntime {onnxruntime.__version__}: {right}, largest difference {largest:.2g}, {microseconds:.0f} us a text")
    return 0
