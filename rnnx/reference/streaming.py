"""The states that a streaming file takes in and puts out, and how to run it over a sequence in chunks.

A streaming file computes what the other forms compute, but it starts from states that are given as inputs: those before
the first position of its chunk. It returns the states after the last position as outputs. From zero states, with the
whole sequence as one chunk, it computes the network itself.

Imports numpy and the reference only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.reference.dependence import positions_of, reads_from_end
from rnnx.reference.items import GetItem, Selection
from rnnx.reference.layer import Layer
from rnnx.reference.network import Network
from rnnx.reference.pooling import LastPosition
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.tensor import NamedArrays

# A function that runs a file: inputs by name to outputs by name.
RunFile: TypeAlias = Callable[[NamedArrays], NamedArrays]


@dataclass(frozen=True)
class CarriedState:
    """A state of a recurrent layer that a file has as an input and as an output, both float32 `(batch, units)`.

    A file lists the states of a layer in the order of `Recurrent.carried`, h first; which state one is follows from its
    place in that list (`by_layer`), since files record no more than is listed here.

    Attributes:
        layer: The name of the layer.
        input: The name of the input, such as `h_in`, or `lower.h_in` if there are several layers.
        output: The name of the output, such as `h_out`.
        units: The size of the state.
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
    """Wraps a function that runs a streaming file, so that it starts from zero states.

    Args:
        run: Runs the file once, its states among the inputs.
        carried: The file's states; if there are none, the result runs the file as it is.

    Returns:
        A function that needs no states as inputs.
    """
    return lambda given: run({**given, **zero_states(carried, _batch(given))})


def zero_states(carried: Sequence[CarriedState], batch: int) -> dict[str, npt.NDArray[np.float32]]:
    """Returns the states before the first position: float32 zeros `(batch, units)`, by input name."""
    return {state.input: np.zeros((batch, state.units), np.float32) for state in carried}


def in_chunks(run: RunFile, carried: Sequence[CarriedState], joined: Mapping[str, int], size: int) -> RunFile:
    """Wraps a function that runs a streaming file, so that it reads a sequence in chunks.

    The first chunk starts from zero states, each further chunk from the states after the previous one.

    Args:
        run: Runs the file once, its states among the inputs.
        carried: The file's states.
        joined: The time axis of each output that has one, by output name. These outputs are concatenated over the
            chunks; of all others, the last chunk's value is returned.
        size: Positions in a chunk; the last chunk may be shorter.

    Returns:
        A function that takes whole sequences, each `(batch, time, ...)`, and needs no states as inputs.
    """

    def run_all(given: NamedArrays) -> NamedArrays:
        states: NamedArrays = zero_states(carried, _batch(given))
        parts: dict[str, list[npt.NDArray[Any]]] = {}
        time = next(iter(given.values())).shape[1]
        for start in range(0, time, size):
            chunk = {name: values[:, start : start + size] for name, values in given.items()}
            result = run({**chunk, **states})
            states = {state.input: result[state.output] for state in carried}
            for name, values in result.items():
                if name not in joined:
                    parts[name] = []  # without a time axis, the last chunk's value takes the place of the earlier ones
                parts.setdefault(name, []).append(values)
        return {
            name: np.concatenate(arrays, axis=joined[name]) if name in joined else arrays[0]
            for name, arrays in parts.items()
        }

    return run_all


def streaming_problem(layer: Layer, *, is_timed: bool) -> str | None:
    """Says why a layer cannot read a sequence chunk by chunk; None if it can.

    Args:
        layer: The layer.
        is_timed: Whether it reads anything that has the time.
    """
    if isinstance(layer, Recurrent):
        return "reads the sequence from its end, which a stream does not have" if reads_from_end(layer) else None
    if positions_of(layer) == "each" or not is_timed:
        return None  # the output at a position follows from the inputs at that position
    if _takes_last(layer):
        return None  # the state after the chunk, as a layer that returns only its last state gives
    return "looks at other positions than its own, and a stream has only those of its chunk"


def with_time(network: Network) -> set[str]:
    """Returns the names of the inputs and nodes whose values have a time axis, in a network that can be streamed."""
    names = {network_input.name for network_input in network.inputs if None in network_input.shape}
    for node in network.nodes:
        is_last = _takes_last(node.layer) or (isinstance(node.layer, Recurrent) and not node.layer.return_sequences)
        if not is_last and names & set(node.inputs):
            names.add(node.name)
    return names


def _takes_last(layer: Layer) -> bool:
    """Says whether a layer takes the last position, as `x[:, -1]` does."""
    first = layer.selections[:1] if isinstance(layer, GetItem) else ()
    return isinstance(layer, LastPosition) or first == (Selection("index", -1),)


def _batch(given: NamedArrays) -> int:
    return len(next(iter(given.values())))
