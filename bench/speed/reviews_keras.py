"""The job of `rnnx infer --lines` as a plain Keras script; a label a line on stdout.

    python -m bench.speed.reviews_keras MODEL FILE

Everything is read, tokenized by the same rule, padded into one array and handed to `predict`, as the tutorials do it.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras

from rnnx.bundle.directory import KERAS_NAME, VOCABULARY_NAME, find_directory, read_directory
from rnnx.text.tokenizer import Tokenizer, Vocabulary

BATCH_SIZE = 128


def main(name: str, path: Path) -> None:
    """Prints one label a line."""
    directory = read_directory(find_directory(name))
    if directory.config.tokenizer is None:
        raise SystemExit(f"{name}: made without a vocabulary; it reads ids, not texts")
    tokenizer = Tokenizer(directory.config.tokenizer, Vocabulary.from_bytes(directory[VOCABULARY_NAME]))
    model = keras.saving.load_model(directory.path / KERAS_NAME, compile=False)
    with path.open("rb") as file:
        ids = tokenizer.pad([tokenizer.encode(line.rstrip(b"\r\n")).ids for line in file])
    probs = model.predict(ids, batch_size=BATCH_SIZE, verbose=0)
    labels = directory.config.labels
    chosen = (probs[:, 0] >= 0.5).astype(int) if probs.shape[1] == 1 else probs.argmax(axis=1)
    sys.stdout.writelines(f"{labels[label_id]}\n" for label_id in chosen)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
