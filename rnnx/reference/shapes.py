"""The shapes of a network's outputs, found by running it on zeros. Imports numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rnnx.reference.network import Network

# Two times, to see which sizes follow the time; long enough for any pooling over some positions.
_TIMES = (60, 120)


def output_shapes(network: Network) -> dict[str, tuple[int | None, ...]]:
    """Each output's shape without the batch; None where it depends on the time."""
    first, second = (_shapes(network, time) for time in _TIMES)
    return {
        name: tuple(a if a == b else None for a, b in zip(shape, second[name], strict=True))
        for name, shape in first.items()
    }


def keeps_time(network: Network, output: str) -> bool:
    """Whether the first axis of an output is as long as the time of the input."""
    return all(_shapes(network, time)[output][0] == time for time in _TIMES)


def zeros(network: Network, time: int) -> dict[str, npt.NDArray[np.float32]]:
    """One row of zeros for each input, as long as said where its time is open."""
    return {
        one.name: np.zeros((1, *(time if size is None else size for size in one.shape)), np.float32)
        for one in network.inputs
    }


def _shapes(network: Network, time: int) -> dict[str, tuple[int, ...]]:
    return {name: values.shape[1:] for name, values in network.answers(zeros(network, time)).items()}
