"""Whether a network reads its padding, found by running it with padding and without. Imports numpy only.

The padding is marked: its numbers are NaN, and so is the row of id 0 in each table. Whatever reads them gives NaN. A
mask that is an input does not count it. A
layer may also read padding without reading its numbers, as a mean that counts the positions. So the outputs for a
sequence must be the same with padding in front and at the end as without. A relu hides what it reads if its input is
negative everywhere. So the network is run with its own weights, and with several that are drawn: with biases that are
positive, with any signs, and with large ones, which exceed the constants of the network.

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
_IDS = 4
# How weights are drawn: whether all biases are positive, and how large the matrices are.
_DRAWS = ((True, 1.0), (False, 1.0), (False, 16.0))


def reads_padding(network: Network) -> bool:
    """Says whether the outputs for a sequence depend on padding in front of it or at its end.

    Args:
        network: Its inputs should have an open time, since others cannot be padded.
    """
    for draw in range(1 + len(_DRAWS)):
        rng = np.random.default_rng(draw)
        how = _DRAWS[draw - 1] if draw else None
        drawn = replace(network, nodes=[replace(node, layer=_marked(node.layer, how, rng)) for node in network.nodes])
        for time in _TIMES:
            given = {port.name: _content(port, time, rng) for port in network.inputs}
            try:
                # Large weights may overflow, with padding and without.
                may_overflow = how is not None and how[1] > 1
                if any(_differs(drawn, given, side, may_overflow) for side in ((_PADDING, 0), (0, _PADDING))):
                    return True
            except (ValueError, IndexError):  # a layer cannot read so short a sequence, or not of any length
                return True
    return False


def _differs(network: Network, given: dict[str, Array], padding: tuple[int, int], may_overflow: bool) -> bool:
    before, after = padding
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
        if other.shape != values.shape or not np.allclose(other, values, rtol=1e-9, atol=1e-12, equal_nan=may_overflow):
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


def _marked(layer: Any, how: tuple[bool, float] | None, rng: np.random.Generator) -> Any:
    """Returns the layer with the row of id 0 marked; with its own weights, or with others that are drawn.

    Weights without a negative number stay positive, because they may be variances.
    """
    if isinstance(layer, Embedding):
        rows = layer.table[np.arange(_IDS) % len(layer.table)]
        table = rng.normal(size=rows.shape) if how else rows
        table[0] = np.nan
        return replace(layer, table=table)
    if how is None:
        return layer
    is_positive, size = how
    drawn = {}
    for name, values in weights_of(layer).items():
        sizes = rng.uniform(0.5, 1.5, values.shape) / len(values) * (size if values.ndim > 1 else 1.0)
        keeps_sign = (values >= 0).all() or (is_positive and values.ndim == 1)
        drawn[name] = sizes if keeps_sign else sizes * rng.choice((-1.0, 1.0), values.shape)
    return replace(layer, **drawn)
