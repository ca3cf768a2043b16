"""Turns Keras's layers that normalize or rescale into layers of the reference, or refuses them with a reason.

Imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import OpenShape, float64, refusal
from rnnx.reference import Array

NORMALIZATIONS = (
    layers.BatchNormalization, layers.GroupNormalization, layers.LayerNormalization, layers.Normalization,
    layers.RMSNormalization, layers.Rescaling, layers.UnitNormalization,
)  # fmt: skip


def read_normalization(layer: Any, shape: OpenShape) -> reference.Layer:
    """Reads a layer of one of the classes `NORMALIZATIONS`.

    Args:
        layer: The layer of Keras.
        shape: The shape of its input, `(batch, ...)`.

    Raises:
        ModelError: If a setting is not supported.
    """
    rank = len(shape)
    if type(layer) is layers.Rescaling:
        return _read_rescaling(layer, shape)
    if type(layer) is layers.Normalization:
        return _read_normalization(layer)
    given = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    axes = tuple(sorted({int(axis) % rank for axis in given}))
    is_last = axes == (rank - 1,)
    if 0 in axes:
        raise refusal(layer, "normalizes over the batch; only the other axes are supported")
    if type(layer) is layers.BatchNormalization:
        mean, variance = float64(layer.moving_mean), float64(layer.moving_variance)
        gamma, beta = _scale_and_center(layer)
        settings = (mean, variance, gamma, beta, float(layer.epsilon))
        return (
            reference.BatchNormalization(*settings) if is_last else reference.AxisBatchNormalization(*settings, *axes)
        )
    if type(layer) is layers.LayerNormalization:
        if getattr(layer, "rms_scaling", False):  # it divides by the deviation, and has no beta
            return reference.DeviationNormalization(axes, float64(layer.gamma), float(layer.epsilon))
        gamma, beta = _scale_and_center(layer)
        if is_last:
            return reference.LayerNormalization(gamma, beta, float(layer.epsilon))
        return reference.AxesNormalization(axes, gamma, beta, float(layer.epsilon))
    epsilon = float(getattr(layer, "epsilon", 0.0))
    if type(layer) is layers.GroupNormalization:
        groups, (gamma, beta) = int(layer.groups), _scale_and_center(layer)
        if is_last:
            return reference.GroupNormalization(groups, gamma, beta, epsilon)
        return reference.AxisGroupNormalization(groups, gamma, beta, epsilon, *axes)
    if type(layer) is layers.RMSNormalization:
        scale = float64(layer.scale)
        if is_last:
            return reference.RMSNormalization(scale, epsilon)
        return reference.AxesRMSNormalization(axes, scale, epsilon)
    return reference.UnitNormalization() if is_last else reference.AxesUnitNormalization(axes)


def _scale_and_center(layer: Any) -> tuple[Array | None, Array | None]:
    """Returns gamma and beta; None for one that the layer does not have."""
    return float64(layer.gamma) if layer.scale else None, float64(layer.beta) if layer.center else None


def _read_rescaling(layer: Any, shape: OpenShape) -> reference.Layer:
    scale, offset = (np.asarray(keras.ops.convert_to_numpy(each)) for each in (layer.scale, layer.offset))
    if not scale.ndim and not offset.ndim:
        return reference.Rescaling(float(layer.scale), float(layer.offset))
    scale, offset = (np.atleast_1d(each).astype(np.float32).astype(np.float64) for each in (scale, offset))
    if any(each.shape not in ((1,), shape[-1:]) for each in (scale, offset)):
        raise refusal(layer, "has a scale or an offset for each position; only one for each feature is supported")
    return reference.FeatureRescaling(scale, offset)


def _read_normalization(layer: Any) -> reference.Layer:
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance, np.float32)), np.float32(keras.config.epsilon()))
    mean = _per_row(float64(layer.mean))
    if layer.invert:
        return reference.FeatureRescaling(_per_row(deviation.astype(np.float64)), mean)
    return reference.Normalization(mean, _per_row(inverse_of(deviation)))


def inverse_of(divisors: Array) -> Array:
    """Returns what files hold in place of divisors. TensorFlow computes it, and does not round to the nearest."""
    inverse = keras.ops.reciprocal(np.asarray(divisors, np.float32))
    return np.asarray(keras.ops.convert_to_numpy(inverse)).astype(np.float64)


def _per_row(values: Array) -> Array:
    """Returns statistics without the axes of size 1 in front of them: `(features,)` if there is one for each."""
    sizes = values.shape
    while len(sizes) > 1 and sizes[0] == 1:
        sizes = sizes[1:]
    return values.reshape(sizes)
