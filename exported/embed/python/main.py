"""Text in, label and probability out, with onnxruntime and numpy alone.

python main.py "A wonderful film."    prints the label and its probability; of several labels those that the text
                                      has, a line each; of a model that gives a number, the number
python main.py --golden               compares with golden.json; exits with 1 at the first difference
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it when it is imported
import onnxruntime  # noqa: E402

HERE = Path(__file__).parent


class Classifier:
    def __init__(self, model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a recurrence only loses by more
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # The file says itself what its outputs mean.
        about = json.loads(self.session.get_modelmeta().custom_metadata_map["rnnx"])
        self.labels, self.thresholds = about["labels"], about.get("thresholds")
        self.output = self.session.get_outputs()[0].name  # probs; values if the model gives a number

    def predict(self, texts):
        """Texts as bytes to probabilities, (texts, labels), or to a number each, (texts, 1).

        Rows are padded with zeros, an empty text is one zero.
        """
        width = max(1, *map(len, texts))
        rows = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8)
        return self.session.run([self.output], {"text": rows.reshape(len(texts), width)})[0]

    def describe(self, answer):
        """The answer to one text in words, as lines."""
        if not self.labels:
            return [f"{answer[0]:.7g}"]
        probs = [float(p) for p in answer]
        best = sorted(range(len(probs)), key=lambda i: -probs[i])
        # A model of several labels has a threshold for each; others choose the most probable label.
        chosen = [i for i in best if probs[i] >= self.thresholds[i]] if self.thresholds else best[:1]
        return [f"{self.labels[i]}\t{probs[i]:.6f}" for i in chosen] or ["(none)"]


def run_golden(classifier):
    rows = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
    texts = [bytes.fromhex(row["bytes"]) for row in rows]
    alone = [classifier.predict([text])[0] for text in texts]
    start = time.perf_counter()
    for text in texts:
        classifier.predict([text])
    microseconds = (time.perf_counter() - start) / len(texts) * 1e6
    largest = 0.0
    for where, answers in (("alone", alone), ("in a batch", classifier.predict(texts))):
        for i, (row, answer) in enumerate(zip(rows, answers)):
            difference = float(np.abs(answer - np.array(row["text_" + classifier.output])).max())
            if not difference <= row["tolerance"]:
                print(f"golden text {i} {where}: off by {difference:.3g}, more than {row['tolerance']:.3g}")
                return 1
            largest = max(largest, difference)
    count = 2 * len(rows)
    version = onnxruntime.__version__
    print(f"onnxruntime {version}: {count} of {count} right, largest difference {largest:.2g}, {microseconds:.0f} us a text")
    return 0


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    classifier = Classifier(HERE / "model.text.onnx")
    if sys.argv[1] == "--golden":
        return run_golden(classifier)
    print("\n".join(classifier.describe(classifier.predict([sys.argv[1].encode()])[0])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
