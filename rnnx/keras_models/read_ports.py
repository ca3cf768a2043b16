"""Reads the inputs, the outputs and the wiring of a Keras model for its reference network.

Imports Keras.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import keras
from keras import layers

from rnnx import reference
from rnnx.bundle.config import MAX_SIZE
from rnnx.errors import ModelError
from rnnx.keras_models.folding import Fold, Unfold
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import is_operation, masks_read, operations_of_masks, outputs_of
from rnnx.keras_models.read_layers import is_passed_over
from rnnx.reference import INPUT_NAME, NUMBERS_NAME, OUTPUT_NAME, Input, InputKind, Node

# An output of a layer, as the name of the layer and the index of the output; or an input of the model, with index 0.
Port: TypeAlias = tuple[str, int]


def read_inputs(model: keras.Model) -> dict[str, Input]:
    """Reads the inputs, by their Keras names. A single input is renamed to `ids` or `x`; several keep their names."""
    found = {}
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        kind = _kind_of(model, tensor)
        if not shape:
            raise ModelError(
                f"model {model.name}: its input {tensor.name} {tensor.shape} is a single number of each row, without "
                "an axis; make it keras.Input((1,))"
            )
        if any(size is None for size in shape[1:]):
            raise ModelError(
                f"model {model.name}: its input {tensor.name} {tensor.shape} has an open axis besides the batch and "
                "the time; build the model with a fixed size for it, and copy the weights with set_weights"
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


def _kind_of(model: keras.Model, tensor: Any) -> InputKind:
    if tensor.dtype == "bool":
        return "mask"
    return "ids" if _is_looked_up(model, tensor) else "numbers"


def _is_looked_up(model: keras.Model, tensor: Any) -> bool:
    if isinstance(model, keras.Sequential):
        return isinstance(next(iter(model.layers), None), layers.Embedding)
    readers = [
        layer
        for layer in model.layers
        if not isinstance(layer, layers.InputLayer | Unfold)
        and any(tensor is read for read in keras.tree.flatten(layer.input))
    ]
    # Ids may be folded before they are looked up.
    folds = [layer for layer in readers if isinstance(layer, Fold)]
    after = [node.operation for fold in folds for node in fold._outbound_nodes]
    readers = [layer for layer in [*readers, *after] if isinstance(layer, layers.Layer) and not isinstance(layer, Fold)]
    tables = [layer for layer in readers if isinstance(layer, layers.Embedding)]
    others = [layer for layer in readers if layer not in tables and not is_passed_over(layer)]
    if tables and others:
        raise refusal(
            others[0],
            f"reads {tensor.name} as numbers, and an Embedding looks it up; make two inputs of it",
        )
    return bool(tables)


def with_size(entry: Input, nodes: list[Node]) -> Input:
    """Sets the size of an input of ids: the number of rows of the smallest Embedding that reads it."""
    names = {entry.name, *(node.name for node in nodes if _folds(node) and entry.name in node.inputs)}
    tables = [node.layer for node in nodes if names & set(node.inputs) and isinstance(node.layer, reference.Embedding)]
    return dataclasses.replace(entry, size=min((len(layer.table) for layer in tables), default=0))


def _folds(node: Node) -> bool:
    return isinstance(node.layer, reference.FoldTime)


def read_outputs(model: keras.Model, source: Mapping[Port, str], names: Sequence[str] | None) -> dict[str, str]:
    """Returns the node of each output by name.

    A single output is `probs`. Several have the given names, or else the names of their layers, and the further outputs
    of a layer a number.
    """
    if isinstance(model, keras.Sequential):
        return {OUTPUT_NAME: source[model.layers[-1].name, 0]}
    working = _working(model)
    owner = _owners(working)
    for part in working:
        if any(len(tensor.shape) < 2 and any(tensor is end for end in model.outputs) for tensor in outputs_of(part)):
            raise refusal(part, "gives a single number of each row, without an axis; keep an axis, as x[:, None] does")
    for tensor in model.outputs:
        if id(tensor) in owner:
            continue
        if any(tensor is given for given in model.inputs):
            raise unchanged(model, tensor.name)
        if tensor.dtype == "bool":
            raise ModelError(
                f"model {model.name}: its output {tensor._keras_history.operation.name} is of truth values; make "
                "numbers of them with keras.ops.cast, or leave it out"
            )
        raise ModelError(
            f"model {model.name}: an output should come from one of its layers, and this layer should be used once"
        )
    ports = [owner[id(tensor)] for tensor in model.outputs]
    if len(set(ports)) < len(ports):
        raise ModelError(f"model {model.name}: two of its outputs are the same tensor; put it out once")
    if len(ports) == 1:
        return {OUTPUT_NAME: source[ports[0]]}
    names = names or [f"{name}_{i}" if i else name for name, i in ports]
    return dict(zip(names, (source[port] for port in ports), strict=True))


def unchanged(model: keras.Model, name: str) -> ModelError:
    """Returns the error for an output that is an input of the model."""
    return ModelError(f"model {model.name}: an output is its input {name}, which no layer changes; leave it out")


def _working(model: keras.Model) -> list[Any]:
    """Returns the layers of a model, and the operations between them that compute no masks."""
    is_chain = isinstance(model, keras.Sequential)  # which has no operations, and layers that were called twice
    parts = model.layers if is_chain else model.operations
    of_masks = set() if is_chain else operations_of_masks(parts)
    return [part for part in parts if not isinstance(part, layers.InputLayer) and id(part) not in of_masks]


def _owners(working: Iterable[Any]) -> dict[int, Port]:
    """Returns the layer and the index of each output tensor, by id. A tensor has one owner: a layer is called once."""
    return {
        id(tensor): (layer.name, i) for layer in working for i, tensor in enumerate(keras.tree.flatten(layer.output))
    }


def read_wiring(model: keras.Model, inputs: Mapping[str, Input]) -> Iterator[tuple[Any, tuple[Port, ...]]]:
    """Yields each layer with the outputs of layers, or inputs of the model, that it reads."""
    working = _working(model)
    if isinstance(model, keras.Sequential):
        # A loaded Sequential has called its layers twice, so `layer.input` is not usable. Their order is enough.
        before = next(iter(inputs.values())).name
        for layer in working:
            yield layer, ((before, 0),)
            before = layer.name
        return
    owner = {id(tensor): (inputs[tensor.name].name, 0) for tensor in model.inputs} | _owners(working)
    for layer in working:
        # Keras lists the mask of a layer as a further input, of dtype bool. `find_explicit_mask` handles those not
        # propagated.
        tensors = keras.tree.flatten(layer.input)
        if not is_operation(layer):
            read = {id(tensor) for tensor in masks_read(layer, working)} & owner.keys()
            tensors = [tensor for tensor in tensors if tensor.dtype != "bool" or id(tensor) in read]
        if not tensors:
            raise refusal(layer, "computes with truth values; make numbers of them with keras.ops.cast first")
        if any(id(tensor) not in owner for tensor in tensors):
            raise refusal(layer, "is used more than once, or reads a tensor from outside the model")
        yield layer, tuple(owner[id(tensor)] for tensor in tensors)
