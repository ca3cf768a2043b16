"""What a model says of one input: a label with its probability, or the numbers that it puts out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Prediction:
    """What a classifier says of one text, or of one sequence of numbers or ids.

    Attributes:
        label: The chosen label.
        label_id: Its index.
        probability: Of that label, in 0..1.
        probs: Of every label, by name; they sum to 1.
        tokens: Words in the text; steps of the sequence.
        truncated: Whether words were cut off, because the text is longer than the model reads.
    """

    label: str
    label_id: int
    probability: float
    probs: dict[str, float]
    tokens: int
    truncated: bool

    @property
    def is_finite(self) -> bool:
        """Whether the network gave an answer: what is all masked has none."""
        return bool(np.isfinite(self.probability))


@dataclass(frozen=True, eq=False)
class Values:
    """What a network without labels says of one sequence.

    Attributes:
        outputs: By output name, float32, without the batch: (outputs,), or (time, outputs) for one at each position.
        tokens: Steps of the sequence.
    """

    outputs: Mapping[str, npt.NDArray[np.float32]]
    tokens: int

    @property
    def values(self) -> npt.NDArray[np.float32]:
        """The first output, for a network that has no other."""
        return next(iter(self.outputs.values()))

    @property
    def is_finite(self) -> bool:
        """Whether every number is one."""
        return all(bool(np.isfinite(values).all()) for values in self.outputs.values())


def choose_label(
    row: npt.NDArray[np.float32], labels: Sequence[str], threshold: float, tokens: int, truncated: bool
) -> Prediction:
    """Chooses the label of one answer.

    Args:
        row: (outputs,): one probability per label, or that of the second one alone.
        labels: By label id.
        threshold: With two labels, the probability from which the second one is chosen.
        tokens: For the prediction.
        truncated: Likewise.
    """
    values = [float(value) for value in row]
    if len(values) == 1:  # one sigmoid: the probability of the second label
        values = [1.0 - values[0], values[0]]
    label_id = int(values[1] >= threshold) if len(values) == 2 else int(np.argmax(values))
    probs = dict(zip(labels, values, strict=True))
    return Prediction(labels[label_id], label_id, values[label_id], probs, tokens, truncated)
