"""Turns the recurrent Keras layers into nodes of the reference, or refuses them with a reason. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import float64, read_activation, refusal, require
from rnnx.keras_models.read_conv_lstm import CONV_LSTMS, read_conv_lstm, to_images, to_vectors
from rnnx.reference import Node, cell_state_of, last_state_of

RECURRENT: dict[type, Callable[..., reference.RecurrentLayer]] = {
    layers.SimpleRNN: reference.SimpleRNN,
    layers.LSTM: reference.LSTM,
    layers.GRU: reference.GRU,
    **dict.fromkeys(CONV_LSTMS, reference.ConvLSTM),
}
# The merge modes of a Bidirectional.
_MERGES: Mapping[str, reference.Layer] = {
    "concat": reference.Concatenate(),
    "sum": reference.Merge("add"),
    "mul": reference.Merge("multiply"),
    "ave": reference.Merge("average"),
}


def recurrent_layers(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yields the recurrent Keras layers with the names of their nodes; a Bidirectional gives its two layers."""
    for layer in model.layers:
        if type(layer) in RECURRENT:
            yield layer.name, layer
        elif isinstance(layer, layers.Bidirectional):
            for half in (layer.forward_layer, layer.backward_layer):
                yield _half_name(layer, half), half


def _half_name(layer: Any, half: Any) -> str:
    return f"{layer.name}.{'backward' if half.go_backwards else 'forward'}"


def read_recurrence(layer: Any, inputs: tuple[str, ...]) -> tuple[list[Node], list[str]]:
    """Returns the nodes of a layer that reads a sequence, and perhaps first states, and the node of each output."""
    return _read_named(layer, layer.name, inputs)


def _read_named(layer: Any, name: str, inputs: tuple[str, ...]) -> tuple[list[Node], list[str]]:
    """Does the same for a layer, or a half of a Bidirectional, whose recurrence gets the given name."""
    recurrence = _read_recurrent(layer)
    vectors = to_vectors(recurrence, name, inputs) if isinstance(recurrence, reference.ConvLSTM) else []
    node = Node(name, recurrence, tuple(made.name for made in vectors) or inputs)
    added, states = _read_states(layer, node)
    nodes, ends = [*vectors, node, *added], [name, *states]
    if isinstance(recurrence, reference.ConvLSTM):
        images = to_images(layer, recurrence, ends)
        return [*nodes, *images], [image.name for image in images]
    return nodes, ends


def ignores_mask(layer: Any) -> bool:
    """Whether a layer reads masked positions too: Keras gives no mask to a layer that is given first states.

    It does so for every layer that is called with several tensors, unless the call has `mask=`. The mask still reaches
    the layers after it.
    """
    if type(layer) not in RECURRENT and type(layer) is not layers.Bidirectional:
        return False
    x, *others = keras.tree.flatten(layer.input)
    has_first = any(tensor.dtype != "bool" for tensor in others)
    has_mask = any(tensor.dtype == "bool" for tensor in others)
    return has_first and not has_mask and getattr(x, "_keras_mask", None) is not None


def _read_states(layer: Any, node: Node) -> tuple[list[Node], list[str]]:
    """Returns the nodes and outputs that `return_state` adds: the last hidden state, and for an LSTM the cell state."""
    if not layer.return_state:
        return [], []
    nodes = []
    if len(node.inputs) > 1:
        nodes = [Node(f"{node.name}.state", reference.Concatenate(), (last_state_of(node.name),))]
    elif layer.return_sequences:
        nodes = [Node(f"{node.name}.state", reference.LastPosition(), (node.name,))]
    states = [nodes[0].name if nodes else node.name]
    if isinstance(node.layer, reference.LSTM):
        # A Concatenate of one input is a node that computes nothing, so that an output can be the cell state itself.
        nodes.append(Node(f"{node.name}.cell_state", reference.Concatenate(), (cell_state_of(node.name),)))
        states.append(nodes[-1].name)
    return nodes, states


def _read_recurrent(layer: Any) -> reference.RecurrentLayer:
    require(layer, layer.get_config(), stateful=False, unroll=False)
    if type(layer) in CONV_LSTMS:
        return read_conv_lstm(layer, read_activation(layer), read_activation(layer, "recurrent_activation"))
    kind, cell = RECURRENT[type(layer)], layer.cell
    bias_shape = (2, cell.kernel.shape[1]) if getattr(cell, "reset_after", False) else cell.kernel.shape[1:]
    settings = {name: getattr(cell, name) for name in ("reset_after",) if hasattr(cell, name)}
    if hasattr(cell, "recurrent_activation"):
        settings["recurrent_activation"] = read_activation(layer, "recurrent_activation")
    return kind(
        kernel=float64(cell.kernel),
        recurrent_kernel=float64(cell.recurrent_kernel),
        bias=float64(cell.bias) if cell.use_bias else np.zeros(bias_shape),
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
        activation=read_activation(layer),
        **settings,
    )


def read_bidirectional(layer: Any, inputs: tuple[str, ...]) -> tuple[list[Node], list[str]]:
    """Turns a Bidirectional into two recurrences, a Reverse of the second one, and a merge if it has one."""
    halves = [layer.forward_layer, layer.backward_layer]
    for half in halves:
        if type(half) not in RECURRENT:
            raise refusal(layer, f"wraps a {type(half).__name__}; supported are SimpleRNN, LSTM, GRU and ConvLSTM")
    x, *first = inputs
    nodes: list[Node] = []
    ends: list[str] = []
    states: list[str] = []
    for half in halves:
        own_first = first[: len(first) // 2] if half is layer.forward_layer else first[len(first) // 2 :]
        half_nodes, (end, *half_states) = _read_named(half, _half_name(layer, half), (x, *own_first))
        nodes += half_nodes
        states += half_states
        ends.append(end)
        if half is layer.backward_layer and layer.return_sequences:
            nodes.append(Node(f"{_half_name(layer, half)}.reverse", reference.Reverse(), (end,)))
            ends[-1] = nodes[-1].name
    if layer.merge_mode is None:
        return nodes, [*ends, *states]
    if layer.merge_mode not in _MERGES:
        raise refusal(layer, f"has merge_mode={layer.merge_mode!r}; supported are {', '.join(_MERGES)} and None")
    merge = Node(layer.name, _MERGES[layer.merge_mode], tuple(ends))
    return [*nodes, merge], [merge.name, *states]
