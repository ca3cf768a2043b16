"""What an export of a network is tried on that reads numbers, several inputs, or ids of another shape than a text's.

Drawn at random in several sizes, and traps: one step, zeros where a mask may see them, jumps, every id of an embedding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.proof.compare import ProbeBatch
from rnnx.reference import Dense, Input, NamedArrays, Network, SimpleRNN

# (time, features) or whatever one row of an input is; the position along its first axis.
Draw: TypeAlias = Callable[[Input, tuple[int, ...]], npt.NDArray[Any]]

_ROWS = 16
# No network of layers that pool needs more positions than this for one answer.
_MOST_POSITIONS = 256


def make_number_probes(network: Network, length: int, times_longest: int) -> tuple[tuple[ProbeBatch, ...], ProbeBatch]:
    """Makes the probes.

    Args:
        network: Says what it reads.
        length: Of most sequences; an input of a fixed time keeps it.
        times_longest: How many times as long the sequence for the drift is.

    Returns:
        A batch of many rows, each trap of another length alone, every id; and the long one.
    """
    rng = np.random.default_rng(3)
    length = max(length, _shortest(network))
    traps = make_number_traps(network, length)
    rows = {f"row {i + 1}": _draw(network, length, _normal(rng, 1.0)) for i in range(_ROWS)}
    shapes = _shapes(rows["row 1"])
    mixed = {**rows, **{name: given for name, given in traps.items() if _shapes(given) == shapes}}
    batches = [_batch(mixed), *_every_id(network, length)]
    batches += [_batch({f"{name}, alone": given}) for name, given in traps.items()]
    long = _draw(network, times_longest * length, _normal(rng, 1.0))
    return tuple(batches), _batch({f"{times_longest} times the longest": long})


def make_number_traps(network: Network, length: int) -> dict[str, NamedArrays]:
    """Inputs made to find what is wrong with a conversion, each a batch of one; the same ones always."""
    rng = np.random.default_rng(0)
    shortest = _shortest(network)
    length = max(length, shortest)
    normal = _normal(rng, 1.0)
    third = length // 3
    return {
        "zeros": _draw(network, length, _constant(0.0)),
        "one step": _draw(network, shortest, normal),
        "one step more": _draw(network, shortest + 1, normal),
        "half": _draw(network, max(length // 2, shortest), normal),
        "where the first layer is most sensitive": _draw(network, length, _sensitive(network, rng)),
        "large": _draw(network, length, _normal(rng, 10.0)),
        "small": _draw(network, length, _normal(rng, 1e-3)),
        "the highest id, and jumps": _draw(network, length, _jumps),
        "zeros in front": _blank(_draw(network, length, normal), slice(0, third)),
        "zeros at the end": _blank(_draw(network, length, normal), slice(third, None)),
        "zeros between": _blank(_draw(network, length, normal), slice(1, None, 3)),
    }


def _draw(network: Network, time: int, draw: Draw) -> NamedArrays:
    given = {}
    for one in network.inputs:
        shape = tuple(time if size is None else size for size in one.shape)
        dtype = np.int32 if one.kind == "ids" else np.float32
        given[one.name] = np.asarray(draw(one, shape), dtype)[None]
    return given


def _normal(rng: np.random.Generator, scale: float) -> Draw:
    def draw(one: Input, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if one.kind == "ids":
            return rng.integers(min(1, one.size - 1), one.size, shape)
        return scale * rng.standard_normal(shape)

    return draw


def _sensitive(network: Network, rng: np.random.Generator) -> Draw:
    """Numbers that leave the first layer unsaturated: where a sensor's own lie, if the network was trained on them.

    That is about the x with W x + b = 0, by least squares, each feature as far from it as moves the layer by about 1.
    """
    normal = _normal(rng, 1.0)

    def draw(one: Input, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        readers = [node.layer for node in network.nodes if one.name in node.inputs]
        weighted = [layer for layer in readers if isinstance(layer, SimpleRNN | Dense)]
        if one.kind == "ids" or not weighted:
            return normal(one, shape)
        kernel, bias = (np.concatenate([getattr(layer, name) for layer in weighted], -1) for name in ("kernel", "bias"))
        centre = np.linalg.lstsq(kernel.T, -bias, rcond=None)[0]
        norms = np.linalg.norm(kernel, axis=1)
        return np.asarray(centre + normal(one, shape) / np.where(norms > 0, norms, 1.0))

    return draw


def _constant(value: float) -> Draw:
    return lambda one, shape: np.full(shape, value)


def _jumps(one: Input, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    if one.kind == "ids":
        return np.full(shape, one.size - 1)
    signs = np.where(np.arange(shape[0]) % 2, -1.0, 1.0)
    return np.broadcast_to(signs.reshape(-1, *[1] * (len(shape) - 1)), shape)


def _blank(given: NamedArrays, positions: slice) -> NamedArrays:
    for values in given.values():
        values[:, positions] = 0
    return given


def _every_id(network: Network, length: int) -> list[ProbeBatch]:
    """Each id of each embedding at least once."""
    counts = {
        one.name: int(np.prod([length if size is None else size for size in one.shape]))
        for one in network.inputs
        if one.size
    }
    rows = {}
    rng = np.random.default_rng(4)
    for i in range(max((-(-one.size // counts[one.name]) for one in network.inputs if one.size), default=0)):

        def draw(one: Input, shape: tuple[int, ...], i: int = i) -> npt.NDArray[Any]:
            if one.kind == "ids":
                count = counts[one.name]
                return np.minimum(i * count + np.arange(count), one.size - 1).reshape(shape)
            return rng.standard_normal(shape)

        rows[f"every id, part {i + 1}"] = _draw(network, length, draw)
    return [_batch(rows)] if rows else []


def _shortest(network: Network) -> int:
    """The shortest time that gives an answer: a pooling needs more than one position."""
    for time in range(1, _MOST_POSITIONS):
        try:
            answers = network.answers(_draw(network, time, _constant(0.0)))
        except ValueError:
            continue
        if all(values.size for values in answers.values()):
            return time
    raise ValueError(f"the network gives no answer for up to {_MOST_POSITIONS} positions")


def _shapes(given: NamedArrays) -> list[tuple[int, ...]]:
    return [values.shape for values in given.values()]


def _batch(rows: dict[str, NamedArrays]) -> ProbeBatch:
    first = next(iter(rows.values()))
    given = {name: np.concatenate([row[name] for row in rows.values()]) for name in first}
    return ProbeBatch(given, tuple(rows))
