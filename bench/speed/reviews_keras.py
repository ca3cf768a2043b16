"""Does the work of `rnnx infer --lines` as a plain Keras script and prints one label per line.

    python -m bench.speed.reviews_keras MODEL FILE

It reads the whole file, tokenizes it by the same rule, pads it into one array and calls `predict`, as tutorials do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras

from rnnx.bundle.directory import KERAS_NAME, VOCABULARY_NAME, read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.text.tokenizer import Tokenizer, Vocabulary

BATCH_SIZE = 128


def main(name: str, path: Path) -> None:
    """Prints one label per line."""
    directory = read_directory(find_directory(name))
    if directory.config.tokenizer is None:
        raise SystemExit(f"{name}: the model has no vocabulary; it reads ids, not texts")
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
