"""Bounds the rounding errors of float32 arithmetic, operation by operation.

The standard model of rounding: fl(a op b) = (a op b)(1 + d), |d| <= u = 2^-24. A sum of n products, in any order, with
or without fused multiply-adds, differs from the exact one by at most gamma_n times the sum of the absolute values,
gamma_n = n u / (1 - n u). From there each primitive has its bound, given the exact result for its actual operands and,
where those operands are themselves rounded, how far off they may be. No theorem gives the error of a runtime's own
tanh, sigmoid and exp. It was measured: `rnnx.primitives.activations` has the numbers.

On CUDA the same bounds hold on two conditions. First, products are computed in float32. Then the order in which cuDNN
and cuBLAS add them does not matter, nor that cuDNN adds a second bias of zeros. TF32, with its 11 bits, is therefore
switched off (`rnnx.runtime.session`). Second, the functions are as accurate as on a CPU. NVIDIA's tanhf and expf are
within 2 units in the last place of the correctly rounded result, so within 5 u of the exact result times its size; the
bounds allow 7 u and 6 u (tests/rounding/test_step_bound.py computes this). NVIDIA does not document the functions
inside cuDNN's recurrences. They are assumed to be no worse, and were not measured yet (`python -m
bench.proof.activations --device cuda` does it). If cuDNN used the hardware's approximation of tanh, with an error of
2^-11, the proof of single steps would fail.

Underflow is part of the model, as an absolute error of each operation: a result below the smallest normal number,
2^-126, may be rounded to a multiple of 2^-149, or to 0 by a runtime that flushes such numbers. Overflow is left out.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5; NVIDIA, "CUDA
Programming Guide", mathematical functions (tested widely there, not guaranteed); "PTX ISA", tanh.approx.f32.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from rnnx.primitives.activations import ACTIVATIONS, ActivationFunction
from rnnx.primitives.arrays import Array

N = TypeVar("N", float, Array)

UNIT_ROUNDOFF = 2.0**-24
SMALLEST_NORMAL = 2.0**-126

_EXP_ROUNDOFFS = 6  # OpenCL, the laxest specification of a float32 exp, allows 3 units in the last place: 6 u


def gamma(n: N) -> N:
    """Returns the accumulated relative error of n roundings: n u / (1 - n u)."""
    return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)


def roundoffs(n: int) -> float:
    """Returns gamma_n in units of u: slightly more than n."""
    return gamma(float(n)) / UNIT_ROUNDOFF


def sigmoid_roundoffs() -> float:
    """Returns the largest error of a runtime's own sigmoid."""
    return ACTIVATIONS["sigmoid"].absolute * UNIT_ROUNDOFF


def exp_roundoffs() -> int:
    """Returns the relative error of a runtime's own exp, in units of u."""
    return _EXP_ROUNDOFFS


def own_error(function: ActivationFunction, x: Array, y: Array) -> Array:
    """Bounds the own error of a runtime's function.

    Args:
        function: The function.
        x: The sizes of the arguments.
        y: The sizes of the results.

    Returns:
        The shape of `y`.
    """
    error = _allowance(function.absolute, function.relative, y)
    if function.of_input:
        error = error + function.of_input * x
    if function.of_small is not None:
        error = np.minimum(error, _allowance(*function.of_small, y))
    error = error * UNIT_ROUNDOFF
    error += SMALLEST_NORMAL
    return error


def _allowance(absolute: float, relative: float, y: Array) -> Array:
    # Most functions have only one of the parts.
    if not relative:
        return np.full(y.shape, float(absolute))
    error = y * relative
    error += absolute
    return error


def function_errors(
    function: ActivationFunction, x: Array, y: Array, error: Array | None
) -> tuple[Array | None, Array | None]:
    """Bounds a function: the error of what it is applied to, carried on, and its own.

    What is carried on is at most the steepest slope times the error; through exp, exp(x) (exp(error) - 1). Its own
    error is one of a result that may already be off by that much.

    Args:
        function: The function.
        x: The exact argument.
        y: The exact result.
        error: How far the runtime's argument may be from `x`, in the shape of `x`; None if it is exact.

    Returns:
        Both errors, in the shape of `x`; None for one that is 0.
    """
    if not function.rounds and error is None:
        return None, None
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an infinite bound, which says nothing
        carried, size, largest = None, np.abs(y), np.abs(x) if function.of_input else x
        if error is not None:
            carried = function.slope * error if np.isfinite(function.slope) else size * np.expm1(error)
            size, largest = size + carried, largest + error if function.of_input else x
        own = own_error(function, largest, size) if function.rounds else None
        if carried is not None and np.isfinite(function.range):
            carried = np.minimum(carried, function.range - (0.0 if own is None else np.minimum(own, function.range)))
        if own is not None and np.isfinite(function.range):
            own = np.minimum(own, function.range)
        return carried, own
