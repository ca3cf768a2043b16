"""Turns the operations of functional models into layers of the reference, or refuses them with a reason.

Keras saves `x[:, -1]`, `a + b` and `ops.mean(x, axis=1)` as operations between layers. `_READERS` has one entry per
operation. Those that apply a function to each number are in `read_functions`, those that reduce axes or work along one
in `read_along_axes`, those that move numbers in `read_items`, those that multiply matrices in `read_products`, and
those that jump in `read_jumps`. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import (
    MOST_CONSTANTS,
    LayerOrChain,
    OperationReader,
    arguments_of,
    constant_of,
    inputs_of,
    outputs_of,
    require_one_rank,
)
from rnnx.keras_models.read_along_axes import READERS_ALONG_AXES
from rnnx.keras_models.read_encodings import read_one_hot
from rnnx.keras_models.read_functions import READERS_OF_FUNCTIONS
from rnnx.keras_models.read_items import READERS_OF_ITEMS
from rnnx.keras_models.read_jumps import READERS_OF_JUMPS
from rnnx.keras_models.read_normalizations import inverse_of
from rnnx.keras_models.read_products import READERS_OF_PRODUCTS

# The operations that may read or give whole numbers and truth values; the others compute with float32 alone.
_OF_ANY_TYPE = frozenset(
    {
        "Add", "All", "Any", "Argmax", "Argmin", "Cast", "ConvertToTensor", "CountNonzero", "Equal", "Greater",
        "GreaterEqual", "Less", "LessEqual", "LogicalAnd", "LogicalNot", "LogicalOr", "Max", "Maximum", "Min",
        "Minimum", "Multiply", "NotEqual", "OneHot", "OnesLike", "Subtract", "Sum", "Where", "ZerosLike",
        *READERS_OF_ITEMS,
    }
)  # fmt: skip
_TYPES = ("float32", "bool", "int32", "int64")


def read_operation(operation: Any) -> list[LayerOrChain]:
    """Turns an operation into what it is in the reference: a layer, or a chain of them, for each of its outputs.

    Raises:
        ModelError: If the operation, or one of its settings, is not supported.
    """
    name = type(operation).__name__
    reader = _READERS.get(name)
    if reader is None or not type(operation).__module__.startswith(("keras.src.ops.", "keras.src.activations.")):
        raise refusal(operation, "is of an unsupported class")
    for tensor in (*inputs_of(operation), *outputs_of(operation)):
        if tensor.dtype not in (_TYPES if name in _OF_ANY_TYPE else _TYPES[:1]):
            raise refusal(
                operation, f"computes with numbers of type {tensor.dtype}; turn them into float32 before, with ops.cast"
            )
    if any(len(tensor.shape) < 1 for tensor in outputs_of(operation)):
        raise refusal(operation, "has a result without the axis of the batch, which is not supported")
    readings = reader(operation)
    readings = readings if isinstance(readings, list) else [readings]
    if len(readings) != len(outputs_of(operation)):
        raise refusal(operation, f"has {len(outputs_of(operation))} outputs, which is not supported")
    return readings


def _combines(name: Any) -> OperationReader:
    """Returns the reader of an operation on two tensors, or on a tensor and constants."""

    def read(operation: Any) -> reference.Layer:
        first, second = arguments_of(operation)[:2]
        tensors = [each for each in (first, second) if isinstance(each, keras.KerasTensor)]
        if len(tensors) == 2:
            require_one_rank(operation, first, second)
            return reference.CombineTensors(name)
        is_first = tensors[0] is second
        constants = constant_of(first if is_first else second)
        rank = len(tensors[0].shape)
        if constants.size == 1 and constants.ndim <= rank:
            return reference.CombineNumber(name, float(constants.reshape(())), is_first)
        if constants.ndim > rank or (constants.ndim == rank and len(constants) > 1):
            raise refusal(
                operation,
                f"has constants of the shape {constants.shape}, which are not those of one row of {tensors[0].shape}",
            )
        while len(constants) == 1:
            constants = constants[0]
        if name == "divide" and not is_first:
            inverse = inverse_of(constants)
            if not np.isfinite(inverse).all():
                raise refusal(operation, "divides by 0; divide by other numbers")
            return reference.Normalization(np.zeros_like(inverse), inverse)
        return reference.CombineConstants(name, constants, is_first)

    return read


def _read_where(operation: Any) -> reference.Layer:
    condition, *others = arguments_of(operation)
    if len(others) == 2 and not isinstance(condition, keras.KerasTensor):
        return _read_constant_choice(operation, np.asarray(condition), others)
    tensors = [each for each in (condition, *others) if isinstance(each, keras.KerasTensor)]
    if len(others) != 2 or tensors[0] is not condition or condition.dtype != "bool":
        raise refusal(operation, "should choose from two operands by a comparison")
    require_one_rank(operation, *tensors)
    numbers: list[float | None] = []
    for other in others:
        is_computed = isinstance(other, keras.KerasTensor)
        if not is_computed and (np.size(other) != 1 or np.ndim(other) > len(condition.shape)):
            shape = np.shape(other)
            raise refusal(operation, f"chooses from constants of the shape {shape}; only a number is supported")
        numbers.append(None if is_computed else float(constant_of(other).reshape(())))
    return reference.Choose(*numbers)


def _read_constant_choice(operation: Any, condition: Any, others: list[Any]) -> reference.ChooseByConstants:
    """Reads a choice by constants, as those of a causal mask."""
    is_first = not isinstance(others[0], keras.KerasTensor)
    x, number = others[::-1] if is_first else others
    if isinstance(number, keras.KerasTensor) or np.size(number) != 1:
        raise refusal(operation, "should choose from a computed tensor and a number if the condition is constant")
    sizes = condition.shape[-len(x.shape) :]
    sizes = sizes[1:] if len(sizes) == len(x.shape) and sizes[0] == 1 else sizes
    whole = tuple(x.shape[1:])[-len(sizes) :] if sizes else ()
    fits = len(sizes) < len(x.shape) and all(size in (1, own) for size, own in zip(sizes, whole, strict=True))
    if condition.size != np.prod(sizes) or not fits or condition.size > MOST_CONSTANTS:
        raise refusal(
            operation,
            f"chooses by constants of the shape {condition.shape}, which are not those of one row of {x.shape}, or "
            f"more than {MOST_CONSTANTS:,}",
        )
    values = tuple(int(value != 0) for value in condition.ravel())
    return reference.ChooseByConstants(values, sizes, float(constant_of(number).reshape(())), is_first)


def _read_cast(operation: Any) -> reference.Layer:
    (before,), (after,) = inputs_of(operation), outputs_of(operation)
    if after.dtype == "bool" or (before.dtype == "float32" and after.dtype != "float32"):
        raise refusal(
            operation, f"turns numbers of type {before.dtype} into {after.dtype}; give the model such an input instead"
        )
    # TensorFlow returns the tensor itself, with its mask, if there is nothing to do.
    return reference.Activation("linear") if before.dtype == after.dtype else reference.ApplyFunction("linear")


def _fills(number: float) -> OperationReader:
    return lambda _: reference.Fill(number)


def _read_full_like(operation: Any) -> reference.Fill:
    arguments = arguments_of(operation)
    if len(arguments) < 2 or isinstance(arguments[1], keras.KerasTensor) or np.size(arguments[1]) != 1:
        raise refusal(operation, "fills with computed numbers, or several; only a number is supported")
    return reference.Fill(float(constant_of(arguments[1]).reshape(())))


_READERS: Mapping[str, OperationReader] = {
    **READERS_ALONG_AXES,
    **READERS_OF_FUNCTIONS,
    **READERS_OF_ITEMS,
    **READERS_OF_JUMPS,
    **READERS_OF_PRODUCTS,
    "Add": _combines("add"),
    "Cast": _read_cast,
    "ConvertToTensor": _read_cast,
    "Divide": _combines("divide"),
    "FullLike": _read_full_like,
    "Logaddexp": _combines("log_add_exp"),
    "LogicalAnd": _combines("minimum"),
    "LogicalOr": _combines("maximum"),
    "Maximum": _combines("maximum"),
    "Minimum": _combines("minimum"),
    "Multiply": _combines("multiply"),
    "OneHot": read_one_hot,
    "OnesLike": _fills(1.0),
    "Subtract": _combines("subtract"),
    "TrueDivide": _combines("divide"),
    "Where": _read_where,
    "ZerosLike": _fills(0.0),
}
