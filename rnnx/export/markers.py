"""Marks recurrent layers in a trace: while a model is traced, a layer emits one marker operation in place of its loop.

tf2onnx converts a GRU, and any masked layer, to a Loop whose body differs with every setting. But the reference already
says what the layer computes. So during the trace the layer's `inner_loop` emits one opaque TensorFlow operation, whose
inputs are the sequence and the mask as Keras's own loop would read them. tf2onnx converts it to one node. That node is
given the weights and settings of the reference here, and `rnnx.rewrites` replaces it with the native operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, assert_never

import keras
import numpy as np
import onnx
import tensorflow as tf

from rnnx.errors import ModelError
from rnnx.keras_models.read_recurrent import recurrent_layers
from rnnx.reference import GRU, LSTM, Network, RecurrentLayer, SimpleRNN
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import LOOP_ACTIVATIONS, MARKER_DOMAIN, MARKER_TYPE, ONNX_ACTIVATIONS

TF_TYPE = "PyFunc"


def is_marked(layer: RecurrentLayer, keras_layer: Any) -> bool:
    """Whether a layer is marked.

    A SimpleRNN that does not return its state, with an activation that `rnnx.rewrites` reads from a Loop, is not
    marked: its Loop is converted by tf2onnx and then recognized.
    """
    return (
        keras_layer.return_state
        or not isinstance(layer, SimpleRNN)
        or ONNX_ACTIVATIONS[layer.activation] not in LOOP_ACTIVATIONS
    )


@contextmanager
def marked(model: keras.Model, network: Network) -> Iterator[None]:
    """Makes the layers emit markers while the model is traced.

    Args:
        model: The Keras model.
        network: Its reference.
    """
    chosen = [
        (index, layer)
        for index, (name, layer) in enumerate(recurrent_layers(model))
        if name in network.recurrent_nodes and is_marked(network.recurrent_nodes[name], layer)
    ]
    for index, layer in chosen:
        layer.inner_loop = _emit(layer, index)
    try:
        yield
    finally:
        for _, layer in chosen:
            del layer.inner_loop


def make_marker(context: Any, node: Any, name: str, arguments: Any) -> Any:
    """Converts the marker operation to a marker node; a handler for tf2onnx's `custom_op_handlers`."""
    for attribute in list(node.attr):
        del node.attr[attribute]
    node.domain, node.type = MARKER_DOMAIN, MARKER_TYPE
    return node


def fill_markers(proto: onnx.ModelProto, model: keras.Model, network: Network) -> set[str]:
    """Gives each marker node the name, the weights and the settings of its layer.

    Returns:
        The names of the marked layers.

    Raises:
        ModelError: If the converted graph does not say which layer a marker belongs to.
    """
    graph = Graph(proto.graph)
    names = [name for name, _ in recurrent_layers(model)]
    layers = network.recurrent_nodes
    filled = set()
    for node in proto.graph.node:
        if node.domain != MARKER_DOMAIN:
            continue
        index = graph.constant(node.input[0])
        if index is None:
            raise ModelError("tf2onnx lost the number of the layer of a marker; please report this model")
        name = names[int(index)]
        layer, (x, *mask) = layers[name], node.input[1:]
        weights = {"W": layer.kernel, "R": layer.recurrent_kernel, "B": layer.bias}
        stored = [graph.add_constant(f"{name}.keras_{key}", w.astype(np.float32)) for key, w in weights.items()]
        node.name = name
        node.input[:] = [x, mask[0] if mask else "", *stored]
        del node.attribute[:]
        node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in _settings(layer).items())
        filled.add(name)
    return filled


def _settings(layer: RecurrentLayer) -> dict[str, str | int]:
    """Returns the settings of a layer as attributes of its marker node."""
    settings: dict[str, str | int] = {
        "activation": ONNX_ACTIVATIONS[layer.activation],
        "is_carried": int(not layer.zero_output_for_mask),
    }
    match layer:
        case SimpleRNN():
            return {"operator": "RNN", **settings}
        case LSTM():
            return {
                "operator": "LSTM",
                **settings,
                "recurrent_activation": ONNX_ACTIVATIONS[layer.recurrent_activation],
            }
        case GRU():
            return {
                "operator": "GRU",
                **settings,
                "recurrent_activation": ONNX_ACTIVATIONS[layer.recurrent_activation],
                "reset_after": int(layer.reset_after),
            }
    assert_never(layer)


def _emit(layer: Any, index: int) -> Callable[..., Any]:
    """Returns an `inner_loop` that emits the marker of a layer, with the index of the layer as its first input."""

    def inner_loop(sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        inputs = [tf.transpose(sequences, [1, 0, 2])]
        if isinstance(mask, list | tuple):
            mask = mask[0]
        if mask is not None:
            inputs.append(tf.transpose(tf.expand_dims(mask, axis=-1), [1, 0, 2]))
        if layer.go_backwards:
            inputs = [tf.reverse(value, [0]) for value in inputs]
        states = tf.numpy_function(_never_run, [tf.constant(index), *inputs], tf.float32)
        # An operation, and not `set_shape`, so that the converted graph knows the shape too.
        states = tf.ensure_shape(states, [*inputs[0].shape[:2], layer.units])
        last = states[-1]
        return last, tf.transpose(states, [1, 0, 2]), [last for _ in keras.tree.flatten(initial_state)]

    return inner_loop


def _never_run(*inputs: Any) -> Any:
    raise AssertionError("a marker is only converted, never run")
