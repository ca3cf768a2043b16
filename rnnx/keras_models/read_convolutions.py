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
