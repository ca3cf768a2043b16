"""Trains the network of few examples once more, on the held-out ones as well. Imports Keras.

What is held out says how long a training may take and how good it is, and is then missed: a fifth of 270 sequences. So
the same network starts again with the same weights and schedule, on all examples. Nothing is held out from it, so no
epoch is chosen: the learning rate ends near zero, and the last one is kept. The figures of the run stay those of the
first training. On held-out fifths of the training part of JapaneseVowels, the accuracy rises from 0.915 to 0.937.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rnnx.train.batches import Batches, BatchSource
from rnnx.train.class_weights import balance
from rnnx.train.task import Task


def retrain(
    model: keras.Model, task: Task, whole: BatchSource, start: list[npt.NDArray[Any]], seed: int
) -> list[npt.NDArray[Any]]:
    """Trains a network on all examples.

    Args:
        model: The network that was trained without what was held out.
        task: Its task.
        whole: All examples.
        start: Its weights before the first training.
        seed: The seed of the order of the batches.

    Returns:
        The weights after the last epoch. The network has them, too.
    """
    recipe = task.recipe
    batches = Batches(
        balance(whole) if recipe.class_weights else whole,
        batch_size=recipe.batch_size,
        by_length=recipe.by_length,
        seed=seed,
    )
    model.set_weights(start)
    model.compile(optimizer=recipe.optimizer(recipe.epochs * len(batches)), loss=task.loss, jit_compile=False)
    model.fit(
        batches.as_tf(range(1, recipe.epochs + 1)),
        steps_per_epoch=len(batches),
        epochs=recipe.epochs,
        shuffle=False,
        verbose=0,
    )
    return [np.array(weight) for weight in model.get_weights()]
