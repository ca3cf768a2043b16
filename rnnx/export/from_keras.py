"""A Keras model to the reference network: the layers by Keras's own names and weights, refused where not modelled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import cells, reference
from rnnx.errors import ModelError
from rnnx.reference import INPUT_NAME, Array, Network, Node

# These do nothing once training is over.
_PASSED_OVER = (layers.Dropout, layers.SpatialDropout1D, layers.GaussianNoise, layers.GaussianDropout)
_ACTIVATIONS = ("linear", "tanh", "relu", "sigmoid", "softmax")
# Those that ONNX's recurrent operators have.
_RECURRENT_ACTIVATIONS = (
    "linear", "tanh", "relu", "sigmoid", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu"
)  # fmt: skip
_RECURRENT: dict[type, Callable[..., reference.Recurrent]] = {
    layers.SimpleRNN: reference.SimpleRNN,
    layers.LSTM: cells.LSTM,
    layers.GRU: cells.GRU,
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
        if isinstance(layer, _PASSED_OVER):
            last = inputs[0]
        else:
            nodes += _read_layer(layer, inputs)
            last = nodes[-1].name
        source[layer.name] = last
    if not any(isinstance(node.layer, reference.Recurrent) for node in nodes):
        raise ModelError(f"model {model.name}: there is no recurrent layer in it")
    if last != nodes[-1].name:
        raise ModelError(f"model {model.name}: its last layer has no effect on its output")
    return Network(nodes)


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
            raise _refusal(layer, "is used more than once, or reads something outside the model")
        yield layer, tuple(owner[id(tensor)] for tensor in tensors)
    if owner.get(id(model.outputs[0])) != working[-1].name:
        raise ModelError(f"model {model.name}: its output is not that of its last layer, used once")


def _read_layer(layer: Any, inputs: tuple[str, ...]) -> Iterator[Node]:
    if layer.dtype_policy.name != "float32":
        raise _refusal(layer, f"computes in {layer.dtype_policy.name}; only float32 is modelled")
    config = layer.get_config()
    if config.get("lora_rank") is not None or getattr(layer, "quantization_mode", None):
        raise _refusal(layer, "is quantized or has LoRA weights")
    # `type is`: a subclass may compute anything.
    if type(layer) is layers.Embedding:
        yield Node(layer.name, reference.Embedding(_float64(layer.embeddings), layer.mask_zero), inputs)
    elif type(layer) in _RECURRENT:
        if len(inputs) != 1:
            raise _refusal(layer, "is given its first state; only one that starts at zero is modelled")
        yield Node(layer.name, _read_recurrent(layer), inputs)
    elif type(layer) is layers.Bidirectional:
        yield from _read_bidirectional(layer, inputs)
    elif type(layer) in (layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D):
        _require(layer, config, keepdims=False, data_format="channels_last")
        yield Node(layer.name, getattr(reference, type(layer).__name__)(), inputs)
    elif type(layer) is layers.Concatenate:
        if config["axis"] not in (-1, len(layer.output.shape) - 1):
            raise _refusal(layer, f"joins along axis {config['axis']}; only the last one is modelled")
        yield Node(layer.name, reference.Concatenate(), inputs)
    elif type(layer) is layers.Dense:
        bias = _float64(layer.bias) if layer.use_bias else np.zeros(layer.units)
        yield Node(layer.name, reference.Dense(_float64(layer.kernel), bias, _activation(layer)), inputs)
    else:
        raise _refusal(layer, "is of a kind that is not modelled")


def _read_recurrent(layer: Any) -> reference.Recurrent:
    _require(layer, layer.get_config(), stateful=False, return_state=False, unroll=False)
    kind, cell = _RECURRENT[type(layer)], layer.cell
    bias_shape = (2, cell.kernel.shape[1]) if getattr(cell, "reset_after", False) else cell.kernel.shape[1:]
    settings = {name: getattr(cell, name) for name in ("reset_after",) if hasattr(cell, name)}
    for name in ("activation", "recurrent_activation"):
        if not hasattr(cell, name):
            continue
        settings[name] = _activation(layer, name, _RECURRENT_ACTIVATIONS)
    return kind(
        kernel=_float64(cell.kernel),
        recurrent_kernel=_float64(cell.recurrent_kernel),
        bias=_float64(cell.bias) if cell.use_bias else np.zeros(bias_shape),
        return_sequences=layer.return_sequences,
        go_backwards=layer.go_backwards,
        zero_output_for_mask=layer.zero_output_for_mask,
        **settings,
    )


def _read_bidirectional(layer: Any, inputs: tuple[str, ...]) -> Iterator[Node]:
    """Spells a Bidirectional out: two recurrences, the second one turned around again, side by side."""
    _require(layer, layer.get_config(), merge_mode="concat")
    halves = [layer.forward_layer, layer.backward_layer]
    for half in halves:
        if type(half) not in _RECURRENT:
            raise _refusal(layer, f"wraps a {type(half).__name__}; modelled are SimpleRNN, LSTM and GRU")
    ends = []
    for half in halves:
        name = _half_name(layer, half)
        yield Node(name, _read_recurrent(half), inputs)
        if half is layer.backward_layer and layer.return_sequences:
            yield Node(f"{name}.reverse", reference.Reverse(), (name,))
            name = f"{name}.reverse"
        ends.append(name)
    yield Node(layer.name, reference.Concatenate(), tuple(ends))


def _activation(
    layer: Any, role: str = "activation", modelled: tuple[str, ...] = _ACTIVATIONS
) -> reference.ActivationName:
    name = keras.activations.serialize(getattr(layer, role))
    if name not in modelled:
        raise _refusal(layer, f"has the {role.replace('_', ' ')} {name!r}; modelled are {', '.join(modelled)}")
    chosen: reference.ActivationName = name
    return chosen


def _float64(variable: Any) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def _require(layer: Any, config: dict[str, Any], **settings: object) -> None:
    for name, value in settings.items():
        if config.get(name, value) != value:
            raise _refusal(layer, f"has {name}={config[name]!r}; only {value!r} is modelled")


def _refusal(layer: Any, reason: str) -> ModelError:
    return ModelError(f"layer {layer.name} ({type(layer).__name__}) {reason}; nothing was exported")
