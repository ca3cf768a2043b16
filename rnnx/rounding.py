"""How far float32 arithmetic can lead a right computation away from the exact one, layer by layer.

The standard model of rounding: fl(a op b) = (a op b)(1 + d), |d| <= u = 2^-24. A sum of n products, in any order, with
or without fused multiply-adds, differs from the exact one by at most gamma_n times the sum of the absolute values,
gamma_n = n u / (1 - n u). From there each layer has its bound, given the exact result for its actual inputs and, where
those inputs are themselves rounded, how far off they may be. The one thing that no theorem gives, the error of a
runtime's own tanh, sigmoid and exp, was measured, and is stated with its numbers below.

Not modelled: underflow (at most a few times 1.2e-38, the smallest normal number, per operation) and overflow.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from rnnx import reference
from rnnx.reference import ActivationName, Array, Tensor

N = TypeVar("N", float, Array)

UNIT_ROUNDOFF = 2.0**-24

# What a runtime's own activation may add to a result of at most 1, in units of u. Over every float32 with
# 2^-14 <= |x| < 32 (below, tanh x = x; above, both are flat), the largest error of tanh is 5.46 u in onnxruntime 1.32
# and 6.14 u in TensorFlow 2.21, of sigmoid 2.98 u and 2.62 u; the next whole number above is the allowance.
# tests/test_rounding.py looks at the installed versions again. Relu and linear round nothing.
#
# hard_sigmoid is a few operations with results of at most 1 (the factor 1/6 rounded, a product, a sum; or a sum and a
# division), softsign a sum and a division; elu is an exp of at most 1, a difference and a product; leaky_relu, whose
# results have no largest size, rounds in proportion to them, the factor and a product. softplus was measured: to 7.8 u
# of the result in TensorFlow; and in onnxruntime's RNN kernel, which takes log(1 + exp(x)) as it stands, to another u.
_ACTIVATION_ROUNDOFFS: dict[ActivationName, int] = {
    "tanh": 7,
    "sigmoid": 3,
    "relu": 0,
    "linear": 0,
    "hard_sigmoid": 3,
    "softsign": 3,
    "elu": 8,
    "softplus": 2,
    "leaky_relu": 0,
}
# Small results of tanh are nearer: what TensorFlow and onnxruntime give stays within 2 u and 6 u of the result (near
# zero the RNN operator's kernel is off by 1.9 u; those of GRU, LSTM and Tanh by 5.5 u of the result).
_SMALL_TANH = (2, 6)
# What comes to that in proportion to the result, in units of u.
_RELATIVE_ROUNDOFFS: dict[ActivationName, int] = {"softplus": 8, "leaky_relu": 3}
_SLOPES: dict[ActivationName, float] = {"sigmoid": 1 / 4, "hard_sigmoid": 1 / 6}
_EXP_ROUNDOFFS = 6  # OpenCL, the laxest specification of a float32 exp, allows 3 units in the last place: 6 u


def gamma(n: N) -> N:
    """The accumulated relative error of n roundings: n u / (1 - n u)."""
    return n * UNIT_ROUNDOFF / (1 - n * UNIT_ROUNDOFF)


def sigmoid_roundoffs() -> float:
    """What a runtime's own sigmoid may add to its result."""
    return _ACTIVATION_ROUNDOFFS["sigmoid"] * UNIT_ROUNDOFF


def exp_roundoffs() -> int:
    """The roundings of a runtime's own exp."""
    return _EXP_ROUNDOFFS


def step_bound(layer: reference.SimpleRNN, x_t: Array, h: Array, x_error: Array) -> Array:
    """Bounds the rounding of one recurrent step from the very same h.

    The pre-activation is a sum of inputs + units products and a bias, plus two roundings where partial sums meet:
    gamma_{inputs+units+3} (|x| |W| + |h| |U| + |b|). The activation carries that on, times its largest slope, and adds
    its own error.

    A form may sum more terms: where several layers run as one (`rnnx.rewrites.join`), each sum runs over the states of
    all. Those that a layer does not read are multiplied by 0, and adding an exact 0 rounds nothing: the terms that
    count stay inputs + units and a bias, in whatever order.

    Args:
        layer: The recurrence.
        x_t: (..., inputs), the exact inputs.
        h: (..., units), the runtime's own state before the step.
        x_error: (..., inputs), how far the runtime's inputs may be from `x_t`.

    Returns:
        (..., units).
    """
    inputs, units = layer.kernel.shape
    kernel = np.abs(layer.kernel)
    size = (np.abs(x_t) + x_error) @ kernel + np.abs(h) @ np.abs(layer.recurrent_kernel) + np.abs(layer.bias)
    inherited = x_error @ kernel if x_error.any() else 0.0  # exact inputs are the rule; spare them a product
    rounding = gamma(inputs + units + 3) * size + inherited
    # Where the result has a largest size, that is taken, and spares a step.
    output = layer.step(x_t, h) if layer.activation in _RELATIVE_ROUNDOFFS else np.ones_like(rounding)
    return np.asarray(steepest(layer.activation) * rounding + activation_error(layer.activation, output))


def output_error(layer: reference.Layer, inputs: Sequence[Tensor], errors: Sequence[Array], output: Tensor) -> Array:
    """Bounds the rounding of a layer that is not recurrent, inherited errors included.

    Args:
        layer: The layer.
        inputs: Its exact inputs.
        errors: How far the runtime's inputs may be from them, shapes as `inputs`.
        output: What the layer gives for `inputs`, exactly.

    Returns:
        The shape of the output.

    Raises:
        TypeError: For a layer without a bound.
    """
    match layer:
        case reference.Embedding():
            return np.zeros_like(output.values)  # a lookup
        case reference.Reverse():
            return errors[0][:, ::-1]
        case reference.Concatenate():
            return np.concatenate(errors, axis=-1)
        case reference.GlobalMaxPooling1D():
            return np.asarray(errors[0].max(axis=1))
        case reference.GlobalAveragePooling1D():
            return _mean_error(inputs[0], errors[0])
        case reference.Dense():
            return _dense_error(layer, inputs[0].values, errors[0], output.values)
    raise TypeError(f"no rounding bound for {type(layer).__name__}")


def _mean_error(x: Tensor, error: Array) -> Array:
    """Sum, multiplication by the mask and one division: count + 2 roundings of the sum of the absolute values.

    Masked positions add exact zeros, which round nothing: only the `count` others do.
    """
    weights = np.ones((*x.values.shape[:2], 1)) if x.mask is None else x.mask[:, :, None].astype(np.float64)
    count = weights.sum(axis=1)
    with np.errstate(invalid="ignore"):
        inherited = (error * weights).sum(axis=1) / count
        size = ((np.abs(x.values) + error) * weights).sum(axis=1) / count
    return np.asarray(inherited + gamma(count + 2) * size)


def _dense_error(layer: reference.Dense, x: Array, error: Array, output: Array) -> Array:
    kernel = np.abs(layer.kernel)
    inherited = error @ kernel
    logit_error = inherited + gamma(len(kernel) + 1) * ((np.abs(x) + error) @ kernel + np.abs(layer.bias))
    if layer.activation == "softmax":
        return _softmax_error(output, logit_error)
    bound = steepest(layer.activation) * logit_error + activation_error(layer.activation, output)
    return np.asarray(np.minimum(bound, 1.0) if layer.activation == "sigmoid" else bound)


def _softmax_error(probs: Array, logit_error: Array) -> Array:
    """If each logit is off by at most e, each ratio of powers is off by a factor of at most exp(2 e).

    The other factors: exp, in numerator and denominator; the sum over the classes; the division. Subtracting the
    largest logit rounds each difference d by d u at most, which moves a power exp(-d) by less than u, and the sum of
    them, at least 1, by less than the number of classes times u. A probability is off by at most 1.
    """
    classes = probs.shape[-1]
    # exp(20) is beyond all doubt: the bound says nothing there, and is 1.
    worst = np.minimum(2 * logit_error.max(axis=-1, keepdims=True), 20.0)
    relative = np.expm1(worst) + (1 + np.expm1(worst)) * gamma(2 * _EXP_ROUNDOFFS + classes + 1)
    return np.asarray(np.minimum(probs * relative + (classes + 1) * UNIT_ROUNDOFF, 1.0))


def steepest(name: ActivationName) -> float:
    """The largest slope of an activation."""
    return _SLOPES.get(name, 1.0)


def activation_error(name: ActivationName, output: Array) -> Array:
    """The activation's own rounding."""
    error = np.full_like(output, _ACTIVATION_ROUNDOFFS[name] * UNIT_ROUNDOFF)
    if name in _RELATIVE_ROUNDOFFS:
        error += _RELATIVE_ROUNDOFFS[name] * UNIT_ROUNDOFF * np.abs(output)
    if name == "tanh":
        error = np.minimum(error, (_SMALL_TANH[0] + _SMALL_TANH[1] * np.abs(output)) * UNIT_ROUNDOFF)
    return error
