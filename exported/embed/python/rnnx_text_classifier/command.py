"""The command around the library."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

from rnnx_text_classifier.classifier import Classifier, ClassifierError, Prediction, find_folder


def main() -> int:
    """Runs the command, and returns its exit code."""
    parser = argparse.ArgumentParser(description="Prints the label of a text and its probability, or its number.")
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
            return run_golden(Classifier.load())
        text = options.text if options.text is not None else read_text(options.file)
        print("\n".join(format_lines(Classifier.load(), text)))
    except (ClassifierError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def read_text(path: str | None) -> bytes:
    """Reads a file or the standard input, as bytes."""
    return sys.stdin.buffer.read() if path in (None, "-") else Path(str(path)).read_bytes()


def format_lines(classifier: Classifier, text: str | bytes) -> list[str]:
    """The answer to one text in words, as lines."""
    prediction: Prediction = classifier.predict(text)
    if prediction.number is not None:
        return [f"{prediction.number:.7g}"]
    probs = dict(zip(classifier.labels, prediction.probs))
    return [f"{label}\t{probs[label]:.6f}" for label in prediction.labels] or ["(none)"]


def run_golden(classifier: Classifier) -> int:
    """Compares with the golden vectors, and returns the exit code."""
    rows = json.loads((find_folder() / "golden.json").read_text(encoding="utf-8"))
    texts = [bytes.fromhex(row["bytes"]) for row in rows]
    alone = [classifier.compute([text])[0] for text in texts]
    start = time.perf_counter()
    for text in texts:
        classifier.compute([text])
    microseconds = (time.perf_counter() - start) / len(texts) * 1e6
    largest = 0.0
    for where, answers in (("alone", alone), ("in a batch", list(classifier.compute(texts)))):
        for i, (row, answer) in enumerate(zip(rows, answers)):
            difference = float(np.abs(answer - np.array(row["text_" + classifier.output])).max())
            if not difference <= row["tolerance"]:
                print(f"golden text {i} {where}: off by {difference:.3g}, more than {row['tolerance']:.3g}")
                return 1
            largest = max(largest, difference)
    right = f"{2 * len(rows)} of {2 * len(rows)} right"
    print(f"onnxruntime {onnxruntime.__version__}: {right}, largest difference {largest:.2g}, {microseconds:.0f} us a text")
    return 0
