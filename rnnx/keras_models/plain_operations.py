"""Replaces an operation between layers by others that compute the same, and that tf2onnx writes in plain operators.

`ops.take_along_axis` at constant places is an `ops.take`, of one axis or of all numbers of a row. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import keras
import numpy as np
from keras.src.ops import numpy as operations

from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import MOST_CONSTANTS, arguments_of, axes_of, is_operation


def is_replaced(operation: Any) -> bool:
    """Says whether a part of a model is an operation that is replaced."""
    is_taking = is_operation(operation) and type(operation) is operations.TakeAlongAxis
    return is_taking and not any(isinstance(each, keras.KerasTensor) for each in arguments_of(operation)[1:])


def call_replaced(operation: Any, arguments: Sequence[Any], name: Callable[[str], str]) -> Any:
    """Calls what computes the same as `ops.take_along_axis` at constant places.

    Args:
        operation: The operation.
        arguments: Its input, `(batch, ...)`, and the places, with as many axes; that of the batch has the size 1.
        name: Gives an operation its name.

    Returns:
        The tensor.

    Raises:
        ModelError: If the places are not those of one row, or differ between the positions of an open time.
    """
    x, given = arguments
    places, rank, shape = np.asarray(keras.ops.convert_to_numpy(given)), len(x.shape), x.shape[1:]
    if operation.axis is None or places.ndim != rank or len(places) != 1:
        raise refusal(operation, f"takes at places of the shape {places.shape}, which are not those of one row")
    (axis,) = axes_of(operation, operation.axis, rank, "takes along")
    if places.size == places.shape[axis]:
        return operations.Take(axis, name=name(operation.name))(x, places.ravel().tolist())
    if None in shape or places.size > MOST_CONSTANTS or not _fits(places, x.shape[axis]):
        raise refusal(
            operation,
            f"takes at other places of each position; give a fixed time, and at most "
            f"{MOST_CONSTANTS:,} places within it",
        )
    numbers = np.arange(prod(shape)).reshape(1, *shape)
    sizes = np.broadcast_shapes(*(np.delete(each.shape, axis) for each in (numbers, places)))
    numbers, places = (
        np.broadcast_to(each, (*sizes[:axis], each.shape[axis], *sizes[axis:])) for each in (numbers, places)
    )
    taken = np.take_along_axis(numbers, places, axis)[0]
    flat = operations.Reshape((-1, prod(shape)), name=name(f"{operation.name}_flat"))(x)
    chosen = operations.Take(1, name=name(f"{operation.name}_taken"))(flat, taken.ravel().tolist())
    return operations.Reshape((-1, *taken.shape), name=name(operation.name))(chosen)


def _fits(places: Any, size: int) -> bool:
    return bool(((places >= -size) & (places < size)).all())
