"""Turns the operations that move numbers to other places into layers of the reference. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import LayerOrChain, OperationReader, arguments_of, axes_of, chain, inputs_of
from rnnx.keras_models.read_reshapes import read_shape
from rnnx.reference import Selection

_WHOLE = Selection("slice")
# The positions of an open time that a part may need; those that a network needs are found in `rnnx.reference.shapes`.
_ENOUGH = 30
# Of a matrix; the evidence of a file has them as text.
_MOST_PLACES = 1 << 14


def _read_get_item(operation: Any) -> reference.GetItem:
    """Reads `x[key]`. What it takes of an open time must be there if that is long enough."""
    x, key = arguments_of(operation)
    parts = list(key) if isinstance(key, list | tuple) else [key]
    taken = sum(part is not None and part is not Ellipsis for part in parts)
    rest = [slice(None)] * (len(x.shape) - taken)
    if Ellipsis in parts:
        place = parts.index(Ellipsis)
        parts[place : place + 1] = rest
    if not parts or not isinstance(parts[0], slice) or any(_ends(parts[0])):
        raise refusal(operation, "takes some rows of the batch; only parts of each row are supported")
    sizes = iter(x.shape[1:])
    return reference.GetItem(tuple(_read_selection(operation, part, sizes) for part in parts[1:]))


def _ends(part: slice) -> tuple[Any, Any, Any]:
    return part.start, part.stop, part.step


def _read_selection(operation: Any, part: Any, sizes: Iterator[int | None]) -> Selection:
    if part is None:
        return Selection("new")
    size = next(sizes)
    if isinstance(part, slice):
        selection = Selection("slice", *(None if end is None else int(end) for end in _ends(part)))
        if len(range(*part.indices(_ENOUGH if size is None else size))) == 0:
            what = f"nothing of a sequence of {_ENOUGH} positions; use a fixed time" if size is None else "nothing"
            raise refusal(operation, f"leaves {what}")
        return selection
    if isinstance(part, bool) or not isinstance(part, int | np.integer):
        raise refusal(operation, f"takes {part!r:.60}; only whole numbers and slices are supported")
    if size is None and not -_ENOUGH <= part < _ENOUGH:
        raise refusal(operation, f"takes position {part}, which a short sequence does not have; use a fixed time")
    return Selection("index", int(part))


def _read_expand_dims(operation: Any) -> reference.GetItem:
    rank = len(operation.output.shape)
    axes = axes_of(operation, operation.axis, rank, "adds an axis in front of")
    return reference.GetItem(tuple(Selection("new") if i in axes else _WHOLE for i in range(1, rank)))


def _read_squeeze(operation: Any) -> reference.GetItem:
    shape = inputs_of(operation)[0].shape
    axis = operation.axis
    if axis is None:
        axis = [i for i, size in enumerate(shape) if size == 1]
    axes = axes_of(operation, axis, len(shape), "removes")
    return reference.GetItem(tuple(Selection("index", 0) if i in axes else _WHOLE for i in range(1, len(shape))))


def _read_take(operation: Any) -> LayerOrChain:
    """Reads `ops.take` at constant places of one axis."""
    x, places = arguments_of(operation)[:2]
    if not isinstance(x, keras.KerasTensor) or isinstance(places, keras.KerasTensor):
        raise refusal(operation, "takes at computed places; only constant ones are supported, or an Embedding for ids")
    if operation.axis is None or np.ndim(places) > 1:
        raise refusal(operation, "should take at the places of a list, or at one place, along one axis")
    (axis,) = axes_of(operation, operation.axis, len(x.shape), "takes of")
    size = x.shape[axis]
    most = _ENOUGH if size is None else size
    found = [int(place) for place in np.ravel(places)]
    if not found or not all(-most <= place < most for place in found):
        raise refusal(operation, f"takes at {found!r:.60}, which an axis of size {size} does not have")
    if np.ndim(places) == 0:
        return reference.GetItem((*[_WHOLE] * (axis - 1), Selection("index", found[0])))
    return reference.TakePlaces(axis, tuple(found))


def _read_take_along(operation: Any) -> LayerOrChain:
    # The plain form of a model has an `ops.take` in place of one at constant places.
    raise refusal(
        operation,
        "takes at computed places; only constant ones are supported: multiply by ops.one_hot(places, size), and sum "
        "over the axis",
    )


def _read_append(operation: Any) -> reference.Join:
    if len(inputs_of(operation)) < 2 or operation.axis is None:
        raise refusal(operation, "should append a computed tensor along one axis")
    (axis,) = axes_of(operation, operation.axis, len(operation.output.shape), "appends along")
    return reference.Join(axis, is_stacked=False)


def _joins_along(axis: int) -> OperationReader:
    """Returns the reader of a concatenation along an axis that the name of the operation says."""

    def read(operation: Any) -> reference.Join:
        if len(inputs_of(operation)) < len(arguments_of(operation)[0]) or len(operation.output.shape) <= axis:
            raise refusal(operation, "should join computed tensors that have this axis; use ops.concatenate")
        axes_of(operation, axis, len(operation.output.shape), "joins inputs along")
        return reference.Join(axis, is_stacked=False)

    return read


def _read_fliplr(operation: Any) -> reference.GetItem:
    return reference.GetItem((Selection("slice", step=-1),))


def _read_array_split(operation: Any) -> list[LayerOrChain]:
    """Reads parts of nearly the same size."""
    axis, size = _fixed_axis(operation, operation.axis, "splits")
    given = operation.indices_or_sections
    parts = np.array_split(np.arange(size), given if isinstance(given, int) else list(given))
    if not all(len(part) for part in parts):
        raise refusal(operation, f"splits an axis of size {size} at {given}, which leaves nothing of a part")
    before = (_WHOLE,) * (axis - 1)
    return [reference.GetItem((*before, Selection("slice", int(part[0]), int(part[-1]) + 1))) for part in parts]


def _keeps_triangle(*, is_lower: bool) -> OperationReader:
    def read(operation: Any) -> reference.ChooseByConstants:
        sizes = inputs_of(operation)[0].shape[-2:]
        if len(inputs_of(operation)[0].shape) < 3 or None in sizes or np.prod(sizes) > _MOST_PLACES:
            raise refusal(operation, f"should keep a part of matrices of a fixed size, of at most {_MOST_PLACES:,}")
        ones = np.ones(sizes, int)
        kept = np.tril(ones, operation.k) if is_lower else np.triu(ones, operation.k)
        return reference.ChooseByConstants(tuple(map(int, kept.ravel())), tuple(map(int, sizes)), 0.0)

    return read


def _read_flip(operation: Any) -> reference.GetItem:
    rank = len(operation.output.shape)
    axes = axes_of(operation, operation.axis, rank, "flips")
    return reference.GetItem(tuple(Selection("slice", step=-1) if i in axes else _WHOLE for i in range(1, rank)))


def _splits(axis: int | None = None) -> OperationReader:
    """Returns the reader of a split along an axis; None takes that of the operation."""

    def read(operation: Any) -> list[LayerOrChain]:
        along, size = _fixed_axis(operation, operation.axis if axis is None else axis, "splits")
        given = operation.indices_or_sections
        count = given if isinstance(given, int) else 0
        starts = [i * (size // count) for i in range(count)] if count else [0, *(int(end) for end in given)]
        ends = [*starts[1:], size]
        if any(start >= end for start, end in zip(starts, ends, strict=True)) or ends[-1] > size:
            raise refusal(operation, f"splits an axis of size {size} at {given}; give places in order, within the axis")
        before = (_WHOLE,) * (along - 1)
        return [
            reference.GetItem((*before, Selection("slice", start, end)))
            for start, end in zip(starts, ends, strict=True)
        ]

    return read


def _read_unstack(operation: Any) -> list[LayerOrChain]:
    axis, size = _fixed_axis(operation, operation.axis, "unstacks")
    return [reference.GetItem((*[_WHOLE] * (axis - 1), Selection("index", i))) for i in range(size)]


def _fixed_axis(operation: Any, axis: int, what: str) -> tuple[int, int]:
    """Returns an axis and its size, which must be fixed."""
    shape = inputs_of(operation)[0].shape
    (axis,) = axes_of(operation, axis, len(shape), what)
    if shape[axis] is None:
        raise refusal(operation, f"{what} a variable time; use a fixed time")
    return axis, int(shape[axis])


def _joins(*, is_stacked: bool) -> OperationReader:
    def read(operation: Any) -> reference.Join:
        (axis,) = axes_of(operation, operation.axis, len(operation.output.shape), "joins inputs along")
        if len(inputs_of(operation)) < len(arguments_of(operation)[0]):
            raise refusal(operation, "joins constants with computed tensors; only computed ones are supported")
        return reference.Join(axis, is_stacked)

    return read


def _read_transpose(operation: Any) -> reference.Transpose:
    rank = len(operation.output.shape)
    return _transposed(operation, range(rank)[::-1] if operation.axes is None else operation.axes)


def _read_swap(operation: Any) -> reference.Transpose:
    axes = list(range(len(operation.output.shape)))
    first, second = operation.axis1, operation.axis2
    axes[first], axes[second] = axes[second], axes[first]
    return _transposed(operation, axes)


def _read_move(operation: Any) -> reference.Transpose:
    order = np.moveaxis(
        np.empty(range(len(operation.output.shape))), operation.source, operation.destination
    ).shape  # an axis of each size
    return _transposed(operation, order)


def _transposed(operation: Any, axes: Any) -> reference.Transpose:
    rank = len(operation.output.shape)
    order = tuple(int(axis) % rank for axis in axes)
    if order[0] != 0:
        raise refusal(operation, "moves the batch to another axis, which is not supported")
    return reference.Transpose(order)


def _read_reshape(operation: Any) -> reference.Reshape:
    first, *_ = operation.newshape
    batch = inputs_of(operation)[0].shape[0]
    if first not in (-1, batch):
        raise refusal(operation, "does not keep the batch; give -1 as its first size")
    return read_shape(operation, inputs_of(operation)[0].shape, operation.output.shape)


def _read_repeat(operation: Any) -> LayerOrChain:
    repeats = [int(count) for count in np.ravel(operation.repeats)]
    if operation.axis is None or len(repeats) > 1 or repeats[0] < 1:
        raise refusal(
            operation, "should repeat each element of one axis a fixed number of times; ops.take repeats some of them"
        )
    (axis,) = axes_of(operation, operation.axis, len(operation.output.shape), "repeats")
    return reference.Rearrange("repeat", axis, repeats[0])


def _read_tile(operation: Any) -> LayerOrChain:
    rank = len(inputs_of(operation)[0].shape)
    repeats = [int(count) for count in np.ravel(operation.repeats)]
    repeats = [1] * (rank - len(repeats)) + repeats
    if len(repeats) > rank or repeats[0] != 1 or min(repeats) < 1:
        raise refusal(operation, f"has repeats={operation.repeats!r:.60}; only axes of each row may be tiled")
    return chain([reference.Rearrange("tile", axis, count) for axis, count in enumerate(repeats) if count > 1])


def _read_roll(operation: Any) -> LayerOrChain:
    axes: Any = [] if operation.axis is None else np.ravel(operation.axis)
    if len(axes) == 0:
        raise refusal(operation, "should move the elements along axes of each row; give an axis")
    shifts = np.broadcast_to(np.ravel(operation.shift), len(axes))
    rank = len(operation.output.shape)
    return chain(
        [
            reference.Rearrange("roll", axes_of(operation, int(axis), rank, "rolls")[0], int(shift))
            for axis, shift in zip(axes, shifts, strict=True)
        ]
    )


def _read_pad(operation: Any) -> LayerOrChain:
    _, *values = arguments_of(operation)
    shape = inputs_of(operation)[0].shape
    widths = [tuple(map(int, width)) for width in operation.pad_width]
    widths = widths * len(shape) if len(widths) == 1 else widths
    if any(widths[0]) or min(min(width) for width in widths) < 0:
        raise refusal(operation, f"has pad_width={operation.pad_width!r:.80}; only axes of each row may be padded")
    padded = [(axis, *width) for axis, width in enumerate(widths) if any(width)]
    if operation.mode == "constant":
        number = 0.0 if not values or values[0] is None else float(np.float32(values[0]))
        return chain([reference.Pad(axis, before, after, number) for axis, before, after in padded])
    if operation.mode != "reflect" or any(shape[axis] is None for axis, *_ in padded):
        raise refusal(
            operation,
            f"has mode={operation.mode!r}; only 'constant' is supported, and 'reflect' along axes of a fixed size",
        )
    return chain(
        [
            reference.TakePlaces(axis, tuple(map(int, np.pad(np.arange(shape[axis]), (before, after), mode="reflect"))))
            for axis, before, after in padded
        ]
    )


READERS_OF_ITEMS: Mapping[str, OperationReader] = {
    "Append": _read_append,
    "ArraySplit": _read_array_split,
    "Concatenate": _joins(is_stacked=False),
    "Dstack": _joins_along(2),
    "ExpandDims": _read_expand_dims,
    "Flip": _read_flip,
    "Fliplr": _read_fliplr,
    "GetItem": _read_get_item,
    "Hsplit": _splits(1),
    "Hstack": _joins_along(1),
    "Moveaxis": _read_move,
    "Pad": _read_pad,
    "Repeat": _read_repeat,
    "Reshape": _read_reshape,
    "Roll": _read_roll,
    "Split": _splits(),
    "Squeeze": _read_squeeze,
    "Stack": _joins(is_stacked=True),
    "Swapaxes": _read_swap,
    "Take": _read_take,
    "TakeAlongAxis": _read_take_along,
    "Tile": _read_tile,
    "Transpose": _read_transpose,
    "Tril": _keeps_triangle(is_lower=True),
    "Triu": _keeps_triangle(is_lower=False),
    "Unstack": _read_unstack,
}
