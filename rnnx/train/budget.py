"""Decides how long a training may take: by steps of the optimizer, not by a fixed number of epochs.

Three epochs of 50,000 texts are 1,200 steps; three epochs of 5,000 texts are 120, after which a network has hardly
begun to learn. Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How much longer small data may be trained than large data.

    Attributes:
        least_steps: A training runs as many epochs as these steps need, if its recipe has fewer.
        most_epochs: But no more than these, unless the recipe has more.
    """

    least_steps: int
    most_epochs: int

    def count_epochs(self, examples: int, batch_size: int, epochs: int) -> int:
        """Computes how many epochs a training may run.

        Args:
            examples: Training examples.
            batch_size: Examples per step.
            epochs: The fewest epochs, and the number for large data.

        Returns:
            The fewest epochs that take at least `least_steps` steps, in `epochs` to `most_epochs`.
        """
        steps = max(math.ceil(examples / batch_size), 1)
        return max(epochs, min(math.ceil(self.least_steps / steps), self.most_epochs))


def stretch_patience(patience: int | None, epochs: int) -> int | None:
    """Computes the patience of a training that was made longer.

    The learning rate falls over all epochs. Most of the gain comes when it is low, so a long training may not be
    stopped by a short pause at the beginning.

    Args:
        patience: The recipe's; None stays None.
        epochs: The epochs of the longer training.
    """
    return None if patience is None else max(patience, epochs // 3)
