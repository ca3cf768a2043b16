"""Turns Keras's ConvLSTM1D and ConvLSTM2D into layers of the reference, or refuses them with a reason. Imports Keras.

The reference reads and returns an image as one vector. So a layer is read as three nodes: a Reshape of the images to
vectors, the recurrence, and a Reshape of its states to images.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import float64, refusal, require_channels_last
from rnnx.reference import ActivationName, Node

CONV_LSTMS = (layers.ConvLSTM1D, layers.ConvLSTM2D)


def read_conv_lstm(layer: Any, activation: ActivationName, recurrent_activation: ActivationName) -> reference.ConvLSTM:
    """Reads a layer. The images of a ConvLSTM1D have one row.

    Args:
        layer: The layer of Keras.
        activation: The activation of its candidate and of its output.
        recurrent_activation: That of its gates.

    Raises:
        ModelError: If a setting is not supported.
    """
    require_channels_last(layer)
    inputs = [tensor for node in layer._inbound_nodes for tensor in node.input_tensors]
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in inputs):
        raise refusal(layer, "has a mask, which is not supported for images; leave the Masking or mask_zero out")
    cell = layer.cell
    kernel, recurrent_kernel = float64(cell.kernel), float64(cell.recurrent_kernel)
    if kernel.ndim == 3:
        kernel, recurrent_kernel = kernel[None], recurrent_kernel[None]
    return reference.ConvLSTM(
        kernel=kernel,
        recurrent_kernel=recurrent_kernel,
        bias=float64(cell.bias) if cell.use_bias else np.zeros(kernel.shape[-1]),
        activation=activation,
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
        recurrent_activation=recurrent_activation,
        image=_of_rows(cell.spatial_dims),
        strides=_of_rows(layer.strides),
        dilations=_of_rows(layer.dilation_rate),
        padding=layer.padding,
    )


def _of_rows(numbers: Any) -> tuple[int, int]:
    """Returns a number of rows and one of columns; an image of one axis has one row."""
    rows, columns = (1, *numbers) if len(numbers) == 1 else numbers
    return int(rows), int(columns)


def to_vectors(layer: reference.ConvLSTM, name: str, inputs: tuple[str, ...]) -> list[Node]:
    """Returns the nodes that make vectors of the sequence of images, and of the first states if there are any."""
    x, *first = inputs
    nodes = [Node(f"{name}.vectors", reference.Reshape((-1, layer.position_size)), (x,))]
    return nodes + [
        Node(f"{name}.first_{i}", reference.Reshape((layer.units,)), (state,)) for i, state in enumerate(first)
    ]


def to_images(layer: Any, recurrence: reference.ConvLSTM, ends: list[str]) -> list[Node]:
    """Returns the nodes that make images of the output and of the states that a layer returns."""
    image = recurrence.state_image[1:] if type(layer) is layers.ConvLSTM1D else recurrence.state_image
    time = (-1,) if recurrence.return_sequences else ()
    shapes = [(*time, *image), *[image] * (len(ends) - 1)]
    return [
        Node(f"{end}.images_{i}" if i else f"{end}.images", reference.Reshape(shape), (end,))
        for i, (end, shape) in enumerate(zip(ends, shapes, strict=True))
    ]
