"""The numbers at which layers of a network decide, such as the boundaries of bins, by the input that they read.

Random numbers hit none of them, so the probes of such an input are made of them.
"""

from __future__ import annotations

import numpy as np

from rnnx.reference import (
    Array,
    CountIds,
    FoldTime,
    GetItem,
    IdLayer,
    Masking,
    Network,
    Rearrange,
    Reshape,
    TakeMask,
    TakePlaces,
    Transpose,
)

# The layers that pass the numbers of an input on as they are.
_PASSING = (FoldTime, GetItem, Masking, Rearrange, Reshape, TakeMask, TakePlaces, Transpose)
# Layers that compute with the numbers are not given larger ones.
_MOST = 1e6
_SMALL = np.arange(8.0)


def find_landmarks(network: Network) -> dict[str, Array]:
    """Returns the landmarks of each input that has some, by the name of the input.

    Those of whole numbers at which no layer decides are small numbers: Keras cuts others off.
    """
    found = {port.name: _of_input(network, port.name) for port in network.inputs if port.kind == "numbers"}
    found |= {name: _SMALL for name in network.whole if found[name] is None}
    return {name: numbers for name, numbers in found.items() if numbers is not None}


def _of_input(network: Network, name: str) -> Array | None:
    passed, encodings, is_computed_with = {name}, list[IdLayer](), False
    for node in network.nodes:
        if passed.isdisjoint(node.inputs):
            continue
        if isinstance(node.layer, IdLayer):
            encodings.append(node.layer)
        elif isinstance(node.layer, _PASSING):
            passed.add(node.name)
        else:
            is_computed_with = True
    if not encodings:
        return None
    every = np.unique(np.concatenate([layer.landmarks for layer in encodings]))
    # Keras stops at a negative id that it should count.
    least = 0.0 if any(isinstance(layer, CountIds) for layer in encodings) else -np.inf
    every = every[every >= least]
    return every[np.abs(every) <= _MOST] if is_computed_with else every
