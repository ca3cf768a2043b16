"""What a session gave, beside what the config says that it gives: a stranger's file may put out anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.config import ModelConfig
from rnnx.errors import ModelError

# How far rounding may take a probability out of 0..1.
_ROUNDED = 1e-6


def require_outputs(
    config: ModelConfig, given: Mapping[str, Any], rows: int, time: int
) -> dict[str, npt.NDArray[np.float32]]:
    """Makes sure that the outputs are those of the config.

    Args:
        config: The bundle's description.
        given: What onnxruntime gave, by name.
        rows: The batch that it was given.
        time: The positions that it was given.

    Returns:
        The outputs of the config, in its order.

    Raises:
        ModelError: If one is missing, or of another type or shape, or holds no probabilities where there are labels.
            What is no number at all is for those who asked: a network that masks all it is given has no answer.
    """
    if not config.outputs:
        raise ModelError(f"model {config.name}: its config.json names no outputs; export it again")
    for one in config.outputs:
        # What depends on the time may be anything (pooling), but for tags: a word each.
        sizes = (rows, *(time if size is None and config.task == "tagging" else size for size in one.shape))
        values = given.get(one.name)
        found = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else "absent, or no array"
        if not isinstance(values, np.ndarray) or values.dtype != np.float32 or not _fits(sizes, values.shape):
            raise ModelError(
                f"model {config.name}: output {one.name!r:.60} should be float32 {sizes}, and is {found:.80}: the file "
                "and config.json do not belong together; get or export this model again"
            )
        if config.labels and ((values < -_ROUNDED) | (values > 1 + _ROUNDED)).any():
            raise ModelError(
                f"model {config.name}: output {one.name!r:.60} should hold probabilities, and has "
                f"{values.min():.3g} to {values.max():.3g}; get or export this model again"
            )
    return {one.name: given[one.name] for one in config.outputs}


def _fits(sizes: Sequence[int | None], shape: Sequence[int]) -> bool:
    return len(sizes) == len(shape) and all(size in (None, own) for size, own in zip(sizes, shape, strict=True))
