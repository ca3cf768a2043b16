"""The activations: value, derivative, largest slope, and the error that a runtime's float32 function may have.

Each activation has one entry in `ACTIVATIONS`; layers and recurrences use the same entry, recurrences with the
allowances of the recurrent operators (`in_recurrence`). Softmax and log_softmax have none, because they work on a
whole row: `rnnx.primitives.functions` has them.

The allowances (`absolute`, `relative`, `of_input`) bound what no theorem gives: the error of a runtime's own tanh,
sigmoid and exp, and of the functions made of them. They were measured with `python -m bench.proof.activations` over
every float32 number with 2^-14 <= |x| < 32, and over every 256th of the others with 2^-126 <= |x| < 2^7. The runtimes
were onnxruntime 1.32, on the operators that tf2onnx writes for each function, and TensorFlow 2.21.
tests/reference/test_activations.py checks the installed versions again. No CUDA function was measured yet (`--device
cuda` measures them); `rnnx.primitives.float32` has NVIDIA's own figures.

For functions with unbounded results, `relative` is the largest measured relative error rounded down to whole u;
`absolute` is what remains, rounded up. The allowances of some functions are derived:

- silu is the product of x and a sigmoid. The sigmoid's 3 u are multiplied by |x| (`of_input`); `relative` covers the
  rounding of the product.
- hard_sigmoid is a sum and a product with a rounded 1/6, or two sums and a division: 2 u and terms of second order.
  That of Keras 2, with a rounded 0.2, is a product and a sum. In sparse_sigmoid the product with 0.5 is exact.
- hard_silu is the product of x and a hard_sigmoid.
- soft_shrink is one sum. tanh_shrink is a tanh and a difference.
- squareplus is half of x + r, with r = sqrt(x^2 + 4) <= |x| + 2. A square, a sum and a root that is off by one unit in
  the last place make 3 u r. The last sum adds u of the result.

Imports numpy only.

Source: `keras.activations` of Keras 3 for the definitions. G. Klambauer et al., "Self-normalizing neural networks",
2017 (the constants of selu); D. Hendrycks and K. Gimpel, "Gaussian error linear units", 2016 (gelu, by the error
function); D. Misra, "Mish", 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rnnx.primitives.arrays import Array

ActivationName = Literal[
    "linear", "tanh", "relu", "sigmoid", "softmax", "elu", "softplus", "softsign", "hard_sigmoid",
    "hard_sigmoid_keras_2", "leaky_relu", "selu", "gelu", "silu", "exponential", "celu", "hard_silu", "hard_tanh",
    "log_sigmoid", "mish", "relu6", "soft_shrink", "sparse_plus", "sparse_sigmoid", "squareplus", "tanh_shrink",
    "log_softmax",
]  # fmt: skip

_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946
LEAKY_SLOPE = 0.2  # below zero, for Keras's leaky_relu given by name; the layer LeakyReLU has a slope of its own

# NumPy has no erfc.
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


@dataclass(frozen=True, eq=False)
class ActivationFunction:
    """An elementwise activation y = f(x), and how accurate a runtime's float32 implementation of it is.

    A runtime's result may differ from the exact one by at most
    (`absolute` + `relative` * |y| + `of_input` * |x|) * u, with u = 2^-24.

    Attributes:
        value: The function f.
        derivative: The derivative of f; one-sided where f has a corner.
        derivative_by_result: The same as a function of f(x), where that takes less time.
        slope: The largest absolute value of the derivative; infinite for exp.
        absolute: The absolute part of the allowed error, in units of u.
        relative: The part that is proportional to the result, in units of u |y|.
        of_input: The part that is proportional to the input, in units of u |x|.
        of_small: The absolute and the relative part of another bound, which is the smaller one for small results.
        range: The largest difference of two results.
    """

    value: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    slope: float
    absolute: float
    relative: float
    of_input: float = 0
    of_small: tuple[float, float] | None = None
    range: float = math.inf
    derivative_by_result: Callable[[Array], Array] | None = None

    def derivative_at(self, x: Array, y: Array) -> Array:
        """Returns the derivative at x, where f is y."""
        derivative = self.derivative(x) if self.derivative_by_result is None else self.derivative_by_result(y)
        return np.asarray(derivative)

    @property
    def rounds(self) -> bool:
        """Whether a runtime's result may differ from the exact one."""
        return bool(self.absolute or self.relative or self.of_input)


def _sigmoid(x: Array) -> Array:
    with np.errstate(invalid="ignore"):  # NaN gives NaN, without a warning
        return np.asarray(np.exp(-np.logaddexp(0.0, -x)))  # 1 / (1 + exp(-x)) without overflow


def _exp(x: Array) -> Array:
    with np.errstate(over="ignore"):  # overflow gives infinity, which the proof refuses
        return np.exp(x)


def _softplus(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.logaddexp(0.0, x)


def _normal(x: Array) -> Array:
    """Computes the standard normal distribution function; by erfc, because 1 + erf cancels for negative x."""
    return np.asarray(0.5 * _erfc(-x / math.sqrt(2.0)) if x.size else x)


def _tanh_slope(y: Array) -> Array:
    return np.asarray(1.0 - y**2)


def _softsign_slope(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.abs(x)) ** 2)


def _sigmoid_slope(x: Array) -> Array:
    return _sigmoid(x) * _sigmoid(-x)


def _gelu_slope(x: Array) -> Array:
    return np.asarray(_normal(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


def _mish_slope(x: Array) -> Array:
    weight = np.tanh(_softplus(x))
    return np.asarray(weight + x * _tanh_slope(weight) * _sigmoid(x))


def _squareplus(x: Array) -> Array:
    """Computes (x + sqrt(x^2 + 4)) / 2, without cancellation for negative x."""
    larger = np.abs(x) + np.sqrt(x * x + 4.0)
    return np.where(x > 0, larger / 2.0, 2.0 / larger)


def _tanh_shrink(x: Array) -> Array:
    """Computes x - tanh(x), near zero by its series, because the difference cancels."""
    square = np.minimum(x * x, 1.0)
    series = x * square * (1 / 3 - square * (2 / 15 - square * (17 / 315 - square * 62 / 2835)))
    return np.where(np.abs(x) < 0.01, series, x - np.tanh(x))


# Each entry: value, derivative, slope, absolute, relative and perhaps of_input. The slopes of gelu, silu and mish are
# rounded up: gelu is steepest at x = sqrt(2), 1.12904, silu at x = 2.39936, 1.09984, and mish at x = 1.49057, 1.08850.
_ELU = ActivationFunction(
    lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), lambda x: np.exp(np.minimum(x, 0.0)), 1.0, 2, 0
)
ACTIVATIONS: Mapping[ActivationName, ActivationFunction] = {
    "linear": ActivationFunction(lambda x: x, np.ones_like, 1.0, 0, 0),
    "tanh": ActivationFunction(np.tanh, lambda x: _tanh_slope(np.tanh(x)), 1.0, 7, 0, derivative_by_result=_tanh_slope),
    "relu": ActivationFunction(lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0), 1.0, 0, 0),
    "sigmoid": ActivationFunction(_sigmoid, _sigmoid_slope, 0.25, 3, 0, range=1.0),
    "elu": _ELU,
    "softplus": ActivationFunction(_softplus, _sigmoid, 1.0, 1, 4),
    "softsign": ActivationFunction(lambda x: x / (1.0 + np.abs(x)), _softsign_slope, 1.0, 2, 0),
    "hard_sigmoid": ActivationFunction(
        lambda x: np.clip(x + 3.0, 0.0, 6.0) / 6.0, lambda x: np.where(np.abs(x) < 3.0, 1.0 / 6.0, 0.0), 1.0 / 6.0, 3, 0
    ),
    "hard_sigmoid_keras_2": ActivationFunction(
        lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0), lambda x: np.where(np.abs(x) < 2.5, 0.2, 0.0), 0.2, 3, 0
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
    "celu": replace(_ELU, absolute=3),
    "hard_silu": ActivationFunction(
        lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
        lambda x: np.where(np.abs(x) < 3.0, (2.0 * x + 3.0) / 6.0, np.where(x > 0, 1.0, 0.0)), 1.5, 0, 1, 3,
    ),
    "hard_tanh": ActivationFunction(
        lambda x: np.clip(x, -1.0, 1.0), lambda x: np.where(np.abs(x) < 1.0, 1.0, 0.0), 1.0, 0, 0
    ),
    "log_sigmoid": ActivationFunction(lambda x: -_softplus(-x), lambda x: _sigmoid(-x), 1.0, 1, 4),
    "mish": ActivationFunction(lambda x: x * np.tanh(_softplus(x)), _mish_slope, 1.0889, 1, 6),
    "relu6": ActivationFunction(
        lambda x: np.clip(x, 0.0, 6.0), lambda x: np.where((x > 0) & (x < 6.0), 1.0, 0.0), 1.0, 0, 0
    ),
    "soft_shrink": ActivationFunction(
        lambda x: x - np.clip(x, -0.5, 0.5), lambda x: np.where(np.abs(x) > 0.5, 1.0, 0.0), 1.0, 0, 1
    ),
    "sparse_plus": ActivationFunction(
        lambda x: np.where(x < 1.0, np.maximum(np.minimum(x, 1.0) + 1.0, 0.0) ** 2 / 4.0, x),
        lambda x: np.clip(x + 1.0, 0.0, 2.0) / 2.0, 1.0, 0, 4,
    ),
    "sparse_sigmoid": ActivationFunction(
        lambda x: np.clip(0.5 * x + 0.5, 0.0, 1.0), lambda x: np.where(np.abs(x) < 1.0, 0.5, 0.0), 0.5, 1, 0
    ),
    "squareplus": ActivationFunction(
        _squareplus, lambda x: 0.5 + 0.5 * x / np.sqrt(x * x + 4.0), 1.0, 3, 1, 1.5
    ),
    "tanh_shrink": ActivationFunction(_tanh_shrink, lambda x: np.tanh(x) ** 2, 1.0, 7, 1),
}  # fmt: skip

# The kernels of RNN, GRU and LSTM have activations of their own. softsign is a sum and a division; elu an exp of at
# most 1, a difference and a product. softplus was measured: up to 7.8 u of the result in TensorFlow; onnxruntime's RNN
# kernel computes log(1 + exp(x)) literally and adds up to 2 u. Small results of tanh are more accurate: those of
# TensorFlow and onnxruntime are within 2 u plus 6 u of the result. (Near zero the error of the RNN operator is 1.9 u;
# that of GRU, LSTM and Tanh is 5.5 u of the result.)
_IN_RECURRENCES: Mapping[ActivationName, ActivationFunction] = {
    "tanh": replace(ACTIVATIONS["tanh"], of_small=(2, 6)),
    "softsign": replace(ACTIVATIONS["softsign"], absolute=3, relative=0),
    "elu": replace(ACTIVATIONS["elu"], absolute=8, relative=0),
    "celu": replace(ACTIVATIONS["celu"], absolute=8, relative=0),
    "softplus": replace(ACTIVATIONS["softplus"], absolute=2, relative=8),
}


def in_recurrence(name: ActivationName) -> ActivationFunction:
    """Returns an activation with the allowances of the recurrent operators."""
    return _IN_RECURRENCES.get(name, ACTIVATIONS[name])
