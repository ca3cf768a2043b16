"""Turns the operations that apply a function to each number into layers of the reference, or refuses them.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import Any

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import OperationReader, arguments_of, constant_of


def _applies(function: Any) -> OperationReader:
    """Returns the reader of an operation without settings."""
    return lambda _: reference.ApplyFunction(function)


def _applies_with(function: Any, setting: str) -> OperationReader:
    """Returns the reader of an operation whose setting is the number of the function; rounded as Keras does."""
    return lambda operation: reference.ApplyWithNumber(function, float(np.float32(getattr(operation, setting))))


def _read_gelu(operation: Any) -> reference.ApplyFunction:
    return reference.ApplyFunction("gelu_tanh" if operation.approximate else "gelu")


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


def _multiplies(number: float) -> OperationReader:
    return lambda _: reference.CombineNumber("multiply", number, is_first=False)


READERS_OF_FUNCTIONS: Mapping[str, OperationReader] = {
    "Abs": _applies("absolute"),
    "Absolute": _applies("absolute"),
    "Arcsinh": _applies("arcsinh"),
    "Arctan": _applies("arctan"),
    "Celu": _read_celu,
    "Clip": _read_clip,
    "Copy": _applies("linear"),
    "Cos": _applies("cos"),
    "Cosh": _applies("cosh"),
    "Deg2rad": _multiplies(pi / 180.0),
    "Elu": _read_elu,
    "Erf": _applies("erf"),
    "Erfc": _applies("erfc"),
    "Exp": _applies("exponential"),
    "Expm1": _applies("expm1"),
    "Fabs": _applies("absolute"),
    "Gelu": _read_gelu,
    "HardSigmoid": _applies("hard_sigmoid"),
    "HardSilu": _applies("hard_silu"),
    "HardTanh": _applies("hard_tanh"),
    "LeakyRelu": _read_leaky_relu,
    "Log": _applies("log"),
    "Log10": _applies("log10"),
    "Log1p": _applies("log1p"),
    "Log2": _applies("log2"),
    "LogSigmoid": _applies("log_sigmoid"),
    "Negative": _applies("negative"),
    "Power": _read_power,
    "Rad2deg": _multiplies(180.0 / pi),
    "Reciprocal": _applies("reciprocal"),
    "Relu": _applies("relu"),
    "Relu6": _applies("relu6"),
    "Rsqrt": _applies("rsqrt"),
    "Selu": _applies("selu"),
    "Sigmoid": _applies("sigmoid"),
    "Silu": _applies("silu"),
    "Sin": _applies("sin"),
    "Sinh": _applies("sinh"),
    "Softplus": _applies("softplus"),
    "SoftShrink": _applies_with("soft_shrink", "threshold"),
    "Softsign": _applies("softsign"),
    "SparsePlus": _applies("sparse_plus"),
    "SparseSigmoid": _applies("sparse_sigmoid"),
    "Sqrt": _applies("sqrt"),
    "Square": _applies("square"),
    "Squareplus": _applies_with("squareplus", "b"),
    "StopGradient": _applies("linear"),
    "Tan": _applies("tan"),
    "Tanh": _applies("tanh"),
    "TanhShrink": _applies("tanh_shrink"),
    # TensorFlow returns real numbers themselves, with their mask.
    "Conj": lambda _: reference.Activation("linear"),
    "Conjugate": lambda _: reference.Activation("linear"),
    "Real": lambda _: reference.Activation("linear"),
}
