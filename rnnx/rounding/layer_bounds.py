"""Bounds the float32 rounding of each layer that is not recurrent.

Each bound holds for every order of the sums, and for the ways in which Keras, tf2onnx and onnxruntime's own fused
kernels compute the layer; where they differ, for the least accurate of them. No bound leaves out terms of second order.
They rest on the standard model (`rnnx.rounding.float32`), with gamma_n = n u / (1 - n u), and on
gamma_m + gamma_n + gamma_m gamma_n <= gamma_{m+n}.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, assert_never

import numpy as np

from rnnx import reference
from rnnx.reference import ActivationName, Array, Tensor
from rnnx.rounding.float32 import activation_error, gamma, softmax_error

# A runtime's own 1 / sqrt: OpenCL, the laxest specification of it, allows 2 units in the last place: 4 u.
_RSQRT_ROUNDOFFS = 4

# The layers that work on each position by itself, and may round.
_Pointwise: TypeAlias = (
    reference.Dense | reference.Activation | reference.LeakyReLU | reference.ELU | reference.Rescaling
    | reference.BatchNormalization | reference.LayerNormalization
)  # fmt: skip


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
        TypeError: For a recurrent layer, which has its bound in `rnnx.rounding.recurrent_bounds`.
    """
    x, error = inputs[0].values, errors[0]
    match layer:
        case reference.Embedding():
            return np.zeros_like(output.values)  # a lookup
        case reference.Reverse() | reference.ZeroPadding1D() | reference.RepeatVector() | reference.Reshape():
            return layer(Tensor(error)).values  # the same numbers in other places
        case reference.TakeMask():
            return error  # ids are exact, and so is their mask
        case reference.LastPosition():
            return np.asarray(error[:, -1])
        case reference.Concatenate():
            return np.concatenate(errors, axis=-1)
        case reference.Masking():
            # Which positions count is decided by what is exact: the reader sees to that.
            assert output.mask is not None  # noqa: S101  # it makes one
            return np.where(output.mask[..., None], error, 0.0)
        case reference.GlobalMaxPooling1D():
            return np.asarray(error.max(axis=1, keepdims=layer.keepdims))
        case reference.GlobalAveragePooling1D():
            return _mean_error(layer, inputs[0], error)
        case reference.Pooling1D():
            return _pooling_error(layer, x, error)
        case reference.Merge():
            return _merge_error(layer, np.stack([np.abs(i.values) for i in inputs]), np.stack(errors))
        case (
            reference.Dense() | reference.Activation() | reference.LeakyReLU() | reference.ELU()
            | reference.Rescaling() | reference.BatchNormalization() | reference.LayerNormalization()
        ):  # fmt: skip
            return _pointwise_error(layer, x, error, output.values)
        case reference.Recurrent():
            raise TypeError(f"no rounding bound for {type(layer).__name__} here: it depends on the states")
    assert_never(layer)


def _pointwise_error(layer: _Pointwise, x: Array, error: Array, output: Array) -> Array:
    """Bounds a layer that works on each position by itself."""
    match layer:
        case reference.Dense():
            return _dense_error(layer, x, error, output)
        case reference.Activation():
            return _activated_error(layer.activation, x, error, output)
        case reference.LeakyReLU():
            # The slope is rounded, and a product.
            carried = max(1.0, abs(layer.negative_slope)) * error
            return np.asarray(carried + gamma(2) * (np.abs(output) + carried))
        case reference.ELU():
            return _elu_error(layer, error, output)
        case reference.Rescaling():
            # The scale is rounded, the offset too; a product and a sum.
            scale = abs(layer.scale)
            return np.asarray(scale * error + gamma(3) * (scale * (np.abs(x) + error) + abs(layer.offset)))
        case reference.BatchNormalization():
            return _batch_normalization_error(layer, x, error)
        case reference.LayerNormalization():
            return _layer_normalization_error(layer, x, error)
    assert_never(layer)


def _mean_error(layer: reference.GlobalAveragePooling1D, x: Tensor, error: Array) -> Array:
    """Sum, multiplication by the mask and one division: count + 2 roundings of the sum of the absolute values.

    Masked positions add exact zeros, which round nothing: only the `count` others do.
    """
    weights = np.ones((*x.values.shape[:2], 1)) if x.mask is None else x.mask[:, :, None].astype(np.float64)
    count = weights.sum(axis=1, keepdims=layer.keepdims)
    with np.errstate(invalid="ignore"):
        inherited = (error * weights).sum(axis=1, keepdims=layer.keepdims) / count
        size = ((np.abs(x.values) + error) * weights).sum(axis=1, keepdims=layer.keepdims) / count
    return np.asarray(inherited + gamma(count + 2) * size)


def _pooling_error(layer: reference.Pooling1D, x: Array, error: Array) -> Array:
    """A maximum is off by no more than the worst of its window; a mean as in `_mean_error`."""
    windows = layer.windows(x.shape[1])
    weights = windows.is_there[None, :, :, None]
    errors = np.where(weights, error[:, windows.index], 0.0)
    if layer.operation == "maximum":
        return np.asarray(errors.max(axis=2))
    count = weights.sum(axis=2)
    size = np.where(weights, np.abs(x)[:, windows.index], 0.0) + errors
    return np.asarray(errors.sum(axis=2) / count + gamma(count + 2.0) * size.sum(axis=2) / count)


def _merge_error(layer: reference.Merge, sizes: Array, errors: Array) -> Array:
    """Bounds a merge from the absolute values and the errors of its inputs, both (inputs, ...).

    A sum of n has n - 1 roundings; a mean two more, for it may be multiplied by a rounded 1 / n; a product n - 1, and
    is off by what the product of the largest possible factors is larger. A maximum rounds nothing.
    """
    count, largest = len(sizes), sizes + errors
    match layer.operation:
        case "add" | "subtract":
            return np.asarray(errors.sum(axis=0) + gamma(count - 1) * largest.sum(axis=0))
        case "average":
            return np.asarray(errors.mean(axis=0) + gamma(count + 1) * largest.mean(axis=0))
        case "multiply":
            product = largest.prod(axis=0)
            return np.asarray((product - sizes.prod(axis=0)) + gamma(count - 1) * product)
        case "maximum" | "minimum":
            return np.asarray(errors.max(axis=0))
    assert_never(layer.operation)


def _dense_error(layer: reference.Dense, x: Array, error: Array, output: Array) -> Array:
    kernel = np.abs(layer.kernel)
    logit_error = gamma(len(kernel) + 1) * ((np.abs(x) + error) @ kernel + np.abs(layer.bias))
    if error.any():  # right after a recurrence the inputs are exact: spare them a product
        logit_error += error @ kernel
    if layer.activation == "softmax":  # its bound needs no logits, which are many where the classes are words
        return softmax_error(output, logit_error)
    logits = output if layer.activation == "linear" else layer.logits(x)
    return activation_error(layer.activation, logits, logit_error)


def _activated_error(name: ActivationName, x: Array, error: Array, output: Array) -> Array:
    return softmax_error(output, error) if name == "softmax" else activation_error(name, x, error)


def _elu_error(layer: reference.ELU, error: Array, output: Array) -> Array:
    """The activation elu has its own allowance, times alpha; alpha is rounded, and a product.

    Above zero nothing rounds, but Keras adds what is below: the product with a zero.
    """
    alpha = abs(layer.alpha)
    carried = max(1.0, alpha) * error
    own = activation_error("elu", np.zeros(1), np.zeros(1))
    return np.asarray(carried + alpha * own * (1 + gamma(2)) + gamma(2) * (np.abs(output) + carried))


def _batch_normalization_error(layer: reference.BatchNormalization, x: Array, error: Array) -> Array:
    """Bounds x s + (beta - mean s) with s = gamma / sqrt(variance + epsilon): the roughest way to write it.

    s: epsilon is rounded, and the sum, which a root halves (1, generously 2), the inverse root 4, the product with
    gamma 1: 7. Of mean s: one product and two sums more, 10; of x s: a product and a sum more. gamma_10 of everything.
    """
    scale = np.abs(layer.scale)
    size = scale * (np.abs(x) + error + np.abs(layer.mean)) + (0.0 if layer.beta is None else np.abs(layer.beta))
    return np.asarray(scale * error + gamma(2 + _RSQRT_ROUNDOFFS + 4) * size)


def _layer_normalization_error(layer: reference.LayerNormalization, x: Array, error: Array) -> Array:
    """Bounds x r + (beta - m r), or (x - m) r + beta, with r = gamma / sqrt(variance + epsilon).

    The runtime's input x' is off by at most e, its exact mean by mean(e), and x' - mean(x') by c = e + mean(e). So its
    exact variance is off by at most mean(2 |x - m| c + c^2). What the runtime makes of x' is rounded: a mean of n
    numbers by gamma_{n+1} mean |x'|. The variance is rounded most as mean(x'^2) - m^2 (onnxruntime's fused kernel):
    n + 2 roundings of mean(x'^2), and of m^2, which is no larger, 2 (n + 1) + 2, and the difference:
    gamma_{3 n + 8} mean(x'^2) covers that, and the mean of the squares of rounded differences too, since
    (mean |x'|)^2 <= mean(x'^2).

    With s = variance + epsilon (epsilon rounded, and a sum) off by at most d, 1 / sqrt(s) is off by at most
    1 / sqrt(s - d) - 1 / sqrt(s), which is exact, not first order; where d >= s nothing is known. Of the rest, the
    factors are bounded as in a product, and four roundings more count |x'| + |m| and beta.
    """
    count = x.shape[-1]
    mean, mean_error = x.mean(axis=-1, keepdims=True), error.mean(axis=-1, keepdims=True)
    centred, largest = np.abs(x - mean), np.abs(x) + error
    shift = error + mean_error
    variance = (centred**2).mean(axis=-1, keepdims=True)
    variance_error = (2 * centred * shift + shift**2).mean(axis=-1, keepdims=True)
    variance_error = variance_error + gamma(3.0 * count + 8) * (largest**2).mean(axis=-1, keepdims=True)
    total = variance + layer.epsilon
    total_error = variance_error + gamma(2) * (total + variance_error)
    with np.errstate(invalid="ignore", divide="ignore"):
        steepest = np.where(total_error < total, 1.0 / np.sqrt(total - total_error), np.inf)
        mean_rounding = gamma(count + 1.0) * largest.mean(axis=-1, keepdims=True)
        gammas = 1.0 if layer.gamma is None else np.abs(layer.gamma)
        off = (centred + shift + mean_rounding) * steepest - centred / np.sqrt(total)
        size = (largest + np.abs(mean) + mean_error + mean_rounding) * steepest * gammas
        size = size if layer.beta is None else size + np.abs(layer.beta)
        return np.asarray(off * gammas + gamma(_RSQRT_ROUNDOFFS + 4) * size)
