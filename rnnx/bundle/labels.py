"""What the outputs of a network say of the labels: a probability for each, and the label that is chosen.

Two labels may share one sigmoid, whose output is the probability of the second (`ModelConfig.output_size` is 1 then).
Imports numpy only.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=np.floating)


def per_label(probs: npt.NDArray[F]) -> npt.NDArray[F]:
    """Gives one probability for each label.

    Args:
        probs: (..., outputs), as the network gives them; a single output is the probability of the second label.

    Returns:
        (..., labels), in the dtype of `probs`.
    """
    return np.concatenate([1 - probs, probs], axis=-1) if probs.shape[-1] == 1 else probs


def choose_label_ids(probs: npt.NDArray[np.floating], threshold: float | None = None) -> npt.NDArray[np.intp]:
    """Chooses the label of each row of probabilities.

    Args:
        probs: (..., labels), one probability for each label. NumPy compares it with the threshold in its own dtype.
        threshold: With two labels, the probability from which the second one is chosen; the likeliest label if None.

    Returns:
        (...), label ids.
    """
    if threshold is not None and probs.shape[-1] == 2:
        return np.asarray(probs[..., 1] >= threshold).astype(np.intp)
    return np.asarray(probs.argmax(axis=-1))
