"""Turns the operations of functional models into layers of the reference, or refuses them with a reason.

Keras saves `x[:, -1]`, `a + b` and `ops.mean(x, axis=1)` as operations between layers. `_READERS` has one entry per
operation; those that move numbers are in `read_items`, and those that jump in `read_jumps`. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
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
    axes_of,
    chain,
    constant_of,
    inputs_of,
    outputs_of,
    require_one_rank,
)
from rnnx.keras_models.read_encodings import read_one_hot
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


def _applies(function: Any) -> OperationReader:
    """Returns the reader of an operation without settings."""
    return lambda _: reference.ApplyFunction(function)


def _read_gelu(operation: Any) -> reference.ApplyFunction:
    return reference.ApplyFunction("gelu_tanh" if operation.approximate else "gelu")


def _applies_with(function: Any, setting: str) -> OperationReader:
    """Returns the reader of an operation whose setting is the number of the function; rounded as Keras does."""
    return lambda operation: reference.ApplyWithNumber(function, float(np.float32(getattr(operation, setting))))


def _multiplies(number: float) -> OperationReader:
    return lambda _: reference.CombineNumber("multiply", number, is_first=False)


def _read_leaky_relu(operation: Any) -> reference.ApplyWithNumber:
    return reference.ApplyWithNumber("leaky_relu", float(operation.negative_slope))


def _read_celu(operation: Any) -> reference.Layer:
    alpha = float(np.float32(operation.alpha))
    return reference.ApplyFunction("celu") if alpha == 1 else reference.ApplyWithNumber("celu", alpha)


def _read_elu(operation: Any) -> reference.ApplyWithNumber:
    return reference.ApplyWithNumber("elu", float(operation.alpha))


def _read_power(operation: Any) -> reference.ApplyWithNumber:
    base, exponent = arguments_of(operation)
    if not isinstance(base, keras.KerasTensor) or isinstance(exponent, keras.KerasTensor) or np.size(exponent) != 1:
        raise refusal(
            operation,
            "has a computed exponent, or several; only x ** number is supported: write ops.exp(y * ops.log(x)) for a "
            "positive x",
        )
    return reference.ApplyWithNumber("power", float(constant_of(exponent).reshape(())))


def _read_clip(operation: Any) -> reference.Clip:
    ends = operation.x_min, operation.x_max
    if any(isinstance(end, keras.KerasTensor) or np.size(end) != 1 for end in ends):
        raise refusal(operation, "has computed ends, or several; only two numbers are supported")
    least, most = (float(constant_of(end).reshape(())) for end in ends)
    return reference.Clip(least, most)


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


def _reduces(name: Any) -> OperationReader:
    def read(operation: Any) -> LayerOrChain:
        axes = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "reduces")
        reduced = reference.Reduce(name, axes, bool(getattr(operation, "keepdims", False)))
        initial = getattr(operation, "initial", None)
        if initial is None:
            return reduced
        if np.size(initial) != 1 or isinstance(initial, keras.KerasTensor):
            raise refusal(operation, "has computed initial values, or several; only a number is supported")
        number = float(np.float32(np.reshape(initial, ())))
        combined: Any = {"max": "maximum", "min": "minimum"}[name]
        return chain([reduced, reference.CombineNumber(combined, number, is_first=False)])

    return read


def _read_norm(operation: Any) -> LayerOrChain:
    rank = len(inputs_of(operation)[0].shape)
    axes = axes_of(operation, operation.axis, rank, "reduces")
    if operation.ord == 1 and len(axes) == 1:
        return chain([reference.ApplyFunction("absolute"), reference.Reduce("sum", axes, bool(operation.keepdims))])
    if operation.ord not in ((None, 2) if len(axes) == 1 else (None, "fro")):
        raise refusal(
            operation, f"has ord={operation.ord!r}; only the root of the sum of squares, and 1 over one axis, are "
            "supported"
        )  # fmt: skip
    return reference.Reduce("norm", axes, bool(operation.keepdims))


def _read_moments(operation: Any) -> list[LayerOrChain]:
    axes = axes_of(operation, operation.axes, len(inputs_of(operation)[0].shape), "reduces")
    return [reference.Reduce(name, axes, bool(operation.keepdims)) for name in ("mean", "variance")]


def _axis_and_size(operation: Any) -> tuple[int, int | None]:
    shape = inputs_of(operation)[0].shape
    (axis,) = axes_of(operation, operation.axis, len(shape), "works along")
    return axis, shape[axis]


def _read_diff(operation: Any) -> LayerOrChain:
    axis, size = _axis_and_size(operation)
    if operation.n < 1 or (size is not None and size <= operation.n):
        raise refusal(operation, f"has n={operation.n!r}, which leaves nothing of an axis of size {size}")
    return chain([reference.ApplyAlong("differences", axis)] * int(operation.n))


def _along(name: Any) -> OperationReader:
    """Returns the reader of an operation along one axis."""

    def read(operation: Any) -> reference.ApplyAlong:
        axes = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "works along")
        if len(axes) > 1:
            raise refusal(operation, f"works along the axes {axes}; only one axis is supported")
        return reference.ApplyAlong(name, axes[0])

    return read


def _read_sort(operation: Any) -> LayerOrChain | list[LayerOrChain]:
    if operation.axis is None:
        raise refusal(operation, "has axis=None, which would mix the rows of the batch; only other axes are supported")
    return _along("sort")(operation)


def _read_normalize(operation: Any) -> reference.ApplyAlong:
    (axis,) = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "works along")
    if operation.order != 2:
        raise refusal(operation, f"has order={operation.order!r}; only 2 is supported")
    least = keras.config.epsilon() if operation.epsilon is None else operation.epsilon
    return reference.ApplyAlong("normalize", axis, float(least))


_READERS: Mapping[str, OperationReader] = {
    **READERS_OF_ITEMS,
    **READERS_OF_PRODUCTS,
    **READERS_OF_JUMPS,
    "Abs": _applies("absolute"),
    "Absolute": _applies("absolute"),
    "Add": _combines("add"),
    "All": _reduces("min"),
    "Amax": _reduces("max"),
    "Amin": _reduces("min"),
    "Any": _reduces("max"),
    "Arcsinh": _applies("arcsinh"),
    "Arctan": _applies("arctan"),
    "Cast": _read_cast,
    "Celu": _read_celu,
    "Clip": _read_clip,
    # TensorFlow returns real numbers themselves, with their mask.
    "Conj": lambda _: reference.Activation("linear"),
    "Conjugate": lambda _: reference.Activation("linear"),
    "ConvertToTensor": _read_cast,
    "Copy": _applies("linear"),
    "Cos": _applies("cos"),
    "Cosh": _applies("cosh"),
    "Cumsum": _along("cumsum"),
    "Deg2rad": _multiplies(pi / 180.0),
    "Divide": _combines("divide"),
    "Elu": _read_elu,
    "Erf": _applies("erf"),
    "Erfc": _applies("erfc"),
    "Exp": _applies("exponential"),
    "Expm1": _applies("expm1"),
    "Fabs": _applies("absolute"),
    "Gelu": _read_gelu,
    "Glu": _along("glu"),
    "HardSigmoid": _applies("hard_sigmoid"),
    "HardSilu": _applies("hard_silu"),
    "HardTanh": _applies("hard_tanh"),
    "LeakyRelu": _read_leaky_relu,
    "Log": _applies("log"),
    "Log10": _applies("log10"),
    "Log1p": _applies("log1p"),
    "Log2": _applies("log2"),
    "LogSigmoid": _applies("log_sigmoid"),
    "LogSoftmax": _along("log_softmax"),
    "LogicalAnd": _combines("minimum"),
    "LogicalOr": _combines("maximum"),
    "Logsumexp": _reduces("log_sum_exp"),
    "Max": _reduces("max"),
    "Maximum": _combines("maximum"),
    "Mean": _reduces("mean"),
    "Min": _reduces("min"),
    "Minimum": _combines("minimum"),
    "Multiply": _combines("multiply"),
    "Negative": _applies("negative"),
    "Norm": _read_norm,
    "Normalize": _read_normalize,
    "OneHot": read_one_hot,
    "OnesLike": _fills(1.0),
    "Power": _read_power,
    "Rad2deg": _multiplies(180.0 / pi),
    "Real": lambda _: reference.Activation("linear"),
    "Reciprocal": _applies("reciprocal"),
    "Relu": _applies("relu"),
    "Relu6": _applies("relu6"),
    "Rsqrt": _applies("rsqrt"),
    "Selu": _applies("selu"),
    "Sigmoid": _applies("sigmoid"),
    "Silu": _applies("silu"),
    "Sin": _applies("sin"),
    "Sinh": _applies("sinh"),
    "SoftShrink": _applies_with("soft_shrink", "threshold"),
    "Softmax": _along("softmax"),
    "Softplus": _applies("softplus"),
    "Softsign": _applies("softsign"),
    "Sort": _read_sort,
    "SparsePlus": _applies("sparse_plus"),
    "SparseSigmoid": _applies("sparse_sigmoid"),
    "Sqrt": _applies("sqrt"),
    "Square": _applies("square"),
    "Squareplus": _applies_with("squareplus", "b"),
    "Std": _reduces("deviation"),
    "StopGradient": _applies("linear"),
    "Subtract": _combines("subtract"),
    "Sum": _reduces("sum"),
    "Tan": _applies("tan"),
    "Tanh": _applies("tanh"),
    "TanhShrink": _applies("tanh_shrink"),
    "TrueDivide": _combines("divide"),
    "Var": _reduces("variance"),
    "Where": _read_where,
    "ZerosLike": _fills(0.0),
    "Moments": _read_moments,
    "Diff": _read_diff,
    "Prod": _reduces("product"),
    "Ptp": _reduces("range"),
    "Logaddexp": _combines("log_add_exp"),
    "FullLike": _read_full_like,
}
