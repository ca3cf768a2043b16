"""Turns a Keras model into the reference network, with Keras's names and weights.

A model with an unsupported layer, setting or connection is refused with a reason. Imports Keras.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.bundle.config import MAX_SIZE
from rnnx.errors import ModelError
from rnnx.keras_models.explicit_masks import find_explicit_mask
from rnnx.keras_models.keras_2_activations import activation_name
from rnnx.keras_models.read_attention import ATTENTIONS, read_attention
from rnnx.keras_models.read_layers import float64, is_passed_over, read_layer, refusal, require
from rnnx.reference import INPUT_NAME, NUMBERS_NAME, OUTPUT_NAME, VALUES_NAME, Input, Network, Node
from rnnx.reference.shapes import zeros

# The activations of ONNX's recurrent operators.
_RECURRENT_ACTIVATIONS = (
    "linear", "tanh", "relu", "sigmoid", "hard_sigmoid", "hard_sigmoid_keras_2", "softsign", "softplus",
    "elu", "leaky_relu",
)  # fmt: skip
_RECURRENT: dict[type, Callable[..., reference.RecurrentLayer]] = {
    layers.SimpleRNN: reference.SimpleRNN,
    layers.LSTM: reference.LSTM,
    layers.GRU: reference.GRU,
}
# The merge modes of a Bidirectional.
_MERGES: Mapping[str, reference.Layer] = {
    "concat": reference.Concatenate(),
    "sum": reference.Merge("add"),
    "mul": reference.Merge("multiply"),
    "ave": reference.Merge("average"),
}

# The nodes of layers with several outputs, some of which may not be read.
_FURTHER_OUTPUTS = (
    reference.LastPosition, reference.AttentionWeights, reference.Attention, reference.AdditiveWeights,
    reference.AdditiveAttention,
)  # fmt: skip

# A number of positions that is enough for any pooling.
_ANY_TIME = 60
# An output of a layer, as the name of the layer and the index of the output; or an input of the model, with index 0.
Port: TypeAlias = tuple[str, int]


def read_network(model: keras.Model) -> Network:
    """Builds the reference network of a Keras model.

    Raises:
        ModelError: If the reference does not support a layer, a setting or a connection. The message names the layer
            and the reason.
    """
    inputs = _read_inputs(model)
    nodes: list[Node] = []
    # The node that computes each output of a layer. For a layer that does nothing at inference, it is the node of its
    # input. The cell state of an LSTM has no node.
    source: dict[Port, str] = {(entry.name, 0): entry.name for entry in inputs.values()}
    for layer, readers in _wiring(model, inputs):
        if unknown := [name for name, i in readers if (name, i) not in source]:
            raise refusal(layer, f"reads the cell state of {unknown[0]}; only its hidden state is supported")
        reads = tuple(source[port] for port in readers)
        if masked := find_explicit_mask(model, layer):
            nodes.append(Node(f"{layer.name}.mask", reference.TakeMask(), (*reads, masked)))
            reads = (nodes[-1].name,)
        added, ends_of_layer = ([], [reads[0]]) if is_passed_over(layer) else _read_layer(layer, reads)
        nodes += added
        source |= {(layer.name, i): end for i, end in enumerate(ends_of_layer) if end is not None}
    nodes = _without_unread_outputs(nodes, _read_outputs(model, source).values())
    if not any(isinstance(node.layer, reference.Recurrent) for node in nodes):
        raise ModelError(f"model {model.name}: it has no recurrent layer")
    ends = _read_outputs(model, source)
    by_name = {node.name: node for node in nodes}
    for name in ends.values():
        _require_choice(by_name[name])
    if list(ends) == [OUTPUT_NAME] and by_name[ends[OUTPUT_NAME]].head_kind == "values":
        ends = {VALUES_NAME: ends[OUTPUT_NAME]}
    read = {name for node in nodes for name in node.inputs}
    if unread := [node.name for node in nodes if node.name not in read | set(ends.values())]:
        raise ModelError(f"model {model.name}: layer {unread[0]} has no effect on its output")
    sized = [_with_size(entry, nodes) for entry in inputs.values()]
    if unread := [entry.name for entry in sized if entry.name not in read]:
        raise ModelError(f"model {model.name}: no layer reads its input {unread[0]}")
    if list(ends) == [OUTPUT_NAME] and ends[OUTPUT_NAME] == nodes[-1].name:
        ends = {}
    network = Network(nodes, tuple(sized), ends)
    _require_states(network)
    return network


def _require_states(network: Network) -> None:
    """Refuses to take the last state of a layer whose outputs are zero at masked positions.

    The reference takes the last state from the last position, which would be such a zero.
    """
    taken = {name for node in network.nodes if isinstance(node.layer, reference.LastPosition) for name in node.inputs}
    zeroed = {name for name, layer in network.recurrent_nodes.items() if layer.zero_output_for_mask} & taken
    if not zeroed:
        return
    tensors = network.forward(zeros(network, _ANY_TIME))
    for node in network.nodes:
        if node.name in zeroed and tensors[node.inputs[0]].mask is not None:
            raise ModelError(
                f"layer {node.name}: reading its last state is not supported together with zero_output_for_mask, which "
                "Bidirectional sets; nothing was exported"
            )


def _without_unread_outputs(nodes: Sequence[Node], ends: Iterable[str]) -> list[Node]:
    """Removes the nodes of last states, attentions and their weights that no other node and no output reads."""
    read = {*ends, *(name for node in nodes for name in node.inputs)}
    return [node for node in nodes if not isinstance(node.layer, _FURTHER_OUTPUTS) or node.name in read]


def recurrent_layers(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yields the recurrent Keras layers with the names of their nodes; a Bidirectional gives its two layers."""
    for layer in model.layers:
        if type(layer) in _RECURRENT:
            yield layer.name, layer
        elif isinstance(layer, layers.Bidirectional):
            for half in (layer.forward_layer, layer.backward_layer):
                yield _half_name(layer, half), half


def _half_name(layer: Any, half: Any) -> str:
    return f"{layer.name}.{'backward' if half.go_backwards else 'forward'}"


def _require_choice(node: Node) -> None:
    layer = node.layer
    if isinstance(layer, reference.Dense) and layer.activation == "softmax" and layer.kernel.shape[1] == 1:
        raise ModelError(
            f"layer {node.name} is a softmax over a single unit, which is always 1; use a sigmoid instead; "
            "nothing was exported"
        )


def _read_inputs(model: keras.Model) -> dict[str, Input]:
    """Reads the inputs, by their Keras names. A single input is renamed to `ids` or `x`; several keep their names."""
    found = {}
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        kind: Literal["ids", "numbers"] = "ids" if _is_looked_up(model, tensor) else "numbers"
        if not shape or any(size is None for size in shape[1:]):
            raise ModelError(
                f"model {model.name}: its input {tensor.name} {tensor.shape} is not a sequence, (batch, time, ...)"
            )
        if any(size > MAX_SIZE for size in shape if size is not None):
            raise ModelError(
                f"model {model.name}: its input {tensor.name} {tensor.shape} has an axis of a fixed size of more than "
                f"{MAX_SIZE:,}, which is not supported"
            )
        name = tensor.name if len(model.inputs) > 1 else INPUT_NAME if kind == "ids" else NUMBERS_NAME
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ModelError(
                f"model {model.name}: an input name should have letters, digits and underscores only, not {name!r:.60}"
            )
        found[tensor.name] = Input(name, kind, shape)
    return found


def _is_looked_up(model: keras.Model, tensor: Any) -> bool:
    if isinstance(model, keras.Sequential):
        return isinstance(next(iter(model.layers), None), layers.Embedding)
    readers = [
        layer
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer) and any(tensor is read for read in keras.tree.flatten(layer.input))
    ]
    if len({isinstance(layer, layers.Embedding) for layer in readers}) > 1:
        raise refusal(readers[0], f"reads {tensor.name}, which an Embedding reads too; this is not supported")
    return bool(readers) and isinstance(readers[0], layers.Embedding)


def _with_size(entry: Input, nodes: list[Node]) -> Input:
    """Sets the size of an input of ids: the number of rows of the smallest Embedding that reads it."""
    tables = [node.layer for node in nodes if entry.name in node.inputs and isinstance(node.layer, reference.Embedding)]
    return dataclasses.replace(entry, size=min((len(layer.table) for layer in tables), default=0))


def _read_outputs(model: keras.Model, source: Mapping[Port, str]) -> dict[str, str]:
    """Returns the node of each output by name.

    A single output is `probs`. Several have the names of their layers, and the further outputs of a layer a number.
    """
    if isinstance(model, keras.Sequential):
        return {OUTPUT_NAME: source[model.layers[-1].name, 0]}
    owner = _owners(layer for layer in model.layers if not isinstance(layer, layers.InputLayer))
    if any(id(tensor) not in owner for tensor in model.outputs):
        raise ModelError(
            f"model {model.name}: an output should come from one of its layers, and this layer should be used once"
        )
    ports = [owner[id(tensor)] for tensor in model.outputs]
    if len(set(ports)) < len(ports):
        raise ModelError(f"model {model.name}: two of its outputs are the same tensor")
    if unknown := [name for name, i in ports if (name, i) not in source]:
        raise ModelError(
            f"model {model.name}: an output is the cell state of {unknown[0]}; only its hidden state is supported"
        )
    if len(ports) == 1:
        return {OUTPUT_NAME: source[ports[0]]}
    return {f"{name}_{i}" if i else name: source[name, i] for name, i in ports}


def _owners(working: Iterable[Any]) -> dict[int, Port]:
    """Returns the layer and the index of each output tensor, by id. A tensor has one owner: a layer is called once."""
    return {
        id(tensor): (layer.name, i) for layer in working for i, tensor in enumerate(keras.tree.flatten(layer.output))
    }


def _wiring(model: keras.Model, inputs: Mapping[str, Input]) -> Iterator[tuple[Any, tuple[Port, ...]]]:
    """Yields each layer with the outputs of layers, or inputs of the model, that it reads."""
    working = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    if isinstance(model, keras.Sequential):
        # A loaded Sequential has called its layers twice, so `layer.input` is not usable. Their order is enough.
        before = next(iter(inputs.values())).name
        for layer in working:
            yield layer, ((before, 0),)
            before = layer.name
        return
    owner = {id(tensor): (inputs[tensor.name].name, 0) for tensor in model.inputs} | _owners(working)
    for layer in working:
        # Keras lists a mask as a further input, of dtype bool. `find_explicit_mask` handles those not propagated.
        tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
        if any(id(tensor) not in owner for tensor in tensors):
            raise refusal(layer, "is used more than once, or reads a tensor from outside the model")
        yield layer, tuple(owner[id(tensor)] for tensor in tensors)


def _read_layer(layer: Any, inputs: tuple[str, ...]) -> tuple[list[Node], list[str | None]]:
    """Returns the nodes of a layer, and the node of each of its outputs; None for the cell state, which has no node."""
    if layer.dtype_policy.name != "float32":
        raise refusal(layer, f"computes in {layer.dtype_policy.name}; only float32 is supported")
    # The exact type, because a subclass may compute anything.
    if type(layer) in _RECURRENT:
        if len(inputs) != 1:
            raise refusal(layer, "has an initial state; only an initial state of zero is supported")
        node = Node(layer.name, _read_recurrent(layer), inputs)
        added, states = _read_states(layer, node)
        return [node, *added], [node.name, *states]
    if type(layer) is layers.Bidirectional:
        return _read_bidirectional(layer, inputs)
    if type(layer) in ATTENTIONS:
        return read_attention(layer, inputs)
    return [Node(layer.name, read_layer(layer), inputs)], [layer.name]


def _read_states(layer: Any, node: Node) -> tuple[list[Node], list[str | None]]:
    """Returns the nodes and outputs that `return_state` adds: the last hidden state, and for an LSTM the cell state."""
    if not layer.return_state:
        return [], []
    cell_states = [None] * (len(keras.tree.flatten(layer.cell.state_size)) - 1)
    if not layer.return_sequences:
        return [], [node.name, *cell_states]
    last = Node(f"{node.name}.state", reference.LastPosition(), (node.name,))
    return [last], [last.name, *cell_states]


def _read_recurrent(layer: Any) -> reference.RecurrentLayer:
    require(layer, layer.get_config(), stateful=False, unroll=False)
    kind, cell = _RECURRENT[type(layer)], layer.cell
    bias_shape = (2, cell.kernel.shape[1]) if getattr(cell, "reset_after", False) else cell.kernel.shape[1:]
    settings = {name: getattr(cell, name) for name in ("reset_after",) if hasattr(cell, name)}
    for name in ("activation", "recurrent_activation"):
        if not hasattr(cell, name):
            continue
        settings[name] = _recurrent_activation(layer, name)
    return kind(
        kernel=float64(cell.kernel),
        recurrent_kernel=float64(cell.recurrent_kernel),
        bias=float64(cell.bias) if cell.use_bias else np.zeros(bias_shape),
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
        **settings,
    )


def _read_bidirectional(layer: Any, inputs: tuple[str, ...]) -> tuple[list[Node], list[str | None]]:
    """Turns a Bidirectional into two recurrences, a Reverse of the second one, and a merge if it has one."""
    halves = [layer.forward_layer, layer.backward_layer]
    for half in halves:
        if type(half) not in _RECURRENT:
            raise refusal(layer, f"wraps a {type(half).__name__}; supported are SimpleRNN, LSTM and GRU")
    if len(inputs) != 1:
        raise refusal(layer, "has initial states; only initial states of zero are supported")
    nodes: list[Node] = []
    ends: list[str | None] = []
    states: list[str | None] = []
    for half in halves:
        node = Node(_half_name(layer, half), _read_recurrent(half), inputs)
        added, half_states = _read_states(half, node)
        nodes += [node, *added]
        states += half_states
        ends.append(node.name)
        if half is layer.backward_layer and layer.return_sequences:
            nodes.append(Node(f"{node.name}.reverse", reference.Reverse(), (node.name,)))
            ends[-1] = nodes[-1].name
    if layer.merge_mode is None:
        return nodes, [*ends, *states]
    if layer.merge_mode not in _MERGES:
        raise refusal(layer, f"has merge_mode={layer.merge_mode!r}; supported are {', '.join(_MERGES)} and None")
    merge = Node(layer.name, _MERGES[layer.merge_mode], tuple(name for name in ends if name))
    return [*nodes, merge], [merge.name, *states]


def _recurrent_activation(layer: Any, role: str) -> reference.ActivationName:
    name = activation_name(getattr(layer, role))
    if name not in _RECURRENT_ACTIVATIONS:
        known = ", ".join(_RECURRENT_ACTIVATIONS)
        raise refusal(layer, f"has the {role.replace('_', ' ')} {name!r}; ONNX's recurrent operators support {known}")
    activation: reference.ActivationName = name
    return activation
