"""Turns the Keras layers that merge several inputs into layers of the reference, or refuses them. Imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import LayerReader, OpenShape, refusal

_MERGES: Mapping[type, Any] = {
    layers.Add: "add",
    layers.Subtract: "subtract",
    layers.Multiply: "multiply",
    layers.Average: "average",
    layers.Maximum: "maximum",
    layers.Minimum: "minimum",
}


def _read_concatenate(layer: Any, shape: OpenShape) -> reference.Concatenate | reference.ConcatenateAxis:
    axis = int(layer.axis) % len(shape)
    if axis == len(shape) - 1:
        return reference.Concatenate()
    if axis == 0:
        raise refusal(layer, "concatenates rows of the batch; only the other axes are supported")
    tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
    is_masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors)
    if is_masked and (axis, len(shape)) != (1, 3):
        raise refusal(
            layer,
            f"concatenates inputs with a mask along axis {axis} of {len(shape)}; only the time of sequences may have "
            "one: put a Reshape to the same shape, which drops the mask, in front of it",
        )
    return reference.ConcatenateAxis(axis)


def _read_merge(layer: Any, shape: OpenShape) -> reference.Merge:
    tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
    shapes = [tuple(tensor.shape) for tensor in tensors]
    # A single feature, as the weights of an attention have, is repeated for all features of another input. A single
    # position, or a row of features, is repeated for all positions; what has all of these then has no mask.
    is_repeated = len({other[:-1] for other in shapes}) > 1
    has_masks = all(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors)
    rank = max(map(len, shapes))
    full = [(other[0], *[1] * (rank - len(other)), *other[1:]) for other in shapes]
    if any(len(set(sizes) - {1}) > 1 for sizes in zip(*full, strict=True)) or (is_repeated and has_masks):
        raise refusal(
            layer,
            f"has inputs with the shapes {', '.join(map(str, shapes))}; supported are equal shapes, axes of size 1, "
            "and rows of features for all positions, which have no mask",
        )
    return reference.Merge(_MERGES[type(layer)])


def _read_dot(layer: Any, _: OpenShape) -> reference.Dot:
    ranks = [len(tensor.shape) for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    return reference.Dot(tuple(int(axis) % rank for axis, rank in zip(axes, ranks, strict=True)), bool(layer.normalize))


READERS_OF_MERGES: Mapping[type, LayerReader] = {
    **dict.fromkeys(_MERGES, _read_merge),
    layers.Concatenate: _read_concatenate,
    layers.Dot: _read_dot,
}
