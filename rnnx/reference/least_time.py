"""The shortest sequences that a network reads, found by running the network on zeros. Imports numpy only.

A slice such as `x[:, 1:]`, the position `x[:, 3]`, or a window without padding takes positions that a short sequence
does not have. A sequence is long enough if no layer is left without any position.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from rnnx.errors import ModelError
from rnnx.reference.network import Network
from rnnx.reference.shapes import name_times

# Enough positions for any network that is supported; the shapes of the outputs are found with as many.
_ENOUGH = 60


def least_time(network: Network) -> int:
    """Returns how many positions the inputs of a network with an open time must have; see `least_times`."""
    return max(least_times(network).values(), default=1)


def least_times(network: Network) -> dict[str, int]:
    """Returns how many positions each input with an open time must have, by name.

    Inputs that have the same time in common have the same number.

    Raises:
        ModelError: If 60 positions are not enough.
    """
    ports = [port.name for port in network.inputs if port.shape[0] is None]
    if not ports:
        return {}
    if not _is_enough(network, dict.fromkeys(ports, _ENOUGH)):
        raise ModelError(f"the network has no answer to a sequence of {_ENOUGH} positions; give its input a fixed time")
    names = {name: time for name, time in name_times(network).items() if name in ports}
    found = dict.fromkeys(ports, 1)
    for time in dict.fromkeys(names.values()):
        group = [name for name in ports if names[name] == time]
        others = dict.fromkeys(ports, _ENOUGH)
        found |= dict.fromkeys(
            group, next(t for t in range(1, _ENOUGH + 1) if _is_enough(network, others | dict.fromkeys(group, t)))
        )
    return found


def _is_enough(network: Network, times: Mapping[str, int]) -> bool:
    given = {
        port.name: np.zeros((1, *(times[port.name] if size is None else size for size in port.shape)), np.float32)
        for port in network.inputs
    }
    try:
        with np.errstate(all="ignore"):  # the mean of nothing
            tensors = network.forward(given)
    except (ValueError, IndexError):
        return False
    return all(tensor.values.size for tensor in tensors.values())
