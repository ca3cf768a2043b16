"""Turns Keras's convolutions and poolings into layers of the reference, or refuses them with a reason.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.reference import ActivationName, Array

# Returns the error that refuses a layer for a reason.
Refuse = Callable[[Any, str], ModelError]


def read_convolution(
    layer: Any, kernel: Array, bias: Array | None, activation: ActivationName, refuse: Refuse
) -> reference.Conv1D | reference.Conv2D:
    """Reads a Conv1D or a Conv2D, or a depthwise one as a convolution with a group for each feature.

    Args:
        layer: The layer of Keras, or one with the same settings.
        kernel: Its kernel: `(size, inputs / groups, outputs)`, or `(size, inputs, multiplier)` of a depthwise one; of
            a Conv2D with two sizes.
        bias: Its bias; None if it has none.
        activation: Its activation.
        refuse: Makes the error.

    Raises:
        ModelError: If a setting is not supported.
    """
    require_channels_last(layer, refuse)
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


def read_transposed(
    layer: Any, kernel: Array, bias: Array | None, activation: ActivationName, refuse: Refuse
) -> reference.Conv1DTranspose | reference.Conv2DTranspose:
    """Reads a Conv1DTranspose or a Conv2DTranspose.

    Args:
        layer: The layer of Keras.
        kernel: Its kernel: `(size, outputs, inputs)`; of a Conv2DTranspose with two sizes.
        bias: Its bias; None if it has none.
        activation: Its activation.
        refuse: Makes the error.

    Raises:
        ModelError: If a setting is not supported.
    """
    require_channels_last(layer, refuse)
    if max(_numbers(layer.dilation_rate)) > 1:
        raise refuse(
            layer,
            f"has dilation_rate={layer.dilation_rate!r}, which TensorFlow does not compute on a CPU; train with "
            "dilation_rate=1",
        )
    strides, is_padded = _numbers(layer.strides), layer.padding == "same"
    added = None if layer.output_padding is None else _numbers(layer.output_padding)
    bias = np.zeros(kernel.shape[-2]) if bias is None else bias
    if len(strides) == 1:
        first = None if added is None else added[0]
        return reference.Conv1DTranspose(kernel, bias, activation, strides[0], is_padded, first)
    both = None if added is None else (added[0], added[1])
    return reference.Conv2DTranspose(kernel, bias, activation, (strides[0], strides[1]), is_padded, both)


def read_adaptive_pooling(layer: Any, shape: tuple[int | None, ...], refuse: Refuse) -> reference.Layer:
    """Reads a pooling that gives a fixed number of windows.

    Raises:
        ModelError: If a setting is not supported.
    """
    require_channels_last(layer, refuse)
    operation: Literal["average", "maximum"] = "maximum" if "Max" in type(layer).__name__ else "average"
    counts = _numbers(layer.output_size)
    if None in shape[1:-1]:
        raise refuse(layer, "reads a variable time, which Keras itself cannot pool; use a fixed time")
    # Keras takes the means of windows that are one position longer than needed too, and fails if there is none.
    if any(-(-(size or 0) // count) >= (size or 0) for size, count in zip(shape[1:-1], counts, strict=True)):
        raise refuse(
            layer,
            f"has output_size={layer.output_size!r} for an input of {shape[1:-1]}, with which Keras itself fails in "
            "TensorFlow; for a size of 1, use a global pooling with keepdims=True",
        )
    if len(counts) == 1:
        return reference.AdaptivePooling1D(operation, counts[0])
    return reference.AdaptivePooling2D(operation, (counts[0], counts[1]))


def read_pooling(layer: Any, operation: Literal["average", "maximum"], refuse: Refuse) -> reference.Layer:
    """Reads a pooling over windows of one or two axes.

    Raises:
        ModelError: If a setting is not supported.
    """
    require_channels_last(layer, refuse)
    sizes, strides, is_padded = _numbers(layer.pool_size), _numbers(layer.strides), layer.padding == "same"
    if len(sizes) == 1:
        return reference.Pooling1D(operation, sizes[0], strides[0], is_padded)
    (rows, columns), (down, across) = sizes, strides
    return reference.Pooling2D(operation, (rows, columns), (down, across), is_padded)


def require_channels_last(layer: Any, refuse: Refuse) -> None:
    """Makes sure that the last axis of the input of a layer has the features.

    Raises:
        ModelError: If it has not.
    """
    if layer.data_format != "channels_last":
        raise refuse(
            layer,
            f"has data_format={layer.data_format!r}; only 'channels_last' is supported: build the model with it, and "
            "put a Permute in front if the data have the channels first",
        )


def _numbers(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)
