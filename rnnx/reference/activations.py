"""The activations: value, derivative, how steep they are, and how far a runtime's own float32 one may be off.

One entry each, for the layers and the recurrences alike. Softmax is the one that looks at a whole row; its value stands
here, its bound in `rnnx.rounding.step_bound`, which has it derived from those of exp, a sum and a division.

The allowances are what no theorem gives: the error of a runtime's own tanh, sigmoid, exp and what is made of them. They
were measured over every float32 with 2^-14 <= |x| < 32 and every 256th with 2^-126 <= |x| < 2^7 elsewhere (`python
bench/activations.py`), in onnxruntime 1.32, on the operators that tf2onnx writes for them, and in TensorFlow 2.21;
tests/reference/test_activations.py looks at the installed versions again. Of a result that grows, so many whole u are
allowed for as the largest relative error has; the next whole number above what is left is the absolute allowance. Two
are derived: silu is x times a sigmoid, whose 3 u count |x| times, and a product; a hard_sigmoid has a sum and a product
with a rounded 1/6, or two sums and a division, 2 u and what is of second order. On CUDA none was measured yet
(`--device cuda`); `rnnx.rounding.float32` has what NVIDIA says of its functions.

Imports numpy only.

Source: as Keras 3 defines them (`keras.activations`). G. Klambauer et al., "Self-normalizing neural networks", 2017
(the numbers of selu); D. Hendrycks and K. Gimpel, "Gaussian error linear units", 2016 (gelu, by the error function).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rnnx.reference.tensor import Array

ActivationName = Literal[
    "linear", "tanh", "relu", "sigmoid", "softmax", "elu", "softplus", "softsign", "hard_sigmoid", "leaky_relu", "selu",
    "gelu", "silu", "exponential",
]  # fmt: skip

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.2  # Keras's leaky_relu has this slope below zero, if it is named and not built

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@dataclass(frozen=True, eq=False)
class ActivationFunction:
    """An activation that is applied to each number by itself.

    Attributes:
        value: Its result, exactly.
        derivative: At what it is applied to; from one side at a corner.
        slope: The largest absolute value of the derivative; infinite for exp.
        absolute: What a runtime's own may add to the result, in units of u = 2^-24.
        relative: The same, in units of u times the absolute value of the result.
        of_input: The same, in units of u times the absolute value of what it is applied to; all three are added.
    """

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    slope: float
    absolute: int
    relative: int
    of_input: int = 0


def activate(name: ActivationName, x: Array) -> Array:
    """Applies an activation; softmax runs over the last axis.

    Raises:
        ValueError: If it is not modelled.
    """
    if name == "softmax":
        with np.errstate(invalid="ignore"):  # infinity less infinity: NaN, as everywhere
            powers = np.exp(x - x.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not modelled")
    return np.asarray(ACTIVATIONS[name].value(x))


def _sigmoid(x: Array) -> Array:
    with np.errstate(invalid="ignore"):  # NaN in, NaN out
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))  # 1 / (1 + exp(-x)) without overflow


def _exp(x: Array) -> Array:
    with np.errstate(over="ignore"):  # infinity, which the proof refuses
        return np.exp(x)


def _softplus(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0.0, x)


def _normal(x: Array) -> Array:
    """The normal distribution function; by erfc, so that nothing cancels below zero."""
    return np.asarray(0.5 * _erfc(-x / math.sqrt(2.0)) if x.size else x)


def _tanh_slope(x: Array) -> Array:
    return np.asarray(1.0 - np.tanh(x) ** 2)


def _softsign_slope(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.abs(x)) ** 2)


def _sigmoid_slope(x: Array) -> Array:
    return _sigmoid(x) * _sigmoid(-x)


def _gelu_slope(x: Array) -> Array:
    return np.asarray(_normal(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


# The steepest points: gelu's at sqrt(2), 1.12904; silu's at 2.39936, 1.09984; both rounded up.
ACTIVATIONS: Mapping[ActivationName, ActivationFunction] = {
    "linear": ActivationFunction(lambda x: x, np.ones_like, 1.0, 0, 0),
    "tanh": ActivationFunction(np.tanh, _tanh_slope, 1.0, 7, 0),
    "relu": ActivationFunction(lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0), 1.0, 0, 0),
    "sigmoid": ActivationFunction(_sigmoid, _sigmoid_slope, 0.25, 3, 0),
    "elu": ActivationFunction(
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), lambda x: np.exp(np.minimum(x, 0.0)), 1.0, 2, 0
    ),
    "softplus": ActivationFunction(_softplus, _sigmoid, 1.0, 1, 4),
    "softsign": ActivationFunction(lambda x: x / (1.0 + np.abs(x)), _softsign_slope, 1.0, 2, 0),
    "hard_sigmoid": ActivationFunction(
        lambda x: np.clip(x + 3.0, 0.0, 6.0) / 6.0, lambda x: np.where(np.abs(x) < 3.0, 1.0 / 6.0, 0.0), 1.0 / 6.0, 3, 0
    ),
    "leaky_relu": ActivationFunction(
        lambda x: np.maximum(x, LEAKY_SLOPE * x), lambda x: np.where(x > 0, 1.0, LEAKY_SLOPE), 1.0, 0, 3
    ),
    "selu": ActivationFunction(
        lambda x: _SELU_SCALE * np.where(x > 0, x, _SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
        lambda x: _SELU_SCALE * np.where(x > 0, 1.0, _SELU_ALPHA * np.exp(np.minimum(x, 0.0))),
        _SELU_SCALE * _SELU_ALPHA, 2, 2,
    ),
    "gelu": ActivationFunction(lambda x: x * _normal(x), _gelu_slope, 1.1291, 2, 3),
    "silu": ActivationFunction(
        lambda x: x * _sigmoid(x), lambda x: _sigmoid(x) * (1.0 + x * _sigmoid(-x)), 1.0999, 0, 2, 3
    ),
    "exponential": ActivationFunction(_exp, _exp, math.inf, 0, 2),
}  # fmt: skip
