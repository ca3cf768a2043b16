"""Trains the article's network as a plain Keras script until a validation accuracy is reached; prints JSON.

    python -m bench.training.training_keras REVIEWS.npz SEED TARGET

This script uses no rnnx. The network, the optimizer and `fit` are those of the article, and the ids are given. The
order of the texts is drawn from the seed and the epoch as rnnx draws it, so that both take the same steps.
"""

from __future__ import annotations

import json
import sys
import time

import keras
import numpy as np
from keras import layers

WORDS, BATCH_SIZE = 10_000, 128
MOST_EPOCHS = 20
# The first epoch includes the compilation, so the time of an epoch is taken from the others.
LEAST_EPOCHS = 2


class Clock(keras.callbacks.Callback):  # type: ignore[misc]  # keras ships no types
    """Records when the training of each epoch ends."""

    def __init__(self) -> None:
        super().__init__()
        self.trained: list[float] = []

    def on_test_begin(self, logs: object = None) -> None:
        """Records the time, because the validation begins when the training ends."""
        self.trained.append(time.perf_counter())


def main(path: str, seed: int, target: float) -> None:
    """Trains the network and prints the accuracies and the times."""
    with np.load(path) as file:
        ids, label_ids, held_out = file["ids"], file["label_ids"], file["held_out"]
    x, y = ids[~held_out], label_ids[~held_out]
    validation = ids[held_out], label_ids[held_out]
    started = begun = time.perf_counter()
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(WORDS, 32),
            layers.SimpleRNN(32),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer=keras.optimizers.RMSprop(), loss="binary_crossentropy", metrics=["accuracy"])
    clock = Clock()
    accuracy: list[float] = []
    ended_s: list[float] = []
    training_s: list[float] = []
    for epoch in range(1, MOST_EPOCHS + 1):
        order = np.random.default_rng((seed, epoch)).permutation(len(x))
        history = model.fit(
            x[order],
            y[order],
            batch_size=BATCH_SIZE,
            validation_data=validation,
            validation_batch_size=BATCH_SIZE,
            shuffle=False,
            callbacks=[clock],
            verbose=0,
        )
        accuracy += history.history["val_accuracy"]
        training_s.append(clock.trained[-1] - begun)
        begun = time.perf_counter()
        ended_s.append(begun - started)
        if max(accuracy) >= target and epoch >= LEAST_EPOCHS:
            break
    print(json.dumps({"accuracy": accuracy, "ended_s": ended_s, "training_s": training_s, "share": 1.0}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
