"""Turns Keras's Softmax, over any axes and with a mask, into a layer of the reference, or refuses it with a reason.

Imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import is_exact


def read_softmax(layer: Any, inputs: tuple[str, ...]) -> reference.Layer:
    """Reads a Softmax.

    Args:
        layer: The layer.
        inputs: The nodes of its inputs: x, and the mask if it has one.

    Raises:
        ModelError: If an axis or a mask is not supported.
    """
    x, *masks = keras.tree.flatten(layer.input)
    given = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    axes = tuple(sorted({int(axis) % len(x.shape) for axis in given}))
    if 0 in axes:
        raise refusal(layer, f"works along axis {layer.axis}; only the other axes than the batch are supported")
    if any(len(mask.shape) < len(x.shape) for mask in masks) or len(inputs) < 1 + len(masks):
        same = "Activation('softmax')" if axes == (len(x.shape) - 1,) else f"keras.ops.softmax(x, axis={layer.axis})"
        raise refusal(layer, f"would use the mask of positions as a mask of features; use {same} instead")
    if not all(map(is_exact, masks)):
        raise refusal(layer, "has a mask of computed numbers, where rounding could decide; only inputs may decide")
    if not masks and _has_constant_mask(layer):
        raise refusal(layer, "has a constant mask; only a mask that is computed from the inputs is supported")
    if masks or len(axes) > 1:
        return reference.AxesSoftmax(axes)
    return reference.Activation("softmax") if axes == (len(x.shape) - 1,) else reference.Softmax(*axes)


def _has_constant_mask(layer: Any) -> bool:
    arguments = layer._inbound_nodes[0].arguments
    return any(value is not None for value in (*arguments.args[1:], arguments.kwargs.get("mask")))
