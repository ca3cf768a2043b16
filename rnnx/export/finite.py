"""Finds the inputs on which a network stays within the range of float32.

A recurrence with an activation such as relu may grow at every step, until its states overflow. There Keras itself
gives infinities, so such an input proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.reference import GRU, LSTM, Array, Given, NamedArrays, Network, RecurrentLayer, SimpleRNN
from rnnx.rounding.row_parts import row_parts

# Makes a batch of a length, with numbers of a scale.
DrawBatch: TypeAlias = Callable[[int, float], NamedArrays]

# States may be squared and summed by the layers after them, which must not overflow either: 2**16 squares of this size
# sum to 2**128.
_LARGEST_STATE = 2.0**56
_LARGEST_NUMBER = float(np.finfo(np.float32).max)
_SCALES = (0.1, 0.01, 1e-3)
# Activations with values in 0..1, and in -1..1.
_GATES = frozenset(("sigmoid", "hard_sigmoid"))
_BOUNDED = _GATES | {"tanh", "softsign", "hard_tanh"}


def finite_rows(network: Network, given: Given) -> npt.NDArray[np.bool_]:
    """Says for which rows of a batch every state and every output of a layer stays within the range of float32.

    A network whose recurrences cannot grow is not run.

    Args:
        network: The reference.
        given: The inputs.

    Returns:
        `(batch,)`
    """
    named = network.named(given)
    if not any(_may_grow(layer) for layer in network.recurrent_nodes.values()):
        return np.ones(len(next(iter(named.values()))), np.bool_)
    found = []
    for part in row_parts(network, named):
        inputs = {name: values[part] for name, values in named.items()}
        histories: dict[str, tuple[Array, ...]] = {}
        with np.errstate(all="ignore"):  # what overflows is found by its result
            tensors = network.forward(inputs, histories=histories)
        is_finite = np.ones(len(next(iter(inputs.values()))), np.bool_)
        for tensor in tensors.values():
            is_finite &= _within(tensor.values, _LARGEST_NUMBER, len(is_finite))
        for states in histories.values():
            for state in states:
                is_finite &= _within(state, _LARGEST_STATE, len(is_finite))
        found.append(is_finite)
    return np.concatenate(found)


def find_finite_size(network: Network, length: int, shortest: int, draw: DrawBatch) -> tuple[int, float, int]:
    """Finds the size of inputs on which a network stays finite: halves the length, and then lowers the scale.

    Args:
        network: The reference.
        length: The usual length.
        shortest: The shortest one that is tried, of at least two steps, so that each step follows another.
        draw: Makes some inputs.

    Returns:
        The length, the scale of the numbers, and how many inputs that were tried were not finite.

    Raises:
        ModelError: If none of the inputs of the last size is finite.
    """
    lengths = [length]
    while lengths[-1] > shortest and any(None in port.shape for port in network.inputs):
        lengths.append(max(lengths[-1] // 2, shortest))
    sizes = [(size, 1.0) for size in lengths]
    if any(port.kind == "numbers" for port in network.inputs):
        sizes += [(lengths[-1], scale) for scale in _SCALES]
    count = 0
    for size, scale in sizes:
        given = draw(size, scale)
        is_finite = finite_rows(network, given)
        if is_finite.all():
            break
        count += int((~is_finite).sum())
    if not is_finite.any():
        steps = max(values.shape[1] for values in given.values())
        raise ModelError(
            f"the network overflows float32 on all inputs that were tried, of {steps} steps and more, so there is "
            "nothing to prove; a bounded activation such as tanh keeps a recurrence finite"
        )
    return size, scale, count


def _may_grow(layer: RecurrentLayer) -> bool:
    """Says whether the states of a recurrence may grow faster than its steps.

    With gates in 0..1 and bounded activations, h is bounded, and each step adds at most 1 to the cell state.
    """
    match layer:
        case SimpleRNN():
            return layer.activation not in _BOUNDED
        case GRU() | LSTM():
            return layer.activation not in _BOUNDED or layer.recurrent_activation not in _GATES
    return True


def _within(values: Array, largest: float, rows: int) -> npt.NDArray[np.bool_]:
    """Says for which rows all numbers are of at most a size; what is not a number is not."""
    return np.asarray((np.abs(values) <= largest).reshape(rows, -1).all(axis=1))
