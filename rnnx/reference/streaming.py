"""What a streaming file carries from chunk to chunk: the states that it takes in and puts out; and running it so.

A streaming file computes what the other forms compute, but from given states: those before the first position of its
chunk. It puts out those after the last one. From zeros, with the whole sequence as one chunk, it is the network itself.

Imports numpy only, and the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.reference.network import Network
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.tensor import NamedArrays

# Runs a file: inputs in, outputs out.
RunFile: TypeAlias = Callable[[NamedArrays], NamedArrays]


@dataclass(frozen=True)
class CarriedState:
    """A state of a recurrent layer as an input and an output of a file, (batch, units) float32 both.

    A file lists the states of a layer in the order of `Recurrent.carried`, h first; which state one is follows from its
    place in that list (`by_layer`), since files record no more than is listed here.

    Attributes:
        layer: The layer's name.
        input: Such as `h_in`, or `lower.h_in` where there are several layers.
        output: Such as `h_out`.
        units: The size.
    """

    layer: str
    input: str
    output: str
    units: int


def by_layer(carried: Iterable[CarriedState]) -> dict[str, tuple[CarriedState, ...]]:
    """The states of each layer, in the order of `Recurrent.carried`: h first, then the cell state of an LSTM."""
    states: dict[str, tuple[CarriedState, ...]] = {}
    for state in carried:
        states[state.layer] = (*states.get(state.layer, ()), state)
    return states


def from_zero(run: RunFile, carried: Sequence[CarriedState]) -> RunFile:
    """Lets a file start at zero states; a file without any stays as it is."""
    return lambda given: run({**given, **zero_states(carried, _batch(given))})


def zero_states(carried: Sequence[CarriedState], batch: int) -> dict[str, npt.NDArray[np.float32]]:
    """The states before anything was read, by input name."""
    return {one.input: np.zeros((batch, one.units), np.float32) for one in carried}


def in_chunks(run: RunFile, carried: Sequence[CarriedState], joined: Mapping[str, int], size: int) -> RunFile:
    """Lets a file read a sequence chunk by chunk, from zero states, each chunk from the states that the last one left.

    Args:
        run: Runs the file once.
        carried: Its states.
        joined: Its outputs that have the time, and along which axis; of any other, what the last chunk gives counts.
        size: Positions in a chunk; the last one may be shorter.
    """

    def run_all(given: NamedArrays) -> NamedArrays:
        states: NamedArrays = zero_states(carried, _batch(given))
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        time = next(iter(given.values())).shape[1]
        for start in range(0, time, size):
            chunk = {name: values[:, start : start + size] for name, values in given.items()}
            result = run({**chunk, **states})
            states = {one.input: result[one.output] for one in carried}
            for name, values in result.items():
                if name not in joined:
                    parts[name] = []
                parts.setdefault(name, []).append(values)
        return {name: np.concatenate(p, axis=joined[name]) if name in joined else p[0] for name, p in parts.items()}

    return run_all


def with_time(network: Network) -> set[str]:
    """The inputs and nodes whose values have the time as an axis, in a network that can be streamed."""
    names = {one.name for one in network.inputs if None in one.shape}
    for node in network.nodes:
        is_last = isinstance(node.layer, Recurrent) and not node.layer.return_sequences
        if not is_last and names & set(node.inputs):
            names.add(node.name)
    return names


def _batch(given: NamedArrays) -> int:
    return len(next(iter(given.values())))
