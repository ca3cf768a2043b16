"""Turns the calls of layers in a model of Keras 2 into those of Keras 3. Imports the standard library only."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from rnnx.errors import ModelError

Config = dict[str, Any]


def convert_call(class_name: str, node: list[Any]) -> Config:
    """Converts a call of a layer: a list of tensors in Keras 2, arguments and arguments by name in Keras 3.

    Args:
        class_name: The class of the layer.
        node: The tensors, each as `["lstm", 0, 1, {}]`: the layer that made it, the number of its call, the index of
            its output, and further arguments.

    Raises:
        ModelError: If the layer is called with something else.
    """
    if not all(isinstance(entry, list) and len(entry) in (3, 4) for entry in node):
        raise ModelError(f"its config calls a {class_name!s:.60} with something else than tensors")
    tensors = [tensor_of(entry) for entry in node]
    arguments = {key: value for entry in node if len(entry) == 4 for key, value in dict(entry[3] or {}).items()}
    kwargs = {key: _tensors(value) for key, value in arguments.items()}
    if class_name in ("RNN", "SimpleRNN", "LSTM", "GRU", "Bidirectional", "ConvLSTM2D") and len(tensors) > 1:
        # Keras 2 appends the initial states to the inputs, and a Bidirectional then says that it has no constants.
        if kwargs.get("constants", ()) is None:
            del kwargs["constants"]
        kwargs["initial_state"], tensors = (tensors[1:] if len(tensors) > 2 else tensors[1]), tensors[:1]
    return {"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": kwargs}


def _tensors(value: Any) -> Any:
    """Converts the tensors among the arguments of a call, `["lstm", 0, 1]`."""
    if isinstance(value, list):
        is_tensor = len(value) == 3 and isinstance(value[0], str) and all(isinstance(i, int) for i in value[1:])
        return tensor_of(value) if is_tensor else [_tensors(item) for item in value]
    return value


def tensor_of(entry: list[Any]) -> Config:
    """Returns a tensor, `["lstm", 0, 1]`, as Keras 3 writes it.

    Keras finds it by its history, and does not read its shape.
    """
    return {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None], "dtype": "float32", "keras_history": list(entry[:3])},
    }


def renumber(model: Config, layers: list[Config], models: Container[str]) -> None:
    """Numbers the calls of models in a model as Keras 3 does, and turns lists of one input or output into that.

    In Keras 2 the first call of a model as a layer has number 1. In Keras 3 it has number 0 in the inputs of layers;
    in the outputs of the whole, the call of a Sequential has 0 and that of another model 1.

    Args:
        model: The config of the model without its layers; changed in place.
        layers: Its converted layers; changed in place.
        models: The classes of models.
    """
    kinds = {layer["config"].get("name"): layer["class_name"] for layer in layers}
    for layer in layers:
        for call in layer.get("inbound_nodes", []):
            for tensor in _find_tensors(call):
                name, number, index = tensor["config"]["keras_history"]
                if kinds.get(name) in models:
                    tensor["config"]["keras_history"] = [name, number - 1, index]
    for key in ("input_layers", "output_layers"):
        ends = model.get(key)
        if not isinstance(ends, list):
            continue
        if ends and isinstance(ends[0], str):
            ends = [ends]
        ends = [[end[0], end[1] - 1, *end[2:]] if kinds.get(end[0]) == "Sequential" else end for end in ends]
        model[key] = ends[0] if len(ends) == 1 else ends


def _find_tensors(value: Any) -> Iterator[Config]:
    if isinstance(value, dict) and value.get("class_name") == "__keras_tensor__":
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _find_tensors(item)
