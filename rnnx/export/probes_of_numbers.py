"""Makes the probes of a network that reads numbers, several inputs, or ids that are not rows of a text.

They are random arrays in several sizes, and traps: one step, zeros that a mask may hide, jumps, every id of an
embedding, every number at which a layer decides, and masks of many shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.export.finite import find_finite_size
from rnnx.export.landmarks import find_landmarks
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import Array, Dense, Input, NamedArrays, Network, SimpleRNN
from rnnx.reference.shapes import inputs_by_time, least_time, zeros
from rnnx.rounding.row_parts import count_row

# Makes one row of an input; the shape is that of the row, for example (time, features).
Draw: TypeAlias = Callable[[Input, tuple[int, ...]], npt.NDArray[Any]]

_ROWS = 16
_ROWS_TRIED = 4
_MOST_TIMES_ROWS = 32
# The numbers that a network computes for one row (`rnnx.rounding.row_parts`). From so many on, probes are fewer and no
# trap is drawn twice; with more than the second number, they are shorter if their time is open. All states of all
# probes are in memory at once.
_MANY_NUMBERS, _MOST_NUMBERS = 1 << 22, 1 << 24
_FEWEST_ROWS = 2


@dataclass(frozen=True)
class ProbeSize:
    """The size of most probes of a network.

    Attributes:
        length: The time of most sequences; an input with a fixed time keeps that.
        scale: The standard deviation of most numbers.
        overflow_count: The inputs that were tried before, on which the network is not finite in float32.
        row_count: How many rows are drawn. They are more if they are short, as a weight counts in few steps then, and
            fewer if the network computes many numbers for each.
        repeats_traps: Whether the traps are run among these rows, too, and not only alone.
    """

    length: int
    scale: float = 1.0
    overflow_count: int = 0
    row_count: int = _ROWS
    repeats_traps: bool = True


def find_probe_size(network: Network, length: int) -> ProbeSize:
    """Finds the largest size, up to a length, at which a network stays finite in float32 (`rnnx.export.finite`).

    A network that computes many numbers for each step has shorter and fewer probes.
    """
    least = least_time(network)
    length = _affordable_length(network, length, 2 * least)
    landmarks = find_landmarks(network)

    def draw(time: int, scale: float) -> NamedArrays:
        normal = _normal(np.random.default_rng(5), scale, landmarks)
        rows = {f"row {i + 1}": _draw(network, time, normal) for i in range(_ROWS_TRIED)}
        _count_some_position(network, rows.values())
        return network.named(_batch(rows).given)

    length = max(length, least)
    size = ProbeSize(*find_finite_size(network, length, 2 * least, draw))
    size = replace(size, row_count=_ROWS * min(length // size.length, _MOST_TIMES_ROWS))
    numbers = _count_numbers(network, size.length)
    if numbers <= _MANY_NUMBERS:
        return size
    return replace(size, row_count=max(_FEWEST_ROWS, size.row_count * _MANY_NUMBERS // numbers), repeats_traps=False)


def _affordable_length(network: Network, length: int, shortest: int) -> int:
    """Halves a length until a row of it has no more numbers than `_MOST_NUMBERS`."""
    if not any(None in port.shape for port in network.inputs):
        return length
    while length > shortest and _count_numbers(network, length) > _MOST_NUMBERS:
        length = max(length // 2, shortest)
    return length


def _count_numbers(network: Network, length: int) -> int:
    """Counts the numbers that a network computes for a row of a length, from those for two short ones."""
    short = least_time(network)
    few, more = (count_row(network, zeros(network, time)) for time in (short, 2 * short))
    return few + (more - few) * (length - short) // short


def make_number_probes(
    network: Network, size: ProbeSize, times_longest: int
) -> tuple[tuple[ProbeBatch, ...], ProbeBatch]:
    """Makes the probes.

    Args:
        network: The reference, which describes the inputs.
        size: The size of most sequences, and how many rows the first batch has besides the traps.
        times_longest: How many times as long the sequence for the drift is.

    Returns:
        The batches (one of many rows, one with every id, and each trap alone), and the long batch.
    """
    rng = np.random.default_rng(3)
    length = max(size.length, least_time(network))
    traps = make_number_traps(network, length, size.scale)
    landmarks = find_landmarks(network)
    rows = {f"row {i + 1}": _draw(network, length, _normal(rng, size.scale, landmarks)) for i in range(size.row_count)}
    long = _draw(network, times_longest * length, _normal(rng, size.scale, landmarks))
    _count_some_position(network, [*rows.values(), long])
    shapes = _shapes(rows["row 1"])
    mixed = rows | {name: given for name, given in traps.items() if size.repeats_traps and _shapes(given) == shapes}
    batches = [_batch(mixed), *_every_value(network, length, landmarks)]
    batches += [_batch({f"{name}, alone": given}) for name, given in traps.items()]
    return tuple(batches), _batch({f"{times_longest} times the longest": long})


def make_number_traps(network: Network, length: int, scale: float = 1.0) -> dict[str, NamedArrays]:
    """Returns inputs that are made to find errors of a conversion, by name; each is a batch of one.

    Args:
        network: The reference, which describes the inputs.
        length: The time of most of them; an input with a fixed time keeps that.
        scale: The standard deviation of most numbers.
    """
    rng = np.random.default_rng(0)
    shortest = least_time(network)
    length = max(length, shortest)
    landmarks = find_landmarks(network)
    normal = _normal(rng, scale, landmarks)
    third = length // 3
    traps = {
        "zeros": _draw(network, length, _constant(0.0)),
        "one step": _draw(network, shortest, normal),
        "one step more": _draw(network, shortest + 1, normal),
        "half": _draw(network, max(length // 2, shortest), normal),
        "where the first layer is most sensitive": _draw(network, length, _sensitive(network, normal, landmarks)),
        "large": _draw(network, length, _normal(rng, 10 * scale, landmarks)),
        "small": _draw(network, length, _normal(rng, 1e-3 * scale, landmarks)),
        "the highest id, and jumps": _draw(network, length, _jumps(landmarks)),
        "zeros in front": _blank(_draw(network, length, normal), slice(0, third)),
        "zeros at the end": _blank(_draw(network, length, normal), slice(third, None)),
        "zeros between": _blank(_draw(network, length, normal), slice(1, None, 3)),
    }
    if any(port.kind == "mask" for port in network.inputs):
        traps |= {
            f"a mask, {name}": _draw(network, length, _masked(rng, make, normal)) for name, make in _MASKS.items()
        }
    if len(groups := inputs_by_time(network)) > 1:
        uneven = _draw(network, length, normal)
        for i, group in enumerate(groups if len(groups[-1]) == 1 else groups[:-1]):
            for name in group:
                uneven[name] = uneven[name][:, : max(shortest, length // (i + 2))]
        traps["inputs of different lengths"] = uneven
    _count_some_position(network, traps.values())
    return traps


def _count_some_position(network: Network, rows: Iterable[NamedArrays]) -> None:
    """Makes the first position count where none does, if the network has no answer for that, as a mean has none.

    It counts in masks, and is 1 in inputs that are zero at all positions. The rows are changed in place.
    """
    with np.errstate(all="ignore"):  # the mean of nothing
        answers = network.answers(zeros(network, least_time(network)))
    if all(np.isfinite(values).all() for values in answers.values()):
        return
    for row in rows:
        for port in network.inputs:
            values = row[port.name]
            if port.kind == "mask":
                values[:, 0] |= ~values.any(axis=1)
            elif not values.any() and port.size != 1:
                values[:, 0] = 1


def _draw(network: Network, time: int, draw: Draw) -> dict[str, npt.NDArray[Any]]:
    """Makes a batch of one for all inputs of a network."""
    given = {}
    for port in network.inputs:
        shape = tuple(time if size is None else size for size in port.shape)
        given[port.name] = np.asarray(draw(port, shape), port.dtype)[None]
    return given


def _normal(rng: np.random.Generator, scale: float, landmarks: Mapping[str, Array]) -> Draw:
    """Draws normal numbers of a scale, uniform ids other than 0, landmarks where there are some, and usual masks."""

    def draw(port: Input, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if port.kind == "ids":
            return rng.integers(min(1, port.size - 1), port.size, shape)
        if port.kind == "mask":
            return _MASKS[list(_MASKS)[rng.integers(len(_MASKS))]](rng, shape)
        if port.name in landmarks:
            return rng.choice(landmarks[port.name], shape)
        return scale * rng.standard_normal(shape)

    return draw


def _sensitive(network: Network, normal: Draw, landmarks: Mapping[str, Array]) -> Draw:
    """Draws numbers that do not saturate the first layer, as the data of a trained network usually are.

    They are near the least-squares solution x of W x + b = 0. Each feature varies so much that it changes the sum of
    the layer by about 1.
    """

    def draw(port: Input, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        readers = [node.layer for node in network.nodes if port.name == node.inputs[0]]
        weighted = [layer for layer in readers if isinstance(layer, SimpleRNN | Dense)]
        if port.kind != "numbers" or not weighted or port.name in landmarks:
            return normal(port, shape)
        kernel, bias = (np.concatenate([getattr(layer, name) for layer in weighted], -1) for name in ("kernel", "bias"))
        centre = np.linalg.lstsq(kernel.T, -bias, rcond=None)[0]
        norms = np.linalg.norm(kernel, axis=1)
        return np.asarray(centre + normal(port, shape) / np.where(norms > 0, norms, 1.0))

    return draw


def _masked(rng: np.random.Generator, make: Callable[..., npt.NDArray[np.bool_]], normal: Draw) -> Draw:
    """Draws numbers and ids as `normal` does, and all masks by one function of `_MASKS`."""
    return lambda port, shape: make(rng, shape) if port.kind == "mask" else normal(port, shape)


def _run_of_true(start: float, end: float) -> Callable[..., npt.NDArray[np.bool_]]:
    """Returns a function of `_MASKS` that counts the positions of a part of the sequence, as padding leaves it."""

    def make(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
        positions = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
        counts = (positions >= int(start * shape[0])) & (positions < np.ceil(end * shape[0]))
        return np.broadcast_to(counts, shape).copy()

    return make


# The shapes of masks: each makes one of a shape, `(time,)` as a rule.
_MASKS: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], npt.NDArray[np.bool_]]] = {
    "all positions": _run_of_true(0, 1),
    "padding in front": _run_of_true(0.4, 1),
    "padding at the end": _run_of_true(0, 0.7),
    "padding at both ends": _run_of_true(0.3, 0.6),
    "holes": lambda rng, shape: rng.random(shape) < 0.6,
    "no position": _run_of_true(0, 0),
}


def _constant(value: float) -> Draw:
    return lambda port, shape: np.full(shape, value)


def _jumps(landmarks: Mapping[str, Array]) -> Draw:
    """Makes numbers that jump between 1 and -1, or the extreme landmarks; rows of the highest id; full masks."""

    def draw(port: Input, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        if port.kind == "ids":
            return np.full(shape, port.size - 1)
        least, most = landmarks[port.name][[0, -1]] if port.name in landmarks else (-1.0, 1.0)
        numbers = np.where(np.arange(shape[0]) % 2, least, most)
        return np.broadcast_to(numbers.reshape(-1, *[1] * (len(shape) - 1)), shape)

    return draw


def _blank(given: NamedArrays, positions: slice) -> NamedArrays:
    """Sets positions of all inputs to zero, in place."""
    for values in given.values():
        values[:, positions] = 0
    return given


def _every_value(network: Network, length: int, landmarks: Mapping[str, Array]) -> list[ProbeBatch]:
    """Makes a batch that contains each id of each embedding, and each landmark, at least once; no batch without any."""
    every: dict[str, npt.NDArray[Any]] = {port.name: np.arange(port.size) for port in network.inputs if port.size}
    every.update(landmarks)
    # How many numbers one row of an input has.
    counts = {
        port.name: int(np.prod([length if size is None else size for size in port.shape]))
        for port in network.inputs
        if port.name in every
    }
    rows = {}
    rng = np.random.default_rng(4)
    for i in range(max((-(-len(values) // counts[name]) for name, values in every.items()), default=0)):

        def draw(port: Input, shape: tuple[int, ...], i: int = i) -> npt.NDArray[Any]:
            if port.name in every:
                values, count = every[port.name], counts[port.name]
                return np.reshape(values[np.minimum(i * count + np.arange(count), len(values) - 1)], shape)
            if port.kind == "mask":
                return np.ones(shape, np.bool_)
            return rng.standard_normal(shape)

        rows[f"every {'number' if landmarks else 'id'}, part {i + 1}"] = _draw(network, length, draw)
    return [_batch(rows)] if rows else []


def _shapes(given: NamedArrays) -> list[tuple[int, ...]]:
    return [values.shape for values in given.values()]


def _batch(rows: Mapping[str, NamedArrays]) -> ProbeBatch:
    """Joins batches of one to a batch."""
    first = next(iter(rows.values()))
    given = {name: np.concatenate([row[name] for row in rows.values()]) for name in first}
    return ProbeBatch(given, tuple(rows))
