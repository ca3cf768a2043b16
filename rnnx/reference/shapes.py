"""The shapes of a network's outputs, found by running the network on zeros. Imports numpy only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError, one_line
from rnnx.primitives import Array
from rnnx.reference.network import Network
from rnnx.reference.tensor import NamedArrays

# Two lengths, because a size that differs between them depends on the time. A network that needs more positions is run
# with two multiples of as many as it needs.
_TIMES = (60, 120)
# The search for the least time ends here.
_MOST_POSITIONS = 1 << 12
# Groups among more inputs than these would take too many runs to find.
_MOST_SEARCHED = 6


def output_shapes(network: Network) -> dict[str, tuple[int | None, ...]]:
    """Returns the shape of each output, by name, without the batch axis; None where a size depends on the time."""
    first, second = (_shapes(network, time) for time in _long_times(network))
    return {
        name: tuple(a if a == b else None for a, b in zip(shape, second[name], strict=True))
        for name, shape in first.items()
    }


def inputs_by_time(network: Network) -> list[list[str]]:
    """Returns the inputs with an open time, in groups whose inputs must have the same time.

    An encoder and its decoder have two groups, say. Groups of one input come first. Among more than 6 other inputs,
    smaller groups are not searched for: those inputs are one group.
    """
    names = [port.name for port in network.inputs if port.shape[0] is None]
    if len(names) < 2:
        return [names] if names else []
    longer = _long_times(network)[1]

    def may_differ(group: Sequence[str]) -> bool:
        return _answers(network, dict.fromkeys(group, longer)) is not None

    groups = [[name] for name in names if may_differ([name])]
    rest = [name for name in names if [name] not in groups]
    while rest:
        first, others = rest[0], rest[1:] if len(rest) <= _MOST_SEARCHED else []
        # The smallest group is a whole one, because no part of a group may differ from the rest of it.
        found = (
            [first, *chosen]
            for size in range(1, len(others) - 1)
            for chosen in combinations(others, size)
            if may_differ([first, *chosen])
        )
        group = next(found, rest)
        groups.append(group)
        rest = [name for name in rest if name not in group]
    return groups


def name_times(network: Network) -> dict[str, str]:
    """Returns the name of the open time of each input and output that has one, by the name of the input or output.

    It is `time` for the first input, for those that must have the same time, and for outputs over it. Inputs whose time
    may differ have another name, that of the first of them: such as `decoder_time`.
    """
    names = [port.name for port in network.inputs if port.shape[0] is None]
    times = {
        name: "time" if names[0] in group else f"{group[0]}_time" for group in inputs_by_time(network) for name in group
    }
    times = {name: times[name] for name in names}
    found = dict(times)
    # Two different times for each of them, so that an output has the size of its own input both times.
    sizes = {time: 7 * i for i, time in enumerate(dict.fromkeys(times.values()))}
    runs = [
        (total, _answers(network, {name: total + sizes[time] for name, time in times.items()}) or {})
        for total in _long_times(network)
    ]
    for name in network.ends:
        for time, more in sizes.items():
            if all(name in answers and answers[name].shape[1] == total + more for total, answers in runs):
                found.setdefault(name, time)
    return found


def _answers(network: Network, times: Mapping[str, int]) -> dict[str, Array] | None:
    """Runs the network on zeros, with some times other than the usual one; None if they do not fit together."""
    usual = _long_times(network)[0] if times.keys() < {port.name for port in network.inputs} else _TIMES[0]
    given = {
        port.name: np.zeros(
            (1, *(times.get(port.name, usual) if size is None else size for size in port.shape)), np.float32
        )
        for port in network.inputs
    }
    try:
        return network.answers(given)
    except ValueError:
        return None


def least_time(network: Network) -> int:
    """Returns the least time for which the network has an answer: a window may need several positions.

    Raises:
        ModelError: If it has none for up to 4,096 positions.
    """
    return _least(lambda time: _has_answer(network, zeros(network, time)))


def least_times(network: Network) -> dict[str, int]:
    """Returns the least time of each input that has an open one, by name; see `least_time`."""
    times, usual = name_times(network), _long_times(network)[0]
    names = [port.name for port in network.inputs if None in port.shape]
    if len({times[name] for name in names}) == 1:
        return dict.fromkeys(names, least_time(network))
    found = {}
    for name in names:
        own = [other for other in names if times[other] == times[name]]

        def is_enough(time: int, own: list[str] = own) -> bool:
            given = {**zeros(network, usual), **{k: v for k, v in zeros(network, time).items() if k in own}}
            return _has_answer(network, given)

        found[name] = _least(is_enough)
    return found


def _least(is_enough: Callable[[int], bool]) -> int:
    """Returns the least time that is enough; so are all longer ones."""
    most = 1
    while not is_enough(most):
        if most >= _MOST_POSITIONS:
            raise ModelError(f"the network gives no answer for up to {_MOST_POSITIONS:,} positions")
        most *= 2
    too_few = most // 2
    while most - too_few > 1:
        middle = (most + too_few) // 2
        most, too_few = (middle, too_few) if is_enough(middle) else (most, middle)
    return most


def _has_answer(network: Network, given: NamedArrays) -> bool:
    """Says whether no layer refuses its input, or is left without any position."""
    try:
        with np.errstate(all="ignore"):  # the mean of nothing
            tensors = network.forward(given)
    except (ValueError, IndexError):
        return False
    return all(tensor.values.size for tensor in tensors.values())


def _long_times(network: Network) -> tuple[int, int]:
    """Returns two times for which the network has an answer."""
    if not any(None in port.shape for port in network.inputs) or _has_answer(network, zeros(network, _TIMES[0])):
        return _TIMES
    least = least_time(network)
    return least, 2 * least


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
