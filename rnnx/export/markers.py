"""Marks recurrent layers in a trace: while a model is traced, a layer emits one marker operation in place of its loop.

tf2onnx converts a SimpleRNN, a GRU, and any masked layer, to a Loop whose body differs with every setting, and takes
most of its time for it. But the reference already says what the layer computes. So during the trace the layer's
`inner_loop` emits one opaque TensorFlow operation, whose inputs are the sequence and the mask as Keras's own loop would
read them. tf2onnx converts it to one node. That node is given the weights and settings of the reference here, and
`rnnx.rewrites` replaces it with the native operator. What Keras computes, for the proof, is not traced in this way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any, assert_never

import keras
import numpy as np
import onnx
import tensorflow as tf

from rnnx.errors import ModelError
from rnnx.keras_models.read_recurrent import recurrent_layers
from rnnx.reference import GRU, LSTM, ConvLSTM, Network, RecurrentLayer, SimpleRNN, cell_state_of, last_state_of
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import MARKER_DOMAIN, MARKER_TYPE, ONNX_ACTIVATIONS

TF_TYPE = "PyFunc"


@contextmanager
def marked(model: keras.Model, network: Network) -> Iterator[None]:
    """Makes the layers emit markers while the model is traced.

    Args:
        model: The Keras model.
        network: Its reference.
    """
    nodes = {node.name: node for node in network.nodes}
    chosen = []
    for index, (name, layer) in enumerate(recurrent_layers(model)):
        has_first = name in nodes and len(nodes[name].inputs) > 1
        if name in nodes:
            chosen.append((index, layer))
            layer.inner_loop = _emit(layer, index, has_first=has_first, shown=_shown(network, name))
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
    state_counts = {node.name: len(node.inputs) - 1 for node in network.nodes}
    filled = set()
    for node in proto.graph.node:
        if node.domain != MARKER_DOMAIN:
            continue
        index = graph.constant(node.input[0])
        if index is None:
            raise ModelError("tf2onnx lost the number of the layer of a marker; please report this model")
        name = names[int(index)]
        layer, (x, *others) = layers[name], node.input[1:]
        mask = others[: len(others) - state_counts[name]]
        first = others[len(mask) :]
        weights = {"W": layer.kernel, "R": layer.recurrent_kernel, "B": layer.bias}
        stored = [graph.add_constant(f"{name}.keras_{key}", w.astype(np.float32)) for key, w in weights.items()]
        node.name = name
        node.input[:] = [x, mask[0] if mask else "", *stored, *first]
        del node.attribute[:]
        settings = {**_settings(layer), "shown": " ".join(_shown(network, name))}
        node.attribute.extend(onnx.helper.make_attribute(key, value) for key, value in settings.items())
        filled.add(name)
    return filled


def _shown(network: Network, name: str) -> list[str]:
    """Returns which last states of a layer are read apart from its output: `last` and `cell`, or none."""
    read = {name for node in network.nodes for name in node.inputs}
    kinds = {"last": last_state_of(name), "cell": cell_state_of(name)}
    return [kind for kind, state in kinds.items() if state in read]


def _settings(layer: RecurrentLayer) -> dict[str, Any]:
    """Returns the settings of a layer as attributes of its marker node."""
    settings: dict[str, Any] = {
        "activation": ONNX_ACTIVATIONS[layer.activation],
        "is_carried": int(not layer.zero_output_for_mask),
    }
    match layer:
        case SimpleRNN():
            return {"operator": "RNN", **settings}
        case LSTM():  # a ConvLSTM too
            names = ("image", "strides", "dilations", "padding") if isinstance(layer, ConvLSTM) else ()
            return {
                "operator": "LSTM",
                **settings,
                "recurrent_activation": ONNX_ACTIVATIONS[layer.recurrent_activation],
                **{name: getattr(layer, name) for name in names},
            }
        case GRU():
            return {
                "operator": "GRU",
                **settings,
                "recurrent_activation": ONNX_ACTIVATIONS[layer.recurrent_activation],
                "reset_after": int(layer.reset_after),
            }
    assert_never(layer)


def _emit(layer: Any, index: int, *, has_first: bool, shown: Sequence[str]) -> Callable[..., Any]:
    """Returns an `inner_loop` that emits the marker of a layer, with the index of the layer as its first input.

    Args:
        layer: The Keras layer.
        index: Its index among the recurrent layers.
        has_first: Whether the marker reads the first states, which are zero otherwise.
        shown: The last states that the marker has as further outputs.
    """

    def inner_loop(sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        if sequences.shape.rank > 3:  # images, which the marker reads and returns as vectors
            sequences = tf.reshape(sequences, [*tf.unstack(tf.shape(sequences)[:2]), prod(sequences.shape[2:])])
        inputs = [tf.transpose(sequences, [1, 0, 2])]
        if isinstance(mask, list | tuple):
            mask = mask[0]
        if mask is not None:
            inputs.append(tf.transpose(tf.expand_dims(mask, axis=-1), [1, 0, 2]))
        if layer.go_backwards:
            inputs = [tf.reverse(value, [0]) for value in inputs]
        inputs = [tf.constant(index), *inputs]
        first = keras.tree.flatten(initial_state)
        image = first[0].shape[1:]
        units = prod(image)
        if len(image) > 1:
            first = [tf.reshape(state, [-1, units]) for state in first]
        kinds = [tf.float32] * (1 + len(shown))
        states, *made = tf.numpy_function(_never_run, [*inputs, *(first if has_first else [])], kinds)
        # An operation, and not `set_shape`, so that the converted graph knows the shape too.
        states = tf.ensure_shape(states, [*inputs[1].shape[:2], units])
        last = states[-1]
        ends = {kind: tf.ensure_shape(state, [None, units]) for kind, state in zip(shown, made, strict=True)}
        last_states = [ends.get("last", last), *(ends.get("cell", last) for _ in first[1:])]
        states = tf.transpose(states, [1, 0, 2])
        if len(image) > 1:
            states = tf.reshape(states, [*tf.unstack(tf.shape(states)[:2]), *image])
            last, *last_states = (tf.reshape(state, [-1, *image]) for state in (last, *last_states))
        return last, states, last_states

    return inner_loop


def _never_run(*inputs: Any) -> Any:
    raise AssertionError("a marker is only converted, never run")
