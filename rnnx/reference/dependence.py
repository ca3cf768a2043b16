"""What each position of a layer's output depends on, found by running the layer on marked numbers. Imports numpy only.

A marked number is NaN: every operation passes it on, so a position of the output is marked if any marked number can
reach it. Each position of the input is marked in turn.
"""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from rnnx.primitives import Array, Mask
from rnnx.reference.layer import Layer
from rnnx.reference.pointwise import Embedding
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.tensor import Tensor

# How the positions of an output belong to those of the input. "each": a position depends on the same one alone.
# "reversed": the same, in reverse order. "summary": there are no positions, and the summary of a single position is
# that position, as in a mean. "mixed": anything else.
Positions: TypeAlias = Literal["each", "reversed", "summary", "mixed"]

_TIMES = (5, 7)
# A layer without weights is tried with positions of so many numbers.
_SIZES = (6, 10)


def positions_of(layer: Layer) -> Positions:
    """Says how the positions of a layer's output belong to those of its inputs.

    Args:
        layer: The layer; of a recurrence, its states are described by `reads_from_end`.
    """
    kinds = {_positions(layer, size) for size in _position_sizes(layer)}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def reads_from_end(layer: Recurrent) -> bool:
    """Says whether the first state of a recurrence already depends on the last position of the input."""
    (size,) = _position_sizes(layer)
    marks = _marks(replace(_drawn(layer), return_sequences=True), size, _TIMES[0], range(1))
    return marks is not None and bool(marks[0, -1])


def inputs_read(layer: Layer, count: int) -> list[int]:
    """Says which of its inputs a layer reads the numbers of; some read only the mask."""
    size = _position_sizes(layer)[0]
    marks = [_marks(_drawn(layer), size, _TIMES[0], [i], count) for i in range(count)]
    return [i for i, of_input in enumerate(marks) if of_input is None or of_input.any()]


def _positions(layer: Layer, size: int) -> Positions:
    drawn, count = _drawn(layer), _input_count(layer)
    marks = [_marks(drawn, size, time, range(count), count) for time in _TIMES]
    found = [of_time for of_time in marks if of_time is not None]
    if len(found) < len(marks):
        return "mixed"
    identities = [np.eye(time, dtype=bool) for time in _TIMES]
    if all(map(np.array_equal, found, identities)):
        return "each"
    if all(map(np.array_equal, found, [identity[::-1] for identity in identities])):
        return "reversed"
    shapes = {_call(drawn, size, time, {}, count).values.shape for time in _TIMES}
    given = _given(layer, size, 1)
    if len(shapes) == 1 and np.array_equal(given.values.ravel(), _call(drawn, size, 1, {}, count).values.ravel()):
        return "summary"
    return "mixed"


def _marks(layer: Layer, size: int, time: int, inputs: Any, count: int = 1) -> Mask | None:
    """Says which positions of the output depend on each position of the input, `(output positions, time)`.

    Returns:
        None if the layer cannot read such an input.
    """
    columns = []
    for t in range(time):
        try:
            values = _call(layer, size, time, dict.fromkeys(inputs, t), count).values
        except ValueError:
            return None
        values = values if values.ndim > 1 else values[:, None]
        columns.append(np.isnan(values[0]).reshape(len(values[0]), -1).any(axis=1) if values.size else [])
    return np.asarray(columns, bool).T


def _call(layer: Any, size: int, time: int, marked: dict[int, int], count: int) -> Tensor:
    """Calls a layer on one row; `marked` has a position for each input that has a marked one."""
    inputs = [_given(layer, size, time, marked.get(i)) for i in range(count)]
    with np.errstate(all="ignore"):  # NaN is meant here
        result: Tensor = layer(*inputs)
    return result


def _given(layer: Layer, size: int, time: int, marked: int | None = None) -> Tensor:
    if isinstance(layer, Embedding):
        ids = np.ones((1, time))
        ids[:, marked if marked is not None else slice(0)] = 0  # the row of id 0 is marked
        return Tensor(ids)
    values = np.random.default_rng(0).normal(size=(1, time, size))
    values[:, marked if marked is not None else slice(0)] = np.nan
    return Tensor(values)


def _drawn(layer: Any) -> Any:
    """Returns the layer with the same positive weights everywhere: only what they are multiplied with counts."""
    if isinstance(layer, Embedding):
        width = layer.table.shape[1]
        return replace(layer, table=np.stack([np.full(width, np.nan), np.ones(width)]))
    drawn = {name: np.full(values.shape, 1.0 / len(values)) for name, values in weights_of(layer).items()}
    return replace(layer, **drawn)


def weights_of(layer: Any) -> dict[str, Array]:
    """Returns the weights of a layer by name."""
    values = {field.name: getattr(layer, field.name) for field in fields(layer)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}


def _position_sizes(layer: Layer | Recurrent) -> tuple[int, ...]:
    """Returns how many numbers a position of the input may have.

    Weights are stored with the numbers of a position before those of the output, unless the layer says it itself.
    """
    if isinstance(own := getattr(layer, "position_size", None), int):
        return (own,)
    for values in weights_of(layer).values():
        return (values.shape[-2:][0],)
    return _SIZES


def _input_count(layer: Any) -> int:
    if isinstance(own := getattr(layer, "input_count", None), int):
        return own
    parameters = inspect.signature(type(layer).__call__).parameters.values()
    return 2 if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters) else 1
