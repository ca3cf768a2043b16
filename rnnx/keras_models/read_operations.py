"""Turns the operations of functional models into layers of the reference, or refuses them with a reason.

Keras saves `x[:, -1]`, `a + b` and `ops.mean(x, axis=1)` as operations between layers. `_READERS` has one entry per
operation. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.read_layers import read_shape, refusal
from rnnx.reference import Selection

_Reader: TypeAlias = Callable[[Any], reference.Layer]


def is_operation(layer: Any) -> bool:
    """Says whether a part of a functional model is an operation and no layer."""
    return not isinstance(layer, keras.Layer)


def is_of_masks(layer: Any) -> bool:
    """Says whether a part of a functional model is an operation that computes a mask; Keras saves these as well."""
    return is_operation(layer) and all(tensor.dtype == "bool" for tensor in keras.tree.flatten(layer.output))


def read_operation(operation: Any) -> reference.Layer:
    """Turns an operation into its layer of the reference.

    Raises:
        ModelError: If the operation, or one of its settings, is not supported.
    """
    reader = _READERS.get(type(operation).__name__)
    if reader is None or not type(operation).__module__.startswith("keras.src.ops."):
        raise refusal(operation, "is of an unsupported class")
    for tensor in (*_inputs(operation), *keras.tree.flatten(operation.output)):
        if tensor.dtype != "float32":
            raise refusal(operation, f"computes with numbers of type {tensor.dtype}; only float32 is supported")
    if len(operation.output.shape) < 2:
        raise refusal(operation, "leaves a single number of each row, without an axis; keep an axis")
    return reader(operation)


def _inputs(operation: Any) -> list[Any]:
    tensors: list[Any] = keras.tree.flatten(operation.input)
    return tensors


def _arguments(operation: Any) -> list[Any]:
    """Returns the arguments of the only call of an operation, those by name at the end."""
    arguments = operation._inbound_nodes[0].arguments
    return [*arguments.args, *arguments.kwargs.values()]


def _axes(operation: Any, axis: Any, rank: int, what: str) -> tuple[int, ...]:
    """Returns axes counted from the batch, in order; refuses the batch itself."""
    given = range(rank) if axis is None else axis if isinstance(axis, list | tuple) else [axis]
    axes = tuple(sorted({int(each) % rank for each in given}))
    if 0 in axes:
        raise refusal(operation, f"{what} the batch; only the other axes are supported")
    return axes


def _read_get_item(operation: Any) -> reference.GetItem:
    """Reads `x[key]`; what it takes must be there for any time."""
    x, key = _arguments(operation)
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


def _read_selection(operation: Any, part: Any, sizes: Any) -> Selection:
    if part is None:
        return Selection("new")
    size = next(sizes)
    if isinstance(part, slice):
        selection = Selection("slice", *(None if end is None else int(end) for end in _ends(part)))
        if len(range(*part.indices(1 if size is None else size))) == 0:
            what = "nothing of a sequence of one position; use a fixed time" if size is None else "nothing"
            raise refusal(operation, f"leaves {what}")
        return selection
    if isinstance(part, bool) or not isinstance(part, int | np.integer):
        raise refusal(operation, f"takes {part!r:.60}; only whole numbers and slices are supported")
    if size is None and part not in (0, -1):
        raise refusal(operation, f"takes position {part}, which a short sequence does not have; use a fixed time")
    return Selection("index", int(part))


def _combines(name: Any) -> _Reader:
    """Returns the reader of an operation on two tensors, or on a tensor and constants."""

    def read(operation: Any) -> reference.Layer:
        first, second = _arguments(operation)
        tensors = [each for each in (first, second) if isinstance(each, keras.KerasTensor)]
        if len(tensors) == 2:
            if len(first.shape) != len(second.shape):
                raise refusal(operation, f"has inputs of the shapes {first.shape} and {second.shape}; reshape one")
            return reference.CombineTensors(name)
        is_first = tensors[0] is second
        constants = np.asarray(keras.ops.convert_to_numpy(first if is_first else second)).astype(np.float32)
        rank = len(tensors[0].shape)
        if constants.size == 1 and constants.ndim <= rank:
            return reference.CombineNumber(name, float(constants.reshape(())), is_first)
        if constants.ndim > rank or constants.shape[-1] != constants.size or constants.size != tensors[0].shape[-1]:
            raise refusal(
                operation,
                f"has constants of the shape {constants.shape}; only a number, or one for each feature, is supported",
            )
        return reference.CombineConstants(name, constants.ravel().astype(np.float64), is_first)

    return read


def _applies(layer: reference.Layer) -> _Reader:
    """Returns the reader of an operation without settings."""
    return lambda _: layer


def _reduces(name: Any) -> _Reader:
    def read(operation: Any) -> reference.Reduce:
        if getattr(operation, "initial", None) is not None:
            raise refusal(operation, "has an initial value, which is not supported")
        axes = _axes(operation, operation.axis, len(_inputs(operation)[0].shape), "reduces")
        return reference.Reduce(name, axes, bool(operation.keepdims))

    return read


def _read_softmax(operation: Any) -> reference.Layer:
    rank = len(_inputs(operation)[0].shape)
    axes = _axes(operation, operation.axis, rank, "normalizes over")
    if len(axes) > 1:
        raise refusal(operation, f"normalizes over the axes {axes}; only one axis is supported")
    return reference.Activation("softmax") if axes == (rank - 1,) else reference.Softmax(axes[0])


def _read_expand_dims(operation: Any) -> reference.GetItem:
    rank = len(operation.output.shape)
    axes = _axes(operation, operation.axis, rank, "adds an axis in front of")
    return reference.GetItem(tuple(Selection("new" if i in axes else "slice") for i in range(1, rank)))


def _read_squeeze(operation: Any) -> reference.GetItem:
    shape = _inputs(operation)[0].shape
    axis = operation.axis
    if axis is None:
        axis = [i for i, size in enumerate(shape) if size == 1]
    axes = _axes(operation, axis, len(shape), "removes")
    return reference.GetItem(
        tuple(Selection("index", 0) if i in axes else Selection("slice") for i in range(1, len(shape)))
    )


def _joins(*, is_stacked: bool) -> _Reader:
    def read(operation: Any) -> reference.Join:
        (axis,) = _axes(operation, operation.axis, len(operation.output.shape), "joins inputs along")
        return reference.Join(axis, is_stacked)

    return read


def _read_transpose(operation: Any) -> reference.Transpose:
    rank = len(operation.output.shape)
    axes = range(rank)[::-1] if operation.axes is None else operation.axes
    order = tuple(int(axis) % rank for axis in axes)
    if order[0] != 0:
        raise refusal(operation, "moves the batch to another axis, which is not supported")
    return reference.Transpose(order)


def _read_reshape(operation: Any) -> reference.Reshape:
    first, *_ = operation.newshape
    batch = _inputs(operation)[0].shape[0]
    if first not in (-1, batch):
        raise refusal(operation, "does not keep the batch; give -1 as its first size")
    return read_shape(operation, _inputs(operation)[0].shape, operation.output.shape)


def _read_matmul(operation: Any) -> reference.Dense:
    _, second = _arguments(operation)
    if isinstance(second, keras.KerasTensor) or np.ndim(second) != 2:
        raise refusal(operation, "multiplies two computed tensors; only a product with a matrix of constants, x @ m, "
                      "is supported")  # fmt: skip
    kernel = np.asarray(keras.ops.convert_to_numpy(second)).astype(np.float32).astype(np.float64)
    return reference.Dense(kernel, np.zeros(kernel.shape[1]), "linear")


_READERS: Mapping[str, _Reader] = {
    "Absolute": _applies(reference.ApplyFunction("absolute")),
    "Add": _combines("add"),
    "Concatenate": _joins(is_stacked=False),
    "Divide": _combines("divide"),
    "Exp": _applies(reference.Activation("exponential")),
    "ExpandDims": _read_expand_dims,
    "GetItem": _read_get_item,
    "Matmul": _read_matmul,
    "Max": _reduces("max"),
    "Maximum": _combines("maximum"),
    "Mean": _reduces("mean"),
    "Min": _reduces("min"),
    "Minimum": _combines("minimum"),
    "Multiply": _combines("multiply"),
    "Negative": _applies(reference.ApplyFunction("negative")),
    "Relu": _applies(reference.Activation("relu")),
    "Reshape": _read_reshape,
    "Sigmoid": _applies(reference.Activation("sigmoid")),
    "Softmax": _read_softmax,
    "Sqrt": _applies(reference.ApplyFunction("sqrt")),
    "Square": _applies(reference.ApplyFunction("square")),
    "Squeeze": _read_squeeze,
    "Stack": _joins(is_stacked=True),
    "Subtract": _combines("subtract"),
    "Sum": _reduces("sum"),
    "Tanh": _applies(reference.Activation("tanh")),
    "Transpose": _read_transpose,
    "TrueDivide": _combines("divide"),
}
