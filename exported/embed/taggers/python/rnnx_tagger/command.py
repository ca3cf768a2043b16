"""The command around the library."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from rnnx_tagger.tagger import FOLDER, Tagger, TaggerError

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def main() -> int:
    """Runs the command, and returns its exit code."""
    parser = argparse.ArgumentParser(description="Prints the words of a text: sentence, word, tag, probability.")
    parser.add_argument("text", nargs="?", help="the text; -- in front of one that looks like an option")
    parser.add_argument("--file", metavar="PATH", help="reads the text from a file; - is the standard input")
    parser.add_argument("--golden", action="store_true", help="compares with golden.json; 1 at the first difference")
    options = parser.parse_args()
    if (options.text is not None) + (options.file is not None) + options.golden > 1:
        parser.error("choose one of a text, --file and --golden")
    if options.text is None and options.file is None and not options.golden and sys.stdin.isatty():
        parser.error("which text?")
    try:
        if options.golden:
            return run_golden(Tagger.load())
        text = options.text if options.text is not None else read_text(options.file)
        sys.stdout.buffer.write("".join(format_lines(Tagger.load(), text)).encode("utf-8", "replace"))
    except (TaggerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def read_text(path: str | None) -> bytes:
    """Reads a file or the standard input, as bytes."""
    return sys.stdin.buffer.read() if path in (None, "-") else Path(str(path)).read_bytes()


def format_lines(tagger: Tagger, text: str | bytes) -> list[str]:
    """The words of a text as lines; a control character is shown as a question mark."""
    return [
        f"{number}\t{_CONTROL.sub('?', word.text)}\t{word.tag}\t{word.probability:.6f}\n"
        for number, sentence in enumerate(tagger.tag(text), 1)
        for word in sentence
    ]


def run_golden(tagger: Tagger) -> int:
    """Compares with the golden vectors, and returns the exit code."""
    golden = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
    for i, row in enumerate(golden["texts"]):
        if [[list(span) for span in spans] for spans in tagger.split(bytes.fromhex(row["bytes"]))] != row["sentences"]:
            print(f"golden text {i}: other sentences or words")
            return 1
    rows = golden["sentences"]
    sentences = [[bytes.fromhex(word) for word in row["bytes"]] for row in rows]
    start = time.perf_counter()
    alone = [tagger.compute([sentence])[0] for sentence in sentences]
    microseconds = (time.perf_counter() - start) / len(sentences) * 1e6
    largest, count = 0.0, 0
    for where, answers in (("alone", alone), ("in a batch", tagger.compute(sentences))):
        for i, (row, sentence, probs) in enumerate(zip(rows, sentences, answers)):
            ids = [tagger.look_up(word) for word in sentence]
            tags = [tagger.tags[tag] for tag in probs.argmax(axis=-1)]
            is_right = ids == [[own, *of_features] for own, of_features in zip(row["ids"], row["features"])]
            difference = float(np.abs(probs.max(axis=-1) - np.array(row["probabilities"])).max())
            if not (is_right and tags == row["tags"] and difference <= row["tolerance"]):
                print(f"golden sentence {i} {where}: other ids or tags, or off by {difference:.3g}")
                return 1
            largest, count = max(largest, difference), count + len(tags)
    right = f"{count} of {count} right"
    print(
        f"onnxruntime {onnxruntime.__version__}: {right}, largest difference {largest:.2g}, "
        f"{microseconds:.0f} us a sentence"
    )
    return 0
