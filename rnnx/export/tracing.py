"""Works around faults while a model is traced for tf2onnx.

They are those of TimeDistributed, of grouped convolutions, of normalizations after a convolution, and of constants
outside the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import layers
from keras.src.ops.numpy import Add, Divide, Multiply, Subtract, TrueDivide

from rnnx.reference import BatchNormalization, Network

# The convolutions of images.
_IMAGES = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


@contextmanager
def whole_sequences(model: keras.Model) -> Iterator[None]:
    """Makes each TimeDistributed call its inner layer once for all positions, instead of once for each position.

    Keras 3.15 runs a TimeDistributed over an open time as a loop, and in a graph that loop runs over the rows of the
    batch instead, because its `call` takes the length from the batch axis. The inner layers that are supported
    (`rnnx.keras_models.read_layers`) work on each position by itself, so one call for all positions gives the same.
    `rnnx.export.traced` says how the proof runs it. Delete this when a trace of a TimeDistributed has the shape
    (batch, time, ...).
    """
    wrapped = [layer for layer in model.layers if type(layer) is layers.TimeDistributed]
    for layer in wrapped:
        layer.call = _call_inner(layer.layer)
    try:
        yield
    finally:
        for layer in wrapped:
            del layer.call


def _call_inner(inner: Any) -> Callable[..., Any]:
    """Returns a `call` that forwards to the inner layer."""

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return inner.call(inputs, training=False) if inner._call_has_training_arg else inner.call(inputs)

    return call


@contextmanager
def plain_convolutions(model: keras.Model, convolve: Callable[..., Any]) -> Iterator[None]:
    """Makes each convolution of groups one operation of TensorFlow.

    Keras 3.15 compiles it in a function of its own, which tf2onnx does not convert. TensorFlow cannot run the operation
    on a CPU, but it is only traced. Delete this when tf2onnx converts a Conv1D with groups=2.

    Args:
        model: The Keras model.
        convolve: TensorFlow's operation.
    """
    grouped = [
        layer for layer in model.layers if type(layer) in (layers.Conv1D, layers.Conv2D) and int(layer.groups) > 1
    ]
    for layer in grouped:
        layer.call = _call_convolution(layer, convolve)
    try:
        yield
    finally:
        for layer in grouped:
            del layer.call


def _call_convolution(layer: Any, convolve: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a `call` without compilation."""

    def call(inputs: Any) -> Any:
        padding = layer.padding.upper()
        if layer.padding == "causal":
            before = int(layer.dilation_rate[0]) * (int(layer.kernel_size[0]) - 1)
            inputs, padding = keras.ops.pad(inputs, [[0, 0], [before, 0], [0, 0]]), "VALID"
        strides, dilations = list(layer.strides), list(layer.dilation_rate)
        kernel = keras.ops.convert_to_tensor(layer.kernel)
        outputs = convolve(inputs, kernel, strides, padding, dilations=dilations)
        outputs = keras.ops.add(outputs, layer.bias) if layer.use_bias else outputs
        return outputs if layer.activation is None else layer.activation(outputs)

    return call


@contextmanager
def known_sizes(model: keras.Model) -> Iterator[None]:
    """Computes each Conv1DTranspose over images one row high, of the sizes that Keras knows.

    A recurrence puts out a fixed time as an open one in the trace, and TensorFlow's operation for one axis hides the
    sizes. Then tf2onnx writes nodes that compute how much of the result is cut, and that look like a hidden branch.
    Delete this when it takes the sizes from Keras.
    """
    transposed = [layer for layer in model.layers if type(layer) is layers.Conv1DTranspose]
    for layer in transposed:
        layer.call = _call_over_images(layer)
    try:
        yield
    finally:
        for layer in transposed:
            del layer.call


def _call_over_images(layer: Any) -> Callable[..., Any]:
    """Returns a `call` that gives the images their one row, as an axis before the time."""
    shapes = {tuple(node.input_tensors[0].shape) for node in layer._inbound_nodes}

    def call(inputs: Any) -> Any:
        if len(shapes) == 1:
            inputs.set_shape(*shapes)
        added = layer.output_padding and (0, *layer.output_padding)
        outputs = keras.ops.conv_transpose(
            keras.ops.expand_dims(inputs, 1),
            keras.ops.expand_dims(layer.kernel, 0),
            strides=(1, *layer.strides),
            padding=layer.padding,
            output_padding=added,
            data_format=layer.data_format,
        )
        outputs = keras.ops.squeeze(outputs, 1)
        outputs = keras.ops.add(outputs, layer.bias) if layer.use_bias else outputs
        return outputs if layer.activation is None else layer.activation(outputs)

    return call


@contextmanager
def unfolded_normalizations(model: keras.Model, network: Network, add_zeros: Callable[[Any], Any]) -> Iterator[None]:
    """Keeps each BatchNormalization apart from a convolution of images without bias before it.

    TensorFlow's optimizer and tf2onnx's both multiply the kernel of such a convolution by the scale of the
    normalization. Then the file would have neither the weights of both layers nor the output of the convolution. They
    leave a convolution alone that has a bias, so here it has one, of zeros.

    Args:
        model: The Keras model.
        network: Its reference.
        add_zeros: Adds a bias of zeros that TensorFlow's optimizer does not remove.
    """
    read = {node.inputs[0] for node in network.nodes if isinstance(node.layer, BatchNormalization)}
    chosen = [layer for layer in model.layers if type(layer) in _IMAGES and not layer.use_bias and layer.name in read]
    before = [vars(layer).get("call") for layer in chosen]
    for layer in chosen:
        layer.call = _call_with_zeros(layer.call, add_zeros)
    try:
        yield
    finally:
        for layer, own in zip(chosen, before, strict=True):
            del layer.call
            if own is not None:
                layer.call = own


def _call_with_zeros(call: Callable[..., Any], add_zeros: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda inputs: add_zeros(call(inputs))


@contextmanager
def constant_statistics(model: keras.Model) -> Iterator[None]:
    """Gives each Normalization its statistics as arrays, which a trace holds as constants.

    Keras keeps them as tensors outside the graph, and tf2onnx would make inputs of them.
    """
    layers_and_statistics = [
        (layer, layer.mean, layer.variance) for layer in model.layers if type(layer) is layers.Normalization
    ]
    for layer, mean, variance in layers_and_statistics:
        layer.mean, layer.variance = (keras.ops.convert_to_numpy(values) for values in (mean, variance))
    try:
        yield
    finally:
        for layer, mean, variance in layers_and_statistics:
            layer.mean, layer.variance = mean, variance


# The layers that multiply by constants and add some.
_SCALES = (layers.BatchNormalization, layers.Normalization, layers.Rescaling)


@contextmanager
def separate_constants(model: keras.Model, check: Callable[..., Any]) -> Iterator[None]:
    """Keeps the constants of operations that follow one another apart.

    TensorFlow computes x / a / b as a product with one constant, and moves constants into a BatchNormalization. Then
    the constants of the model are not in the file. It moves nothing through a check of numbers (`check`), which tf2onnx
    drops.
    """
    operations = list(getattr(model, "_operations", model.layers))  # a Sequential has layers alone
    combining = {id(operation) for operation in operations if _combines_constants(operation)}
    read_by: dict[int, list[Any]] = {}
    for operation in operations:
        for node in operation._inbound_nodes:
            for tensor in node.input_tensors:
                read_by.setdefault(id(tensor._keras_history.operation), []).append(operation)
    checked = [
        operation
        for operation in operations
        if (id(operation) in combining or type(operation) in _SCALES)
        and any(id(reader) in combining or type(reader) in _SCALES for reader in read_by.get(id(operation), ()))
    ]
    for operation in checked:
        operation.call = _checked(operation.call, check)
    try:
        yield
    finally:
        for operation in checked:
            del operation.call


def _combines_constants(operation: Any) -> bool:
    """Whether an operation adds, subtracts, multiplies or divides a tensor and constants."""
    is_arithmetic = type(operation) in (Add, Subtract, Multiply, Divide, TrueDivide)
    return is_arithmetic and all(len(node.input_tensors) == 1 for node in operation._inbound_nodes)


def _checked(call: Callable[..., Any], check: Callable[..., Any]) -> Callable[..., Any]:
    def checked(*given: Any, **settings: Any) -> Any:
        return check(call(*given, **settings), "separate constants")

    return checked
