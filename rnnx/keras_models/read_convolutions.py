"""Turns Keras's convolutions into layers of the reference, or refuses them with a reason.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.reference import ActivationName, Array

# Returns the error that refuses a layer for a reason.
Refuse = Callable[[Any, str], ModelError]


def read_convolution(
    layer: Any, time: int | None, kernel: Array, bias: Array | None, activation: ActivationName, refuse: Refuse
) -> reference.Conv1D:
    """Reads a Conv1D, or a DepthwiseConv1D as a convolution with a group for each feature.

    Args:
        layer: The layer of Keras.
        time: The positions of its input; None if they vary.
        kernel: Its kernel: `(size, inputs / groups, outputs)`, or `(size, inputs, multiplier)` of a depthwise one.
        bias: Its bias; None if it has none.
        activation: Its activation.
        refuse: Makes the error.

    Raises:
        ModelError: If a setting is not supported.
    """
    if layer.data_format != "channels_last":
        raise refuse(layer, f"has data_format={layer.data_format!r}; only 'channels_last' is supported")
    (stride,), (dilation,) = layer.strides, layer.dilation_rate
    span = (len(kernel) - 1) * dilation + 1
    if layer.padding == "valid" and span > 1 and (time is None or time < span):
        raise refuse(
            layer,
            "has padding='valid', which may leave nothing of a short sequence; use padding='same' or 'causal', or a "
            "fixed time",
        )
    groups = getattr(layer, "groups", None)
    if groups is not None and groups > 1:
        raise refuse(layer, f"has groups={groups}; tf2onnx does not convert this, only groups=1 is supported")
    if groups is None:  # a depthwise convolution
        groups = kernel.shape[1]
        kernel = kernel.reshape(len(kernel), 1, -1)
    bias = np.zeros(kernel.shape[-1]) if bias is None else bias
    return reference.Conv1D(kernel, bias, activation, int(stride), int(dilation), layer.padding, int(groups))
