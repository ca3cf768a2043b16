"""Computes dz / d(each input) from dz / d(output), for each layer that is not recurrent.

Where a layer has no derivative, as a maximum of equal numbers, the derivative from one side is used.

Source: the chain rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, assert_never

import numpy as np

from rnnx import reference
from rnnx.reference import ActivationName, Array, Tensor
from rnnx.reference.activations import ACTIVATIONS

# The layers that move, remove and pool positions.
_Arranging: TypeAlias = (
    reference.Reverse | reference.LastPosition | reference.Masking | reference.ZeroPadding1D | reference.RepeatVector
    | reference.Reshape | reference.GlobalMaxPooling1D | reference.GlobalAveragePooling1D | reference.Pooling1D
)  # fmt: skip


def pass_back(layer: reference.Layer, inputs: Sequence[Tensor], output: Tensor, gradient: Array) -> list[Array]:
    """Carries dz / d(output) back to each input.

    Args:
        layer: The layer.
        inputs: Its inputs.
        output: Its output.
        gradient: dz / d(output), in the shape of the output.

    Returns:
        dz / d(input) for each input, in the shape of the input.

    Raises:
        TypeError: For a recurrent layer; `rnnx.rounding.through_time` has those.
    """
    x = inputs[0].values
    match layer:
        case reference.Embedding():
            return [np.zeros_like(x)]
        case reference.TakeMask():
            return [gradient, np.zeros_like(inputs[1].values)]  # a small change of a number does not change the mask
        case reference.Concatenate():
            ends = np.cumsum([i.values.shape[-1] for i in inputs])[:-1]
            return list(np.split(gradient, ends, axis=-1))
        case reference.Merge():
            return _pass_merge(layer, np.stack([i.values for i in inputs]), gradient)
        case reference.Dense():
            logits = layer.logits(x)
            return [_pass_activation(layer.activation, logits, output.values, gradient) @ layer.kernel.T]
        case reference.Activation():
            return [_pass_activation(layer.activation, x, output.values, gradient)]
        case reference.LeakyReLU():
            return [gradient * np.where(x > 0, 1.0, layer.negative_slope)]
        case reference.ELU():
            return [gradient * np.where(x > 0, 1.0, layer.alpha * np.exp(np.minimum(x, 0.0)))]
        case reference.Rescaling() | reference.BatchNormalization():
            return [gradient * layer.scale]
        case reference.LayerNormalization():
            return [_pass_layer_normalization(layer, x, gradient)]
        case (
            reference.Reverse() | reference.LastPosition() | reference.Masking() | reference.ZeroPadding1D()
            | reference.RepeatVector() | reference.Reshape() | reference.GlobalMaxPooling1D()
            | reference.GlobalAveragePooling1D() | reference.Pooling1D()
        ):  # fmt: skip
            return [_pass_arranged(layer, inputs[0], output, gradient)]
        case reference.Recurrent():
            raise TypeError(f"no derivative of {type(layer).__name__} here: it depends on the states")
    assert_never(layer)


def _pass_arranged(layer: _Arranging, x: Tensor, output: Tensor, gradient: Array) -> Array:
    match layer:
        case reference.Reverse():
            return gradient[:, ::-1]
        case reference.LastPosition():
            back = np.zeros_like(x.values)
            back[:, -1] = gradient
            return back
        case reference.Masking():
            assert output.mask is not None  # noqa: S101  # a Masking layer always makes one
            return np.where(output.mask[..., None], gradient, 0.0)
        case reference.ZeroPadding1D():
            return gradient[:, layer.before : layer.before + x.values.shape[1]]
        case reference.RepeatVector():
            return np.asarray(gradient.sum(axis=1))
        case reference.Reshape():
            return gradient.reshape(x.values.shape)
        case reference.GlobalMaxPooling1D():
            # Among equal numbers, the first one is the maximum.
            is_first = np.arange(x.values.shape[1])[None, :, None] == x.values.argmax(axis=1)[:, None]
            return np.where(is_first, gradient if layer.keepdims else gradient[:, None], 0.0)
        case reference.GlobalAveragePooling1D():
            weights = np.ones((*x.values.shape[:2], 1)) if x.mask is None else x.mask[:, :, None].astype(np.float64)
            gradient = gradient if layer.keepdims else gradient[:, None]
            return np.asarray(gradient * weights / weights.sum(axis=1, keepdims=True))
        case reference.Pooling1D():
            return _pass_pooling(layer, x.values, gradient)
    assert_never(layer)


def _pass_pooling(layer: reference.Pooling1D, x: Array, gradient: Array) -> Array:
    windows = layer.windows(x.shape[1])
    is_there = windows.is_there[None, :, :, None]
    if layer.operation == "maximum":
        parts = np.where(is_there, x[:, windows.index], -np.inf)
        weights = (np.arange(layer.size)[:, None] == parts.argmax(axis=2)[:, :, None]).astype(np.float64)
    else:
        weights = np.broadcast_to(is_there / is_there.sum(axis=2, keepdims=True), (len(x), *windows.index.shape, 1))
    passed = np.zeros_like(x)
    np.add.at(passed.swapaxes(0, 1), windows.index, (weights * gradient[:, :, None]).transpose(1, 2, 0, 3))
    return passed


def _pass_merge(layer: reference.Merge, stacked: Array, gradient: Array) -> list[Array]:
    count = len(stacked)
    match layer.operation:
        case "add":
            return [gradient] * count
        case "subtract":
            return [gradient, -gradient]
        case "average":
            return [gradient / count] * count
        case "multiply":
            return [gradient * np.delete(stacked, i, axis=0).prod(axis=0) for i in range(count)]
        case "maximum":
            chosen = stacked.argmax(axis=0)
        case "minimum":
            chosen = stacked.argmin(axis=0)
        case _:
            assert_never(layer.operation)
    return [np.where(chosen == i, gradient, 0.0) for i in range(count)]


def _pass_activation(name: ActivationName, x: Array, output: Array, gradient: Array) -> Array:
    if name == "softmax":
        return np.asarray(output * (gradient - (gradient * output).sum(axis=-1, keepdims=True)))
    return gradient * ACTIVATIONS[name].derivative(x)


def _pass_layer_normalization(layer: reference.LayerNormalization, x: Array, gradient: Array) -> Array:
    """Returns r (g - mean(g) - n mean(g n)) with the normalized numbers n and g = gradient times gamma."""
    normalized, inverse = layer.normalized(x)
    g = gradient if layer.gamma is None else gradient * layer.gamma
    mean = g.mean(axis=-1, keepdims=True)
    return np.asarray(inverse * (g - mean - normalized * (g * normalized).mean(axis=-1, keepdims=True)))
