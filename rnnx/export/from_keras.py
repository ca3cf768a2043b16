"""A Keras model to the reference network: the layers by Keras's own names and weights, refused where not modelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.export.from_keras_layers import float64, is_passed_over, read_activation, read_layer, refusal, require
from rnnx.reference import INPUT_NAME, Network, Node

_RECURRENT_ACTIVATIONS = ("tanh", "relu", "sigmoid")
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
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(
            f"model {model.name}: {len(model.inputs)} inputs and {len(model.outputs)} outputs; one each is modelled"
        )
    nodes: list[Node] = []
    # The node whose output a layer puts out, by the layer's name: its own, or the one that it passes on.
    source: dict[str, str] = {}
    last = INPUT_NAME
    for layer, readers in _wiring(model):
        inputs = tuple(source.get(name, INPUT_NAME) for name in readers)
        if is_passed_over(layer):
            last = inputs[0]
        else:
            nodes += _read_layer(layer, inputs)
            last = nodes[-1].name
        source[layer.name] = last
    if not any(isinstance(node.layer, reference.SimpleRNN) for node in nodes):
        raise ModelError(f"model {model.name}: there is no recurrent layer in it")
    if last != nodes[-1].name:
        raise ModelError(f"model {model.name}: its last layer has no effect on its output")
    return Network(nodes)


def _wiring(model: keras.Model) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """Each layer with the names of the layers that it reads, inputs left out of the first and named in the second."""
    working = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
    if isinstance(model, keras.Sequential):
        # A Sequential that was loaded has called its layers twice; its order says all.
        before = INPUT_NAME
        for layer in working:
            yield layer, (before,)
            before = layer.name
        return
    # Each layer is called once, so that its output has one owner.
    owner = {id(tensor): INPUT_NAME for tensor in model.inputs} | {id(layer.output): layer.name for layer in working}
    for layer in working:
        # Keras lists a mask as one more input, boolean. Here it travels with the values (a mask that somebody made
        # himself would be missed, and the proof would say so).
        tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
        if any(id(tensor) not in owner for tensor in tensors):
            raise refusal(layer, "is used more than once, or reads something outside the model")
        yield layer, tuple(owner[id(tensor)] for tensor in tensors)
    if owner.get(id(model.outputs[0])) != working[-1].name:
        raise ModelError(f"model {model.name}: its output is not that of its last layer, used once")


def _read_layer(layer: Any, inputs: tuple[str, ...]) -> Iterator[Node]:
    if layer.dtype_policy.name != "float32":
        raise refusal(layer, f"computes in {layer.dtype_policy.name}; only float32 is modelled")
    # `type is`: a subclass may compute anything.
    if type(layer) is layers.SimpleRNN:
        yield Node(layer.name, _read_simple_rnn(layer), inputs)
    elif type(layer) is layers.Bidirectional:
        yield from _read_bidirectional(layer, inputs)
    else:
        yield Node(layer.name, read_layer(layer), inputs)


def _read_simple_rnn(layer: Any) -> reference.SimpleRNN:
    require(layer, layer.get_config(), stateful=False, return_state=False, unroll=False)
    cell = layer.cell
    if (activation := read_activation(layer)) not in _RECURRENT_ACTIVATIONS:
        raise refusal(layer, f"steps by {activation}; modelled are {', '.join(_RECURRENT_ACTIVATIONS)}")
    return reference.SimpleRNN(
        kernel=float64(cell.kernel),
        recurrent_kernel=float64(cell.recurrent_kernel),
        bias=float64(cell.bias) if cell.use_bias else np.zeros(cell.units),
        activation=activation,
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
    )


def _read_bidirectional(layer: Any, inputs: tuple[str, ...]) -> Iterator[Node]:
    """Spells a Bidirectional out: two recurrences, the second one turned around again, side by side."""
    if layer.merge_mode not in _MERGES:
        raise refusal(layer, f"has merge_mode={layer.merge_mode!r}; modelled are {', '.join(_MERGES)}")
    halves = [layer.forward_layer, layer.backward_layer]
    for half in halves:
        if type(half) is not layers.SimpleRNN:
            raise refusal(layer, f"wraps a {type(half).__name__}; only SimpleRNN is modelled")
    ends = []
    for half in halves:
        name = f"{layer.name}.{'backward' if half.go_backwards else 'forward'}"
        yield Node(name, _read_simple_rnn(half), inputs)
        if half is layer.backward_layer and layer.return_sequences:
            yield Node(f"{name}.reverse", reference.Reverse(), (name,))
            name = f"{name}.reverse"
        ends.append(name)
    yield Node(layer.name, _MERGES[layer.merge_mode], tuple(ends))
