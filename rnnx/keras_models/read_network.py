"""Turns a Keras model into the reference network, with Keras's names and weights.

A model with an unsupported layer, setting or connection is refused with a reason. Imports Keras.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
from keras import layers

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.keras_models.explicit_masks import find_explicit_mask, mask_node_of
from rnnx.keras_models.folding import Fold, Unfold
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import ATTENTIONS, Chain, is_exact, is_operation
from rnnx.keras_models.read_attention import read_attention
from rnnx.keras_models.read_convolutions import SEPARABLE, read_separable
from rnnx.keras_models.read_encodings import ENCODINGS, read_encoding, read_masking
from rnnx.keras_models.read_layers import is_passed_over, read_layer
from rnnx.keras_models.read_operations import read_operation
from rnnx.keras_models.read_ports import Port, read_inputs, read_outputs, read_wiring, unchanged, with_size
from rnnx.keras_models.read_recurrent import RECURRENT, ignores_mask, read_bidirectional, read_recurrence
from rnnx.keras_models.read_softmax import read_softmax
from rnnx.reference import OUTPUT_NAME, VALUES_NAME, Input, Network, Node, cell_state_of, last_state_of
from rnnx.reference.shapes import zeros

# A number of positions that is enough for any pooling.
_ANY_TIME = 60


def read_network(model: keras.Model, output_names: Sequence[str] | None = None) -> Network:
    """Builds the reference network of a Keras model in plain form (`rnnx.keras_models.plain_model`).

    Args:
        model: The model.
        output_names: The names of its outputs, if there are several; None to name them after their layers.

    Raises:
        ModelError: If the reference does not support a layer, a setting or a connection. The message names the layer
            and the reason.
    """
    inputs = read_inputs(model)
    nodes = [
        Node(mask_node_of(entry.name), reference.AsMask(), (entry.name,))
        for entry in inputs.values()
        if entry.kind == "mask" and len(entry.shape) == 1
    ]
    # The node that computes each output of a layer. For a layer that does nothing at inference, it is the node of its
    # input.
    source: dict[Port, str] = {(entry.name, 0): entry.name for entry in inputs.values()}
    for layer, readers in read_wiring(model, inputs):
        reads = tuple(source[port] for port in readers)
        has_one_mask = not is_operation(layer) and type(layer) not in (*ATTENTIONS, layers.Softmax)
        if has_one_mask and (masked := find_explicit_mask(model, layer, inputs)):
            if masked == mask_node_of(layer.name):
                reads, read_mask = _without_mask(layer, reads)
                nodes.append(Node(masked, reference.AsMask(), (read_mask,)))
            nodes.append(Node(f"{layer.name}.mask", reference.TakeMask(), (reads[0], masked)))
            reads = (nodes[-1].name, *reads[1:])
        masked_input = reads[0] if not isinstance(model, keras.Sequential) and ignores_mask(layer) else None
        if masked_input:
            # A Reshape to the same shape has no mask.
            features = keras.tree.flatten(layer.input)[0].shape[2:]
            nodes.append(Node(f"{layer.name}.unmasked", reference.Reshape((-1, *features)), reads[:1]))
            reads = (nodes[-1].name, *reads[1:])
        added, ends_of_layer = ([], [reads[0]]) if is_passed_over(layer) else _read_layer(layer, reads, inputs)
        nodes += added
        if masked_input and layer.return_sequences:
            # Keras hands the mask on all the same.
            nodes.append(Node(f"{layer.name}.mask", reference.TakeMask(), (ends_of_layer[0], masked_input)))
            ends_of_layer[0] = nodes[-1].name
        source |= {(layer.name, i): end for i, end in enumerate(ends_of_layer)}
    ends = read_outputs(model, source, output_names)
    if given := [name for name, entry in inputs.items() if entry.name in ends.values()]:
        raise unchanged(model, given[0])
    nodes = _without_unread(nodes, ends.values())
    if not any(isinstance(node.layer, reference.Recurrent) for node in nodes):
        raise ModelError(
            f"model {model.name}: it has no recurrent layer, and rnnx exports recurrent networks; Keras itself exports "
            'it: model.export("model.onnx", format="onnx")'
        )
    by_name = {node.name: node for node in nodes}
    for name in ends.values():
        _require_choice(by_name[name])
    if list(ends) == [OUTPUT_NAME] and by_name[ends[OUTPUT_NAME]].head_kind == "values":
        ends = {VALUES_NAME: ends[OUTPUT_NAME]}
    read = {name for node in nodes for name in node.inputs}
    sized = [with_size(entry, nodes) for entry in inputs.values()]
    if unread := [entry.name for entry in sized if entry.name not in read]:
        raise ModelError(f"model {model.name}: no layer reads its input {unread[0]}; build it without this input")
    if list(ends) == [OUTPUT_NAME] and ends[OUTPUT_NAME] == nodes[-1].name:
        ends = {}
    integers = [tensor.name for tensor in model.inputs if "int" in tensor.dtype]
    whole = tuple(inputs[name].name for name in integers if inputs[name].kind == "numbers")
    network = Network(nodes, tuple(sized), ends, whole)
    return _with_last_states(network)


def _without_mask(layer: Any, reads: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Takes the mask that operations compute for a layer out of the nodes that it reads; returns both.

    Raises:
        ModelError: If rounding could decide what the mask is.
    """
    tensors = keras.tree.flatten(layer.input)
    (place,) = (i for i, tensor in enumerate(tensors) if tensor.dtype == "bool")
    if not is_exact(tensors[place]):
        raise refusal(
            layer,
            "has a mask of computed numbers, where rounding could decide; compute it from inputs of the model by "
            "comparisons",
        )
    return (*reads[:place], *reads[place + 1 :]), reads[place]


def _with_last_states(network: Network) -> Network:
    """Takes last states from the recurrence itself where its output at the last position may be zero.

    The output of a layer with zero_output_for_mask, which Bidirectional sets, is zero at masked positions.
    """
    taken = {name for node in network.nodes if isinstance(node.layer, reference.LastPosition) for name in node.inputs}
    zeroed = {name for name, layer in network.recurrent_nodes.items() if layer.zero_output_for_mask} & taken
    if not zeroed:
        return network
    tensors = network.forward(zeros(network, _ANY_TIME))
    masked = {n.name for n in network.nodes if n.name in zeroed and tensors[n.inputs[0]].mask is not None}
    nodes = [
        Node(node.name, reference.Concatenate(), (last_state_of(node.inputs[0]),))
        if isinstance(node.layer, reference.LastPosition) and node.inputs[0] in masked
        else node
        for node in network.nodes
    ]
    return dataclasses.replace(network, nodes=nodes)


def _without_unread(nodes: Sequence[Node], ends: Iterable[str]) -> list[Node]:
    """Removes the nodes that no output depends on: the unread outputs of layers that have several."""
    read, kept = set(ends), []
    for node in reversed(nodes):
        if read & {node.name, last_state_of(node.name), cell_state_of(node.name)}:
            read.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _require_choice(node: Node) -> None:
    layer = node.layer
    if isinstance(layer, reference.Dense) and layer.activation == "softmax" and layer.kernel.shape[1] == 1:
        raise ModelError(
            f"layer {node.name} is a softmax over a single unit, which is always 1; use a sigmoid instead; "
            "nothing was exported"
        )


def _read_layer(layer: Any, inputs: tuple[str, ...], ports: Mapping[str, Input]) -> tuple[list[Node], list[str]]:
    """Returns the nodes of a layer or an operation, and the node of each of its outputs."""
    if is_operation(layer):
        return _read_operation(layer, inputs)
    if layer.dtype_policy.name != "float32":
        raise refusal(layer, f"computes in {layer.dtype_policy.name}; only float32 is supported")
    # The exact type, because a subclass may compute anything.
    if type(layer) in RECURRENT:
        return read_recurrence(layer, inputs)
    if type(layer) is layers.Bidirectional:
        return read_bidirectional(layer, inputs)
    if type(layer) in ATTENTIONS:
        return read_attention(layer, inputs, ports)
    if type(layer) is layers.Softmax:
        return [Node(layer.name, read_softmax(layer, inputs), inputs)], [layer.name]
    if type(layer) is layers.Masking:
        return [Node(layer.name, read_masking(layer), inputs)], [layer.name]
    if type(layer) in ENCODINGS:
        return read_encoding(layer, inputs), [layer.name]
    if type(layer) in SEPARABLE:
        return read_separable(layer, inputs), [layer.name]
    if type(layer) in (Fold, Unfold):
        moved = reference.FoldTime() if type(layer) is Fold else reference.UnfoldTime()
        return [Node(layer.name, moved, inputs)], [layer.name]
    return [Node(layer.name, read_layer(layer), inputs)], [layer.name]


def _read_operation(operation: Any, inputs: tuple[str, ...]) -> tuple[list[Node], list[str]]:
    nodes: list[Node] = []
    ends = []
    for i, reading in enumerate(read_operation(operation)):
        name, reads = f"{operation.name}.{i}" if i else operation.name, inputs
        parts = reading.layers if isinstance(reading, Chain) else (reading,)
        for k, part in enumerate(parts, start=1):
            nodes.append(Node(name if k == len(parts) else f"{name}.part{k}", part, reads))
            reads = (nodes[-1].name,)
        ends.append(name)
    return nodes, ends
