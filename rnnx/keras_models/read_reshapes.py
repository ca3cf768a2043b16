"""Turns the Keras layers that only move, repeat, drop or pad numbers into layers of the reference, or refuses them.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import LayerReader, OpenShape, refusal, require, require_channels_last
from rnnx.keras_models.reverse_time import ReverseTime


def _read_image_up_sampling(layer: Any, _: OpenShape) -> reference.UpSampling2D:
    require_channels_last(layer)
    if layer.interpolation != "nearest":
        raise refusal(
            layer,
            f"has interpolation={layer.interpolation!r}; only 'nearest' is supported: train with it, or with a "
            "Conv2DTranspose",
        )
    rows, columns = layer.size
    return reference.UpSampling2D((int(rows), int(columns)))


def _read_zero_padding(layer: Any, _: OpenShape) -> reference.ZeroPadding1D:
    require(layer, layer.get_config(), data_format="channels_last")
    before, after = layer.padding
    return reference.ZeroPadding1D(int(before), int(after))


def _read_image_padding(layer: Any, _: OpenShape) -> reference.ZeroPadding2D:
    require_channels_last(layer)
    (above, below), (left, right) = layer.padding
    return reference.ZeroPadding2D((int(above), int(below)), (int(left), int(right)))


def _read_cropping(layer: Any, _: OpenShape) -> reference.GetItem:
    require(layer, layer.get_config(), data_format="channels_last")
    axes = [layer.cropping] if isinstance(layer.cropping[0], int) else layer.cropping
    return reference.GetItem(
        tuple(reference.Selection("slice", int(before), -int(after) if after else None) for before, after in axes)
    )


def _read_up_sampling(layer: Any, _: OpenShape) -> reference.UpSampling1D:
    return reference.UpSampling1D(int(layer.size))


def _read_repeat(layer: Any, _: OpenShape) -> reference.RepeatVector:
    return reference.RepeatVector(int(layer.n))


def _read_reshape(layer: Any, shape: OpenShape) -> reference.Reshape:
    require(layer, layer.get_config(), data_format="channels_last")
    return read_shape(layer, shape, tuple(layer.output.shape))


def read_shape(layer: Any, shape: OpenShape, output_shape: OpenShape) -> reference.Reshape:
    """Reads a reshape of an input of fixed size, or of the features of each position.

    Raises:
        ModelError: If it is another one.
    """
    before, after = tuple(shape[1:]), tuple(output_shape[1:])
    if None not in before:
        sizes = tuple(int(size or 0) for size in after)
        if None not in after and prod(size or 0 for size in before) != prod(sizes):
            raise refusal(
                layer,
                f"changes the number of rows: those of {before} become rows of {after}; keep the batch, and use a "
                "TimeDistributed of the layers after it",
            )
        return reference.Reshape(sizes)
    positions, *features = before
    rest = [size for size in after[1:] if size is not None]
    is_per_position = positions is None and None not in features and after[:1] == (None,)
    if is_per_position and len(rest) == len(after) - 1 and prod(rest) == prod(size or 0 for size in features):
        return reference.Reshape((-1, *rest))
    raise refusal(
        layer,
        "mixes positions of a variable time with features; only a fixed time, or each position alone, is supported",
    )


def _read_permute(layer: Any, _: OpenShape) -> reference.Transpose:
    return reference.Transpose((0, *(int(axis) for axis in layer.dims)))


READERS_OF_RESHAPES: Mapping[type, LayerReader] = {
    layers.UpSampling1D: _read_up_sampling,
    layers.UpSampling2D: _read_image_up_sampling,
    layers.ZeroPadding1D: _read_zero_padding,
    layers.ZeroPadding2D: _read_image_padding,
    layers.Cropping1D: _read_cropping,
    layers.Cropping2D: _read_cropping,
    layers.RepeatVector: _read_repeat,
    layers.Reshape: _read_reshape,
    layers.Flatten: _read_reshape,
    layers.Permute: _read_permute,
    ReverseTime: lambda layer, shape: reference.Reverse(),
}
