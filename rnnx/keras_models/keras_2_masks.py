"""Makes a model of Keras 2, loaded into Keras 3, heed the masks that Keras 2 heeded, or refuses it. Imports Keras."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.keras_models.explicit_masks import is_same_mask

# Layers whose mask is made of the masks of their inputs.
_JOINING = (
    layers.Add, layers.Average, layers.Concatenate, layers.Dot, layers.Maximum, layers.Minimum, layers.Multiply,
    layers.Subtract,
)  # fmt: skip

# Those of them that compute other numbers in Keras 3 than in Keras 2 where the inputs are masked.
_OF_MASKED = (layers.Maximum, layers.Minimum, layers.Multiply)
# Layers that hand the mask on, and whose result at a position does not depend on other positions.
_PER_POSITION = (
    *_JOINING, layers.Activation, layers.BatchNormalization, layers.Dense, layers.Dropout, layers.LayerNormalization,
    layers.SpatialDropout1D, layers.TimeDistributed,
)  # fmt: skip
# Layers that do not read masked positions.
_HEEDS_MASK = (layers.RNN, layers.Bidirectional, layers.GlobalAveragePooling1D)
# Layers that hand on the mask of their input in Keras 3 only.
_HANDING_ON = (layers.Identity, layers.Normalization, layers.Rescaling)


def with_masks(model: keras.Model) -> keras.Model:
    """Returns a model whose layers with first states heed the mask of their input, as in Keras 2; Keras 3 drops it."""
    every = [layer for layer in model._flatten_layers(include_self=False) if _drops_mask(layer)]
    if not every:
        return model
    if inner := [layer for layer in every if layer not in model.layers]:
        raise _drops_within(inner[0])

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name in names and kwargs.get("mask") is None:
            kwargs["mask"] = getattr(args[0], "_keras_mask", None)
        return layer(*args, **kwargs)

    names = {layer.name for layer in every}
    cloned = keras.models.clone_model(model, call_function=call)
    for layer in model.layers:
        cloned.get_layer(layer.name).set_weights(layer.get_weights())
    return cloned


def _drops_within(layer: Any) -> ModelError:
    return ModelError(
        f"layer {layer.name} ({type(layer).__name__}), in a model within the model, is given first states and a masked "
        "input, of which Keras 2 heeds the mask and Keras 3 does not; build the model in Keras 3 without the inner "
        "model, and copy the weights"
    )


def _drops_mask(layer: Any) -> bool:
    """Whether a layer has a call with first states and a masked input, and without an explicit mask."""
    if not isinstance(layer, layers.RNN | layers.Bidirectional):
        return False
    calls = [node.input_tensors for node in layer._inbound_nodes]
    return any(
        getattr(x, "_keras_mask", None) is not None and others and all(tensor.dtype != "bool" for tensor in others)
        for x, *others in calls
    )


def require_masks(model: keras.Model) -> None:
    """Refuses a model of Keras 2 with masks that Keras 3 joins or reads otherwise, or does not hand on, or does.

    Models within the model are looked at as part of it, because they may be given masks, and may give them.
    """
    inner = [layer.layer for layer in model.layers if isinstance(layer, layers.TimeDistributed)]
    for part in inner:
        if isinstance(part, keras.Model):
            require_masks(part)
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        _require_masks(model.layers, model.outputs)
        return
    every: list[Any] = []
    inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in model.inputs]
    outputs = keras.tree.flatten(_run(model, inputs, every))
    if dropping := [layer for layer in every if _drops_mask(layer)]:
        raise _drops_within(dropping[0])
    _require_masks(every, outputs)


def _run(model: Any, inputs: Any, every: list[Any]) -> Any:
    """Calls copies of the layers of a model, and of the models in it, and adds them to `every`."""

    def copied(operation: Any) -> Any:
        if isinstance(operation, keras.Model):
            return lambda *args, **kwargs: _run(operation, args[0] if args else kwargs["inputs"], every)
        if isinstance(operation, layers.Layer):
            own = type(operation).from_config(operation.get_config())
        else:
            own = copy.copy(operation)
            own._inbound_nodes, own._outbound_nodes = [], []
        every.append(own)
        return own

    function = model._functional if isinstance(model, keras.Sequential) else model
    return function._run_through_graph(inputs, copied)


def _require_masks(every: Sequence[Any], outputs: Sequence[Any]) -> None:
    for layer in every:
        inner = layer.layer if isinstance(layer, layers.TimeDistributed) else None
        ends = inner.outputs if isinstance(inner, keras.Model) else []
        is_masking = isinstance(inner, layers.Masking) or getattr(inner, "mask_zero", False)
        if is_masking or any(_mask_of(tensor) is not None for tensor in ends):
            raise ModelError(
                f"layer {layer.name} (TimeDistributed) masks positions within a position, which Keras 2 tells the "
                "layers after it and Keras 3 does not; build the model in Keras 3, with one TimeDistributed of a model "
                "of these layers, and copy the weights"
            )
        if isinstance(layer, _HANDING_ON) and _gives_mask(layer):
            raise ModelError(
                f"layer {layer.name} ({type(layer).__name__}) is given a masked input, whose mask Keras 3 hands on to "
                "the layers after it and Keras 2 does not; build the model without that mask, and copy the weights"
            )
        if _weighs_masked(layer):
            raise ModelError(
                f"layer {layer.name} ({type(layer).__name__}) weighs positions by a mask, for which Keras 2 and Keras "
                "3 compute different weights where all are masked; build the model in Keras 3, and copy the weights"
            )
        if not isinstance(layer, _JOINING):
            continue
        for node in layer._inbound_nodes:
            masks = [_mask_of(tensor) for tensor in node.input_tensors]
            given = [mask for mask in masks if mask is not None]
            if given and (len(given) < len(masks) or not all(is_same_mask(given[0], mask) for mask in given)):
                raise ModelError(
                    f"layer {layer.name} ({type(layer).__name__}) joins inputs of different masks, for which Keras 2 "
                    "and Keras 3 compute different masks; build the model in Keras 3, and copy the weights"
                )
            if given and isinstance(layer, _OF_MASKED) and _shows_masked(outputs, layer):
                raise ModelError(
                    f"layer {layer.name} ({type(layer).__name__}) joins masked inputs, for which Keras 2 and Keras 3 "
                    "compute different numbers at masked positions, and a layer after it reads these; build the model "
                    "in Keras 3, and copy the weights"
                )


def _mask_of(tensor: Any) -> Any:
    return getattr(tensor, "_keras_mask", None)


def _gives_mask(layer: Any) -> bool:
    """Whether a layer after this one reads the mask that this one hands on."""
    for node in layer._outbound_nodes:
        reader = node.operation
        if not any(_mask_of(tensor) is not None for tensor in node.input_tensors):
            continue
        if isinstance(reader, _PER_POSITION) and not isinstance(reader, _JOINING):
            if _gives_mask(reader):
                return True
        elif getattr(reader, "supports_masking", False):
            return True
    return False


def _weighs_masked(layer: Any) -> bool:
    """Whether a layer has a Softmax with a mask, whose weights are 0 in Keras 3 where all is masked."""
    for node in layer._inbound_nodes:
        kwargs = node.arguments.kwargs
        is_masked = any(_mask_of(tensor) is not None for tensor in node.input_tensors)
        if isinstance(layer, layers.Softmax) and (is_masked or kwargs.get("mask") is not None):
            return True
        if isinstance(layer, layers.MultiHeadAttention):
            has_scores = kwargs.get("return_attention_scores") or len(node.input_tensors[0].shape) != 3
            if has_scores and (is_masked or kwargs.get("attention_mask") is not None):
                return True
    return False


def _shows_masked(outputs: Sequence[Any], layer: Any) -> bool:
    """Whether the numbers of a layer at masked positions are an output, or may be read."""
    if any(tensor is end for node in layer._inbound_nodes for tensor in node.output_tensors for end in outputs):
        return True
    for node in layer._outbound_nodes:
        reader = node.operation
        # A recurrence that is given first states has no mask.
        if isinstance(reader, _HEEDS_MASK) and all(tensor.dtype == "bool" for tensor in node.input_tensors[1:]):
            continue
        if not isinstance(reader, _PER_POSITION) or _shows_masked(outputs, reader):
            return True
    return False
