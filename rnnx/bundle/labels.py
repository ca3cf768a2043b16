"""Turns the outputs of a network into a probability per label, and chooses a label.

Two labels may share one sigmoid: its output is the probability of the second label, and `ModelConfig.output_size` is 1.
Imports NumPy only.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=np.floating)


def per_label(probs: npt.NDArray[F]) -> npt.NDArray[F]:
    """Returns one probability per label.

    Args:
        probs: The outputs of the network, `(..., outputs)`. A single output is the probability of the second label.

    Returns:
        The probabilities, `(..., labels)`, in the dtype of `probs`.
    """
    return np.concatenate([1 - probs, probs], axis=-1) if probs.shape[-1] == 1 else probs


def choose_label_ids(probs: npt.NDArray[np.floating], threshold: float | None = None) -> npt.NDArray[np.intp]:
    """Chooses the label of each row of probabilities.

    Args:
        probs: One probability per label, `(..., labels)`. NumPy compares it with the threshold in its own dtype.
        threshold: For two labels, the probability from which the second label is chosen; None chooses the label with
            the highest probability.

    Returns:
        The label ids, `(...)`.
    """
    if threshold is not None and probs.shape[-1] == 2:
        return np.asarray(probs[..., 1] >= threshold).astype(np.intp)
    return np.asarray(probs.argmax(axis=-1))
