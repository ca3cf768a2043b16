"""The shapes of a network's outputs, found by running the network on zeros. Imports numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError, one_line
from rnnx.reference.network import Network

# Two lengths, because a size that differs between them depends on the time. They are long enough that a pooling layer
# with windows of a few positions has at least one window.
_TIMES = (60, 120)


def output_shapes(network: Network) -> dict[str, tuple[int | None, ...]]:
    """Returns the shape of each output, by name, without the batch axis; None where a size depends on the time."""
    first, second = (_shapes(network, time) for time in _TIMES)
    return {
        name: tuple(a if a == b else None for a, b in zip(shape, second[name], strict=True))
        for name, shape in first.items()
    }


def keeps_time(network: Network, output: str) -> bool:
    """Says whether the first axis of an output, after the batch, is as long as the time axis of the inputs."""
    return all(_shapes(network, time)[output][0] == time for time in _TIMES)


def zeros(network: Network, time: int) -> dict[str, npt.NDArray[np.float32]]:
    """Returns a batch of one row of zeros for each input, by name, float32; `time` replaces each size of None."""
    return {
        network_input.name: np.zeros((1, *(time if size is None else size for size in network_input.shape)), np.float32)
        for network_input in network.inputs
    }


def _shapes(network: Network, time: int) -> dict[str, tuple[int, ...]]:
    try:
        return {name: values.shape[1:] for name, values in network.answers(zeros(network, time)).items()}
    except MemoryError as error:
        raise ModelError(f"the network needs more memory than there is for one row: {one_line(error)}") from error
