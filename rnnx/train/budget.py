"""Decides how long a training may take: by steps of the optimizer, not by a fixed number of epochs.

Three epochs of 50,000 texts are 1,200 steps; three epochs of 5,000 texts are 120, after which a network has hardly
begun to learn. Standard library only.
"""

from __future__ import annotations

import math


def count_epochs(examples: int, batch_size: int, *, epochs: int, least_steps: int | None, most_epochs: int) -> int:
    """Computes how many epochs a training may run.

    Args:
        examples: Training examples.
        batch_size: Examples per step.
        epochs: The fewest epochs, and the number for large data sets.
        least_steps: How many steps a training may take, if the epochs above are fewer; None: it runs the epochs above.
        most_epochs: The most epochs, for very small data sets; never fewer than `epochs`.

    Returns:
        The fewest epochs that take at least `least_steps` steps, in `epochs` to `most_epochs`.
    """
    if least_steps is None:
        return epochs
    steps = max(math.ceil(examples / batch_size), 1)
    return max(epochs, min(math.ceil(least_steps / steps), most_epochs))
