"""The outputs of a session: compares them with `config.json`, and puts them into the order of the inputs.

A file from elsewhere may give anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelConfig
from rnnx.errors import ModelError

# The outputs of the network by name, float32: for one input without the batch axis, or for one batch.
NamedOutputs: TypeAlias = dict[str, npt.NDArray[np.float32]]

# How far float32 rounding may move a probability out of 0..1.
_ROUNDING = 1e-6


def require_outputs(
    config: ModelConfig, given: Mapping[str, Any], rows: int, time: int | None
) -> dict[str, npt.NDArray[np.float32]]:
    """Makes sure that the outputs of a session are those of the config.

    Args:
        config: The description of the bundle.
        given: The outputs of onnxruntime, by name.
        rows: The size of the batch.
        time: The number of positions; None if the inputs have several.

    Returns:
        The outputs that the config names, in its order.

    Raises:
        ModelError: If an output is missing, has another type or shape, or belongs to labels and is not a probability.
            NaN is allowed here, and callers look for it: a network has no answer to a sequence that is all masked.
    """
    if not config.outputs:
        raise ModelError(f"model {config.name}: its config.json names no outputs; export it again")
    for port in config.outputs:
        # A tagger has one tag per word. Any other output over the time may have another length, after pooling.
        sizes = (rows, *(time if size is None and config.task == "tagging" else size for size in port.shape))
        values = given.get(port.name)
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else "missing, or not an array"
        if not isinstance(values, np.ndarray) or values.dtype != np.float32 or not _fits(sizes, values.shape):
            raise ModelError(
                f"model {config.name}: output {port.name!r:.60} should be float32 {sizes}, and is {found:.80}: the "
                "file and config.json do not belong together; get or export this model again"
            )
        if config.labels and ((values < -_ROUNDING) | (values > 1 + _ROUNDING)).any():
            raise ModelError(
                f"model {config.name}: output {port.name!r:.60} should hold probabilities, and has "
                f"{values.min():.3g} to {values.max():.3g}; get or export this model again"
            )
    return {port.name: given[port.name] for port in config.outputs}


@dataclass(frozen=True)
class BatchedOutputs:
    """The outputs for some inputs, which ran in batches, in an order of their own.

    Attributes:
        batches: The indices of the inputs in each batch.
        outputs: The outputs of each batch.
    """

    batches: Sequence[Sequence[int]]
    outputs: Sequence[NamedOutputs]

    def by_input(self) -> list[NamedOutputs]:
        """Returns the outputs for each input, in the order of the inputs."""
        found: dict[int, NamedOutputs] = {}
        for batch, outputs in zip(self.batches, self.outputs, strict=True):
            for row, i in enumerate(batch):
                found[i] = {name: values[row] for name, values in outputs.items()}
        return [found[i] for i in range(len(found))]

    def stack(self) -> npt.NDArray[np.float32]:
        """Returns the only output for all inputs, `(inputs, ...)`; its shape must not depend on the input's length."""
        rows = np.concatenate([values for outputs in self.outputs for values in outputs.values()])
        stacked = np.empty_like(rows)
        stacked[np.concatenate(self.batches)] = rows
        return stacked


def _fits(sizes: Sequence[int | None], shape: Sequence[int]) -> bool:
    return len(sizes) == len(shape) and all(size in (None, own) for size, own in zip(sizes, shape, strict=True))
