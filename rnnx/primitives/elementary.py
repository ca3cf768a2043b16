"""The elementary functions that are no activations of Keras: value, derivative, largest slope, and allowed error.

Each has one entry in `FUNCTIONS`, as `rnnx.primitives.activations` has one for each activation. The allowances were
measured with `python -m bench.proof.activations NAME` in the same way and on the same runtimes. They hold for arguments
of any size that float32 has: the errors of sin and cos were measured up to 2^20, and do not grow.

Functions that follow from others, as expm1 and tan do, have no entry: `rnnx.reference.operations` computes them.

Imports numpy only.

Source: `keras.ops` of Keras 3 for the definitions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import numpy as np

from rnnx.primitives.activations import ActivationFunction
from rnnx.primitives.arrays import Array

FunctionName = Literal["arcsinh", "arctan", "cos", "erf", "sin"]

# NumPy has no erf.
_erf = np.vectorize(math.erf, otypes=[np.float64])
_ERF_SLOPE = 2.0 / math.sqrt(math.pi)


def _sin(x: Array) -> Array:
    with np.errstate(invalid="ignore"):  # infinity gives NaN, without a warning
        return np.sin(x)


def _cos(x: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.cos(x)


def _erf_slope(x: Array) -> Array:
    return np.asarray(_ERF_SLOPE * np.exp(-x * x))


# Each entry: value, derivative, slope, absolute, relative. TensorFlow's erf has the largest error, 5.2 u of the result.
# Its arctan is off by up to 2.4 u beyond 2 u of the result, and arcsinh by 0.05 u beyond that.
FUNCTIONS: Mapping[FunctionName, ActivationFunction] = {
    "arcsinh": ActivationFunction(np.arcsinh, lambda x: 1.0 / np.hypot(x, 1.0), 1.0, 1, 2),
    "arctan": ActivationFunction(np.arctan, lambda x: 1.0 / (1.0 + x * x), 1.0, 3, 2, range=math.pi),
    "cos": ActivationFunction(_cos, lambda x: -_sin(x), 1.0, 2, 0, range=2.0),
    "erf": ActivationFunction(lambda x: _erf(x) if x.size else x, _erf_slope, _ERF_SLOPE, 0, 6, range=2.0),
    "sin": ActivationFunction(_sin, _cos, 1.0, 2, 0, range=2.0),
}
