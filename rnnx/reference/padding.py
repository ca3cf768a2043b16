"""Whether a network reads its padding, found by running it with padding and without. Imports numpy only.

The padding is marked: its numbers are NaN, and so is the row of id 0 in each table. Whatever reads them gives NaN. A
mask that is an input does not count it. A
layer may also read padding without reading its numbers, as a mean that counts the positions. So the outputs for a
sequence must be the same with padding in front and at the end as without. The weights are drawn at random, so that this
does not depend on those of one model.

Source: as Keras 3 defines the layers (`keras.layers`), what becomes of a mask included.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Array
from rnnx.reference.dependence import weights_of
from rnnx.reference.pointwise import Embedding

if TYPE_CHECKING:
    from rnnx.reference.network import Input, Network

# Short sequences, in which the zeros before a first state count most: a maximum may hide them in a long one.
_TIMES = (1, 3)
_PADDING = 2
_ROWS = 16
_DRAWS = 3
_IDS = 4


def reads_padding(network: Network) -> bool:
    """Says whether the outputs for a sequence depend on padding in front of it or at its end.

    Args:
        network: Its inputs should have an open time, since others cannot be padded.
    """
    for draw in range(_DRAWS):
        rng = np.random.default_rng(draw)
        drawn = replace(network, nodes=[replace(node, layer=_drawn(node.layer, rng)) for node in network.nodes])
        for time in _TIMES:
            given = {port.name: _content(port, time, rng) for port in network.inputs}
            try:
                if any(_differs(drawn, given, *padding) for padding in ((_PADDING, 0), (0, _PADDING))):
                    return True
            except (ValueError, IndexError):  # a layer cannot read so short a sequence, or not of any length
                return True
    return False


def _differs(network: Network, given: dict[str, Array], before: int, after: int) -> bool:
    padded = {
        name: np.pad(
            values,
            [(0, 0), (before, after), *[(0, 0)] * (values.ndim - 2)],
            constant_values=np.nan if _are_numbers(network, name) else 0.0,
        )
        for name, values in given.items()
    }
    with np.errstate(all="ignore"):  # NaN is meant here
        plain, others = network.answers(given), network.answers(padded)
    time = next(iter(given.values())).shape[1]
    for name, values in plain.items():
        other = others[name]
        if other.shape != values.shape:  # the output has the time of the input
            other = other[:, before : before + time]
        if other.shape != values.shape or not np.allclose(other, values, rtol=1e-9, atol=1e-12):
            return True
    return False


def _are_numbers(network: Network, name: str) -> bool:
    return any(port.name == name and port.kind == "numbers" for port in network.inputs)


def _content(port: Input, time: int, rng: np.random.Generator) -> Array:
    shape = (_ROWS, *(time if size is None else size for size in port.shape))
    if port.kind == "mask":
        return np.ones(shape)
    drawn: npt.NDArray[Any] = rng.integers(1, _IDS, shape) if port.kind == "ids" else rng.normal(size=shape)
    return drawn.astype(np.float64)


def _drawn(layer: Any, rng: np.random.Generator) -> Any:
    """Returns the layer with other weights of the same signs, so that a variance stays positive."""
    if isinstance(layer, Embedding):
        table = rng.normal(size=(_IDS, layer.table.shape[1]))
        table[0] = np.nan
        return replace(layer, table=table)
    drawn = {
        name: np.where(values < 0, -1.0, 1.0) * rng.uniform(0.5, 1.5, values.shape) / len(values)
        for name, values in weights_of(layer).items()
    }
    return replace(layer, **drawn)
