"""Turns Keras's convolutions into layers of the reference, or refuses them with a reason. Imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import (
    LayerReader,
    OpenShape,
    float64,
    read_activation,
    refusal,
    require_channels_last,
)
from rnnx.reference import ActivationName, Array

# These layers are read as two nodes.
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def read_separable(layer: Any, inputs: tuple[str, ...]) -> list[reference.Node]:
    """Reads a SeparableConv1D or 2D as two convolutions: one of each feature alone, then one of each position alone.

    Raises:
        ModelError: If a setting is not supported.
    """
    depthwise = _convolution(layer, float64(layer.depthwise_kernel), None, "linear")
    kernel = float64(layer.pointwise_kernel)
    bias = float64(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    kind = reference.Conv1D if kernel.ndim == 3 else reference.Conv2D
    first = reference.Node(f"{layer.name}.depthwise", depthwise, inputs)
    return [first, reference.Node(layer.name, kind(kernel, bias, read_activation(layer)), (first.name,))]


def _read_convolution(layer: Any, _: OpenShape) -> reference.Conv1D | reference.Conv2D:
    bias = float64(layer.bias) if layer.use_bias else None
    return _convolution(layer, float64(layer.kernel), bias, read_activation(layer))


def _convolution(
    layer: Any, kernel: Array, bias: Array | None, activation: ActivationName
) -> reference.Conv1D | reference.Conv2D:
    """Returns a Conv1D or a Conv2D, or a depthwise one as a convolution with a group for each feature.

    Args:
        layer: The layer of Keras, or one with the same settings.
        kernel: Its kernel: `(size, inputs / groups, outputs)`, or `(size, inputs, multiplier)` of a depthwise one; of
            a Conv2D with two sizes.
        bias: Its bias; None if it has none.
        activation: Its activation.

    Raises:
        ModelError: If a setting is not supported.
    """
    require_channels_last(layer)
    strides, dilations = _numbers(layer.strides), _numbers(layer.dilation_rate)
    groups = getattr(layer, "groups", None)
    if groups is None:  # a depthwise convolution
        groups = kernel.shape[-2]
        kernel = kernel.reshape(*kernel.shape[:-2], 1, -1)
    bias = np.zeros(kernel.shape[-1]) if bias is None else bias
    if len(strides) == 1:
        return reference.Conv1D(kernel, bias, activation, strides[0], dilations[0], layer.padding, int(groups))
    (down, across), (rows, columns) = strides, dilations
    return reference.Conv2D(kernel, bias, activation, (down, across), (rows, columns), layer.padding, int(groups))


def _read_transposed(layer: Any, shape: OpenShape) -> reference.Conv1DTranspose | reference.Conv2DTranspose:
    if None in shape[1:-1] and max(layer.strides) > 1:
        # tf2onnx cuts the result by a Max of sizes, which the proof takes for a hidden branch.
        raise refusal(layer, f"has strides={layer.strides!r} and reads a variable time; use a fixed time, or strides=1")
    kernel, activation = float64(layer.kernel), read_activation(layer)
    bias = float64(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-2])
    require_channels_last(layer)
    if max(_numbers(layer.dilation_rate)) > 1:
        raise refusal(
            layer,
            f"has dilation_rate={layer.dilation_rate!r}, which TensorFlow does not compute on a CPU; train with "
            "dilation_rate=1",
        )
    strides, is_padded = _numbers(layer.strides), layer.padding == "same"
    added = None if layer.output_padding is None else _numbers(layer.output_padding)
    if len(strides) == 1:
        first = None if added is None else added[0]
        return reference.Conv1DTranspose(kernel, bias, activation, strides[0], is_padded, first)
    both = None if added is None else (added[0], added[1])
    return reference.Conv2DTranspose(kernel, bias, activation, (strides[0], strides[1]), is_padded, both)


def _numbers(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


READERS_OF_CONVOLUTIONS: Mapping[type, LayerReader] = {
    layers.Conv1D: _read_convolution,
    layers.Conv2D: _read_convolution,
    layers.DepthwiseConv1D: _read_convolution,
    layers.DepthwiseConv2D: _read_convolution,
    layers.Conv1DTranspose: _read_transposed,
    layers.Conv2DTranspose: _read_transposed,
}
