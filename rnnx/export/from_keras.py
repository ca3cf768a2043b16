"""A Keras model to the reference network: the layers by Keras's own names and weights, refused where not modelled."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from rnnx import cells, reference
from rnnx.errors import ModelError
from rnnx.export.explicit_masks import find_explicit_mask
from rnnx.export.from_keras_layers import float64, is_passed_over, read_layer, refusal, require
from rnnx.reference import INPUT_NAME, NUMBERS_NAME, OUTPUT_NAME, VALUES_NAME, Input, Network, Node

# Those that ONNX's recurrent operators have.
_RECURRENT_ACTIVATIONS = (
    "linear", "tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu"
)  # fmt: skip
_RECURRENT: dict[type, Callable[..., reference.Recurrent]] = {
    layers.SimpleRNN: reference.SimpleRNN,
    layers.LSTM: cells.LSTM,
    layers.GRU: cells.GRU,
}
# What a Bidirectional does with its two halves.
_MERGES: Mapping[str, reference.Layer] = {
    "concat": reference.Concatenate(),
    "sum": reference.Merge("add"),
    "mul": reference.Merge("multiply"),
    "ave": reference.Merge("average"),
}


def load_keras(path: Path) -> keras.Model:
    """Loads a `.keras` file in safe mode.

    Raises:
        ModelError: If Keras refuses it.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the broken part raised
        raise ModelError(f"{path.name}: Keras cannot load it: {' '.join(str(error).split())[:300]}") from error


def read_network(model: keras.Model) -> Network:
    """Builds the reference network of a Keras model.

    Raises:
        ModelError: For a layer, or a setting of a layer, that the reference does not model; names it and the reason.
    """
    inputs = _read_inputs(model)
    nodes: list[Node] = []
    # The node whose output a layer puts out, by the layer's name: its own, or the one that it passes on.
    source = {one.name: one.name for one in inputs.values()}
    for layer, readers in _wiring(model, inputs):
        reads = tuple(source[name] for name in readers)
        if masked := find_explicit_mask(model, layer):
            nodes.append(Node(f"{layer.name}.mask", reference.TakeMask(), (*reads, masked)))
            reads = (nodes[-1].name,)
        if is_passed_over(layer):
            source[layer.name] = reads[0]
        else:
            nodes += _read_layer(layer, reads)
            source[layer.name] = nodes[-1].name
    if not any(isinstance(node.layer, reference.Recurrent) for node in nodes):
        raise ModelError(f"model {model.name}: there is no recurrent layer in it")
    ends = _read_outputs(model, source)
    by_name = {node.name: node for node in nodes}
    if list(ends) == [OUTPUT_NAME] and not _gives_probabilities(by_name[ends[OUTPUT_NAME]]):
        ends = {VALUES_NAME: ends[OUTPUT_NAME]}
    read = {name for node in nodes for name in node.inputs}
    if unread := [node.name for node in nodes if node.name not in read | set(ends.values())]:
        raise ModelError(f"model {model.name}: layer {unread[0]} has no effect on its output")
    sized = [_with_size(one, nodes) for one in inputs.values()]
    if unread := [one.name for one in sized if one.name not in read]:
        raise ModelError(f"model {model.name}: its input {unread[0]} is read by no layer")
    if list(ends) == [OUTPUT_NAME] and ends[OUTPUT_NAME] == nodes[-1].name:
        ends = {}
    return Network(nodes, tuple(sized), ends)


def recurrent_layers(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Keras's own recurrent layers, the halves of a Bidirectional apart, by the names of their nodes in the network."""
    for layer in model.layers:
        if type(layer) in _RECURRENT:
            yield layer.name, layer
        elif isinstance(layer, layers.Bidirectional):
            for half in (layer.forward_layer, layer.backward_layer):
                yield _half_name(layer, half), half


def _half_name(layer: Any, half: Any) -> str:
    return f"{layer.name}.{'backward' if half.go_backwards else 'forward'}"


def _gives_probabilities(node: Node) -> bool:
    return isinstance(node.layer, reference.Dense) and node.layer.activation in ("sigmoid", "softmax")


def _read_inputs(model: keras.Model) -> dict[str, Input]:
    """By Keras's own name. A single one is `ids` or `x`; several keep their names."""
    found = {}
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        kind: Literal["ids", "numbers"] = "ids" if _is_looked_up(model, tensor) else "numbers"
        if not shape or any(size is None for size in shape[1:]):
            raise ModelError(
                f"model {model.name}: its input {tensor.name} {tensor.shape} is no sequence: (batch, time, ...)"
            )
        name = tensor.name if len(model.inputs) > 1 else INPUT_NAME if kind == "ids" else NUMBERS_NAME
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise ModelError(f"model {model.name}: its input should have a plain name, not {name!r:.60}")
        found[tensor.name] = Input(name, kind, shape)
    return found


def _is_looked_up(model: keras.Model, tensor: Any) -> bool:
    if isinstance(model, keras.Sequential):
        return isinstance(next(iter(model.layers), None), layers.Embedding)
    readers = [
        layer
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer) and any(tensor is one for one in keras.tree.flatten(layer.input))
    ]
    if len({isinstance(layer, layers.Embedding) for layer in readers}) > 1:
        raise refusal(readers[0], f"reads {tensor.name} beside an Embedding that looks it up")
    return bool(readers) and isinstance(readers[0], layers.Embedding)


def _with_size(one: Input, nodes: list[Node]) -> Input:
    """Ids run up to the smallest table that they are looked up in."""
    tables = [node.layer for node in nodes if one.name in node.inputs and isinstance(node.layer, reference.Embedding)]
    return dataclasses.replace(one, size=min((len(layer.table) for layer in tables), default=0))


def _read_outputs(model: keras.Model, source: Mapping[str, str]) -> dict[str, str]:
    """Output name to node: `probs` for a single one, else the names of their layers."""
    if isinstance(model, keras.Sequential):
        return {OUTPUT_NAME: source[model.layers[-1].name]}
    layer_of = {id(layer.output): layer.name for layer in model.layers if not isinstance(layer.output, list | tuple)}
    if any(id(tensor) not in layer_of for tensor in model.outputs):
        raise ModelError(f"model {model.name}: an output of it is not that of one of its layers, used once")
    names = [layer_of[id(tensor)] for tensor in model.outputs]
    if len(set(names)) < len(names):
        raise ModelError(f"model {model.name}: two of its outputs are the same")
    return {OUTPUT_NAME: source[names[0]]} if len(names) == 1 else {name: source[name] for name in names}


def _wiring(model: keras.Model, inputs: Mapping[str, Input]) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each layer with the names of the layers, or inputs, that it reads."""
    working = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    if isinstance(model, keras.Sequential):
        # A Sequential that was loaded has called its layers twice; its order says all.
        before = next(iter(inputs.values())).name
        for layer in working:
            yield layer, (before,)
            before = layer.name
        return
    # Each layer is called once, so that its output has one owner.
    owner = {id(tensor): inputs[tensor.name].name for tensor in model.inputs}
    owner |= {id(layer.output): layer.name for layer in working if not isinstance(layer.output, list | tuple)}
    for layer in working:
        # Keras lists a mask as one more input, boolean. It travels with the values, or `find_explicit_mask` says so.
        tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
        if any(id(tensor) not in owner for tensor in tensors):
            raise refusal(layer, "is used more than once, or reads something outside the model")
        yield layer, tuple(owner[id(tensor)] for tensor in tensors)


def _read_layer(layer: Any, inputs: tuple[str, ...]) -> Iterator[Node]:
    if layer.dtype_policy.name != "float32":
        raise refusal(layer, f"computes in {layer.dtype_policy.name}; only float32 is modelled")
    # `type is`: a subclass may compute anything.
    if type(layer) in _RECURRENT:
        if len(inputs) != 1:
            raise refusal(layer, "is given its first state; only one that starts at zero is modelled")
        yield Node(layer.name, _read_recurrent(layer), inputs)
    elif type(layer) is layers.Bidirectional:
        yield from _read_bidirectional(layer, inputs)
    else:
        yield Node(layer.name, read_layer(layer), inputs)


def _read_recurrent(layer: Any) -> reference.Recurrent:
    require(layer, layer.get_config(), stateful=False, return_state=False, unroll=False)
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


def _read_bidirectional(layer: Any, inputs: tuple[str, ...]) -> Iterator[Node]:
    """Spells a Bidirectional out: two recurrences, the second one turned around again, side by side."""
    if layer.merge_mode not in _MERGES:
        raise refusal(layer, f"has merge_mode={layer.merge_mode!r}; modelled are {', '.join(_MERGES)}")
    halves = [layer.forward_layer, layer.backward_layer]
    for half in halves:
        if type(half) not in _RECURRENT:
            raise refusal(layer, f"wraps a {type(half).__name__}; modelled are SimpleRNN, LSTM and GRU")
    ends = []
    for half in halves:
        name = _half_name(layer, half)
        yield Node(name, _read_recurrent(half), inputs)
        if half is layer.backward_layer and layer.return_sequences:
            yield Node(f"{name}.reverse", reference.Reverse(), (name,))
            name = f"{name}.reverse"
        ends.append(name)
    yield Node(layer.name, _MERGES[layer.merge_mode], tuple(ends))


def _recurrent_activation(layer: Any, role: str) -> reference.ActivationName:
    name = keras.activations.serialize(getattr(layer, role))
    if name not in _RECURRENT_ACTIVATIONS:
        known = ", ".join(_RECURRENT_ACTIVATIONS)
        raise refusal(layer, f"steps by the {role.replace('_', ' ')} {name!r}; ONNX's operators have {known}")
    chosen: reference.ActivationName = name
    return chosen
