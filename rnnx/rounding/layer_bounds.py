"""Bounds the float32 rounding of each layer that is not recurrent.

Each bound holds for every order of the sums, and for all ways in which Keras, tf2onnx and the fused kernels of
onnxruntime compute the layer, so for the least accurate of them. No bound leaves out second-order terms. The bounds
follow from the standard model (`rnnx.rounding.float32`), with gamma_n = n u / (1 - n u), and on
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

# The error of a runtime's 1 / sqrt. OpenCL, the least strict specification, allows 2 units in the last place, so 4 u.
_RSQRT_ROUNDOFFS = 4

# The layers that compute each position by itself, and may round.
_Pointwise: TypeAlias = (
    reference.Dense | reference.Activation | reference.LeakyReLU | reference.ELU | reference.Rescaling
    | reference.BatchNormalization | reference.LayerNormalization
)  # fmt: skip


def output_error(layer: reference.Layer, inputs: Sequence[Tensor], errors: Sequence[Array], output: Tensor) -> Array:
    """Bounds the error of a layer that is not recurrent: its own rounding and the errors of its inputs.

    Args:
        layer: The layer.
        inputs: Its exact inputs.
        errors: The largest errors of the runtime's inputs, in the shapes of `inputs`.
        output: The exact output of the layer for `inputs`.

    Returns:
        The bounds, in the shape of the output.

    Raises:
        TypeError: For a recurrent layer; `rnnx.rounding.recurrent_bounds` bounds those.
    """
    x, error = inputs[0].values, errors[0]
    match layer:
        case reference.Embedding():
            return np.zeros_like(output.values)  # a lookup
        case reference.Reverse() | reference.ZeroPadding1D() | reference.RepeatVector() | reference.Reshape():
            return layer(Tensor(error)).values  # they only move numbers
        case reference.TakeMask():
            return error  # ids are exact, and so is their mask
        case reference.LastPosition():
            return np.asarray(error[:, -1])
        case reference.Concatenate():
            return np.concatenate(errors, axis=-1)
        case reference.Masking():
            # The mask depends on exact values only; the reader of Keras models makes sure of that.
            assert output.mask is not None  # noqa: S101  # a Masking layer always makes one
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
    """Bounds a layer that computes each position by itself."""
    match layer:
        case reference.Dense():
            return _dense_error(layer, x, error, output)
        case reference.Activation():
            return _activated_error(layer.activation, x, error, output)
        case reference.LeakyReLU():
            # Two roundings: of the slope and of the product.
            carried = max(1.0, abs(layer.negative_slope)) * error
            return np.asarray(carried + gamma(2) * (np.abs(output) + carried))
        case reference.ELU():
            return _elu_error(layer, error, output)
        case reference.Rescaling():
            # Three roundings: of the scale or the offset, of the product, and of the sum.
            scale = abs(layer.scale)
            return np.asarray(scale * error + gamma(3) * (scale * (np.abs(x) + error) + abs(layer.offset)))
        case reference.BatchNormalization():
            return _batch_normalization_error(layer, x, error)
        case reference.LayerNormalization():
            return _layer_normalization_error(layer, x, error)
    assert_never(layer)


def _mean_error(layer: reference.GlobalAveragePooling1D, x: Tensor, error: Array) -> Array:
    """Bounds a mean: the sum, a product with the mask and a division are count + 2 roundings of all absolute values.

    Masked positions add exact zeros without rounding, so only the `count` other positions round.
    """
    weights = np.ones((*x.values.shape[:2], 1)) if x.mask is None else x.mask[:, :, None].astype(np.float64)
    count = weights.sum(axis=1, keepdims=layer.keepdims)
    with np.errstate(invalid="ignore"):
        inherited = (error * weights).sum(axis=1, keepdims=layer.keepdims) / count
        size = ((np.abs(x.values) + error) * weights).sum(axis=1, keepdims=layer.keepdims) / count
    return np.asarray(inherited + gamma(count + 2) * size)


def _pooling_error(layer: reference.Pooling1D, x: Array, error: Array) -> Array:
    """Bounds a maximum by the largest error in its window, and a mean as `_mean_error` does."""
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

    A sum of n numbers has n - 1 roundings. A mean has two more, because it may be computed as a product with a rounded
    1 / n. A product has n - 1, and the errors of its factors change it by at most the difference between the product of
    the largest possible factors and the exact product. A maximum does not round.
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
    if error.any():  # after a recurrence the inputs are exact, which saves a product
        logit_error += error @ kernel
    if layer.activation == "softmax":  # its bound needs no logits, of which a language model has many
        return softmax_error(output, logit_error)
    logits = output if layer.activation == "linear" else layer.logits(x)
    return activation_error(layer.activation, logits, logit_error)


def _activated_error(name: ActivationName, x: Array, error: Array, output: Array) -> Array:
    return softmax_error(output, error) if name == "softmax" else activation_error(name, x, error)


def _elu_error(layer: reference.ELU, error: Array, output: Array) -> Array:
    """Bounds alpha times elu: the error of elu itself times alpha, and the roundings of alpha and of the product.

    Above zero the result is exact, but Keras adds the branch below zero to it, which is then a product with 0.
    """
    alpha = abs(layer.alpha)
    carried = max(1.0, alpha) * error
    own = activation_error("elu", np.zeros(1), np.zeros(1))
    return np.asarray(carried + alpha * own * (1 + gamma(2)) + gamma(2) * (np.abs(output) + carried))


def _batch_normalization_error(layer: reference.BatchNormalization, x: Array, error: Array) -> Array:
    """Bounds x s + (beta - mean s) with s = gamma / sqrt(variance + epsilon), the least accurate way to compute it.

    s has 7 roundings: epsilon and the sum with it (2, of which the root halves the effect), the inverse root (4) and
    the product with gamma (1). mean s has one product and two sums more, so 10; x s has a product and a sum more. So
    gamma_10 times the sum of all absolute values bounds the result.
    """
    scale = np.abs(layer.scale)
    size = scale * (np.abs(x) + error + np.abs(layer.mean)) + (0.0 if layer.beta is None else np.abs(layer.beta))
    return np.asarray(scale * error + gamma(2 + _RSQRT_ROUNDOFFS + 4) * size)


def _layer_normalization_error(layer: reference.LayerNormalization, x: Array, error: Array) -> Array:
    """Bounds x r + (beta - m r), or (x - m) r + beta, with r = gamma / sqrt(variance + epsilon).

    The error of the runtime's input x' is at most e, that of its exact mean at most mean(e), and that of x' - mean(x')
    at most c = e + mean(e). So the error of its exact variance is at most mean(2 |x - m| c + c^2). The runtime also
    rounds: a mean of n numbers by gamma_{n+1} mean |x'|. The variance is rounded most if it is computed as mean(x'^2) -
    m^2, as onnxruntime's fused kernel does: n + 2 roundings of mean(x'^2), 2 (n + 1) + 2 roundings of m^2, which is not
    larger, and the difference. gamma_{3 n + 8} mean(x'^2) covers these, and also the mean of the squares of rounded
    differences, because (mean |x'|)^2 <= mean(x'^2).

    Let d be the largest error of s = variance + epsilon, with two roundings for epsilon and the sum. Then the error of
    1 / sqrt(s) is at most 1 / sqrt(s - d) - 1 / sqrt(s). This holds exactly, not only to first order; if d >= s, there
    is no bound. The other factors are bounded as those of a product, with four more roundings for |x'| + |m| and beta.
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
