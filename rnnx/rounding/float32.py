"""Bounds the rounding errors of float32 arithmetic, operation by operation.

The standard model of rounding: fl(a op b) = (a op b)(1 + d), |d| <= u = 2^-24. A sum of n products, in any order, with
or without fused multiply-adds, differs from the exact one by at most gamma_n times the sum of the absolute values,
gamma_n = n u / (1 - n u). From there each layer has its bound (`rnnx.rounding.layer_bounds`,
`rnnx.rounding.step_bound`), given the exact result for its actual inputs and, where those inputs are themselves
rounded, how far off they may be. No theorem gives the error of a runtime's own tanh, sigmoid and exp. It
was measured: `rnnx.reference.activations` has the numbers.

On CUDA the same bounds hold on two conditions. First, products are computed in float32. Then the order in which cuDNN
and cuBLAS add them does not matter, nor that cuDNN adds a second bias of zeros. TF32, with its 11 bits, is therefore
switched off (`rnnx.runtime.session`). Second, the functions are as accurate as on a CPU. NVIDIA's tanhf and expf are
within 2 units in the last place of the correctly rounded result, so within 5 u of the exact result times its size; the
bounds allow 7 u and 6 u (tests/rounding/test_step_bound.py computes this). NVIDIA does not document the functions
inside cuDNN's recurrences. They are assumed to be no worse, and were not measured yet (`python -m
bench.proof.activations --device cuda` does it). If cuDNN used the hardware's approximation of tanh, with an error of
2^-11, the proof of single steps would fail.

The model leaves out underflow (at most a few times 1.2e-38, the smallest normal number, per operation) and overflow.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5; NVIDIA, "CUDA
Programming Guide", mathematical functions (tested widely there, not guaranteed); "PTX ISA", tanh.approx.f32.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from rnnx.reference import ActivationName, Array
from rnnx.reference.activations import ACTIVATIONS

N = TypeVar("N", float, Array)

UNIT_ROUNDOFF = 2.0**-24

_EXP_ROUNDOFFS = 6  # OpenCL, the laxest specification of a float32 exp, allows 3 units in the last place: 6 u


def gamma(n: N) -> N:
    """Returns the accumulated relative error of n roundings: n u / (1 - n u)."""
    return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)


def sigmoid_roundoffs() -> float:
    """Returns the largest error of a runtime's own sigmoid."""
    return ACTIVATIONS["sigmoid"].absolute * UNIT_ROUNDOFF


def exp_roundoffs() -> int:
    """Returns the relative error of a runtime's own exp, in units of u."""
    return _EXP_ROUNDOFFS


def activation_error(name: ActivationName, x: Array, error: Array) -> Array:
    """Bounds an activation: the error of what it is applied to, carried on, and its own.

    What is carried on is at most the steepest slope times the error; through exp, exp(x) (exp(error) - 1). Its own
    error, by `rnnx.reference.activations`, is one of a result that may already be off by that much.

    Args:
        name: Any activation but softmax, which `softmax_error` bounds.
        x: The exact argument.
        error: How far the runtime's argument may be from `x`, in the shape of `x`.

    Returns:
        The shape of `x`.
    """
    activation = ACTIVATIONS[name]
    result = np.abs(activation.value(x))
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an infinite bound, which says nothing
        carried = activation.slope * error if np.isfinite(activation.slope) else result * np.expm1(error)
        size = activation.relative * (result + carried) + activation.of_input * (np.abs(x) + error)
        bound = carried + (activation.absolute + size) * UNIT_ROUNDOFF
    return np.asarray(np.minimum(bound, 1.0) if name == "sigmoid" else bound)


def softmax_error(probs: Array, logit_error: Array) -> Array:
    """If each logit is off by at most e, each ratio of powers is off by a factor of at most exp(2 e).

    The other factors: exp, in numerator and denominator; the sum over the classes; the division. Subtracting the
    largest logit rounds each difference d by d u at most, which moves a power exp(-d) by less than u, and the sum of
    them, at least 1, by less than the number of classes times u. A probability is off by at most 1.
    """
    classes = probs.shape[-1]
    # Beyond exp(20) the bound is 1 in any case, and a larger exponent could overflow.
    worst = np.minimum(2 * logit_error.max(axis=-1, keepdims=True), 20.0)
    relative = np.expm1(worst) + (1 + np.expm1(worst)) * gamma(2 * _EXP_ROUNDOFFS + classes + 1)
    return np.asarray(np.minimum(probs * relative + (classes + 1) * UNIT_ROUNDOFF, 1.0))
