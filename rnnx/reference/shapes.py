"""The shapes of a network's outputs, found by running the network on zeros. Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError, one_line
from rnnx.primitives import Array
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


def ports_with_own_time(network: Network) -> list[str]:
    """Returns the inputs whose time may differ from that of the others: those of an encoder and its decoder, say."""
    names = [port.name for port in network.inputs if port.shape[0] is None]
    if len(names) < 2:
        return []
    return [name for name in names if _answers(network, {name: _TIMES[1]}) is not None]


def name_times(network: Network) -> dict[str, str]:
    """Returns the name of the open time of each input and output that has one, by the name of the input or output.

    It is `time` for the first input, for those that must have the same time, and for outputs over it. An input whose
    time may differ has a name of its own, such as `decoder_time`.
    """
    apart = ports_with_own_time(network)
    names = [port.name for port in network.inputs if port.shape[0] is None]
    times = {name: f"{name}_time" if name in apart and name != names[0] else "time" for name in names}
    found = dict(times)
    # Two different times for each of them, so that an output has the size of its own input both times.
    sizes = {time: 7 * i for i, time in enumerate(dict.fromkeys(times.values()))}
    runs = [
        (total, _answers(network, {name: total + sizes[time] for name, time in times.items()}) or {})
        for total in _TIMES
    ]
    for name in network.ends:
        for time, more in sizes.items():
            if all(name in answers and answers[name].shape[1] == total + more for total, answers in runs):
                found.setdefault(name, time)
    return found


def _answers(network: Network, times: Mapping[str, int]) -> dict[str, Array] | None:
    """Runs the network on zeros, with some times other than the first of `_TIMES`; None if they do not fit together."""
    given = {
        port.name: np.zeros(
            (1, *(times.get(port.name, _TIMES[0]) if size is None else size for size in port.shape)), np.float32
        )
        for port in network.inputs
    }
    try:
        return network.answers(given)
    except ValueError:
        return None


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
