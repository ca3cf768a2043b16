"""Turns Keras's poolings into layers of the reference, or refuses them with a reason. Imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import LayerReader, OpenShape, refusal, require, require_channels_last


def _read_pooling(layer: Any, _: OpenShape) -> reference.Layer:
    """Reads a pooling over windows of one or two axes."""
    require_channels_last(layer)
    sizes, strides, is_padded = _sizes(layer.pool_size), _sizes(layer.strides), layer.padding == "same"
    if len(sizes) == 1:
        return reference.Pooling1D(_operation_of(layer), sizes[0], strides[0], is_padded)
    (rows, columns), (down, across) = sizes, strides
    return reference.Pooling2D(_operation_of(layer), (rows, columns), (down, across), is_padded)


def _read_adaptive_pooling(layer: Any, shape: OpenShape) -> reference.Layer:
    """Reads a pooling that gives a fixed number of windows."""
    require_channels_last(layer)
    operation = _operation_of(layer)
    counts = _sizes(layer.output_size)
    if None in shape[1:-1]:
        raise refusal(layer, "reads a variable time, which Keras itself cannot pool; use a fixed time")
    # Keras takes the means of windows that are one position longer than needed too, and fails if there is none.
    if any(-(-(size or 0) // count) >= (size or 0) for size, count in zip(shape[1:-1], counts, strict=True)):
        raise refusal(
            layer,
            f"has output_size={layer.output_size!r} for an input of {shape[1:-1]}, with which Keras itself fails in "
            "TensorFlow; for a size of 1, use a global pooling with keepdims=True",
        )
    if len(counts) == 1:
        return reference.AdaptivePooling1D(operation, counts[0])
    return reference.AdaptivePooling2D(operation, (counts[0], counts[1]))


def _read_global_pooling(layer: Any, _: OpenShape) -> reference.Layer:
    require(layer, layer.get_config(), data_format="channels_last")
    pooling: reference.Layer = getattr(reference, type(layer).__name__)(keepdims=bool(layer.keepdims))
    return pooling


def _read_image_pooling(layer: Any, _: OpenShape) -> reference.Reduce:
    require_channels_last(layer)
    operation: Any = "max" if type(layer) is layers.GlobalMaxPooling2D else "mean"
    return reference.Reduce(operation, (1, 2), bool(layer.keepdims))


def _operation_of(layer: Any) -> Literal["average", "maximum"]:
    return "maximum" if "Max" in type(layer).__name__ else "average"


def _sizes(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


READERS_OF_POOLINGS: Mapping[type, LayerReader] = {
    layers.GlobalAveragePooling1D: _read_global_pooling,
    layers.GlobalMaxPooling1D: _read_global_pooling,
    layers.AveragePooling1D: _read_pooling,
    layers.MaxPooling1D: _read_pooling,
    layers.AveragePooling2D: _read_pooling,
    layers.MaxPooling2D: _read_pooling,
    layers.GlobalAveragePooling2D: _read_image_pooling,
    layers.GlobalMaxPooling2D: _read_image_pooling,
    layers.AdaptiveAveragePooling1D: _read_adaptive_pooling,
    layers.AdaptiveAveragePooling2D: _read_adaptive_pooling,
    layers.AdaptiveMaxPooling1D: _read_adaptive_pooling,
    layers.AdaptiveMaxPooling2D: _read_adaptive_pooling,
}
