"""Loads model.text.onnx for MLflow: a DataFrame with the column `text` in, a DataFrame with the answers out.

The columns of the answers are `label`, `probability`, `probabilities` (in the order of the labels in data/config.json)
and `error`. A row without an answer has an error, an empty label and probabilities that are not numbers; the error of
any other row is empty. (Spark's functions of MLflow would turn a missing text into "None".)
"""

import json
import os
from pathlib import Path

import numpy as np
import pandas

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime reads it when it is imported
import onnxruntime  # noqa: E402

# Texts that run together, and the bytes of their rows with the padding.
MOST_ROWS, MOST_BYTES = 64, 1 << 20


class TextModel:
    def __init__(self, path):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # servers and Spark run a process for each core
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.labels = json.loads(self.session.get_modelmeta().custom_metadata_map["rnnx"])["labels"]

    def probabilities(self, texts):
        """Texts as bytes to probabilities, (texts, labels). Rows are padded with zeros, which change no bit."""
        width = max(1, *map(len, texts))
        rows = np.frombuffer(b"".join(text.ljust(width, b"\0") for text in texts), np.uint8)
        return self.session.run(["probs"], {"text": rows.reshape(len(texts), width)})[0]

    def predict(self, model_input, params=None):
        texts, errors = zip(*map(read_text, model_input["text"])) if len(model_input) else ((), ())
        probs = np.full((len(texts), len(self.labels)), np.nan)
        for rows in batches(texts):
            probs[rows] = self.probabilities([texts[row] for row in rows])
        best = [None if error else self.choose(row) for row, error in zip(probs, errors)]
        return pandas.DataFrame(
            {
                "label": [self.labels[i] if i is not None else "" for i in best],
                "probability": [row[i] if i is not None else np.nan for row, i in zip(probs, best)],
                "probabilities": list(probs.tolist()),
                "error": list(errors),
            },
            index=model_input.index,
        )

    def choose(self, probs):
        """The most probable label; of two labels, the second one from 0.5 on."""
        return int(probs[1] >= 0.5) if len(probs) == 2 else int(probs.argmax())


def read_text(cell):
    """The bytes of a cell, and why it has none."""
    if isinstance(cell, str):
        try:
            cell = cell.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            cell = cell.encode("utf-8", "surrogatepass")
    return (cell, "") if isinstance(cell, bytes) else (None, "no text")


def batches(texts):
    """The numbers of the texts that run together: texts of about the same length."""
    batch = []
    for row in sorted((row for row, text in enumerate(texts) if text is not None), key=lambda row: len(texts[row])):
        if batch and (len(batch) == MOST_ROWS or (len(batch) + 1) * len(texts[row]) > MOST_BYTES):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _load_pyfunc(data_path):
    """What MLflow calls."""
    return TextModel(Path(data_path) / "model.text.onnx")
