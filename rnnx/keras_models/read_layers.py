"""Turns the Keras layers that are not recurrent into layers of the reference, or refuses them with a reason.

`_READERS` has one entry for each class of layers that is read as one node with one output. Modules of their own read
the convolutions, merges, normalizations and poolings, and the layers that only move numbers. Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from string import ascii_letters
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.folding import is_per_position
from rnnx.keras_models.keras_2_activations import activation_name
from rnnx.keras_models.layer_settings import LayerReader, OpenShape, float64, read_activation, refusal
from rnnx.keras_models.read_convolutions import READERS_OF_CONVOLUTIONS
from rnnx.keras_models.read_merges import READERS_OF_MERGES
from rnnx.keras_models.read_normalizations import NORMALIZATIONS, read_normalization
from rnnx.keras_models.read_poolings import READERS_OF_POOLINGS
from rnnx.keras_models.read_reshapes import READERS_OF_RESHAPES

# These layers do nothing at inference.
_PASSED_OVER = (
    layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout,
    layers.AlphaDropout, layers.ActivityRegularization, layers.Identity, layers.RandomBrightness,
    layers.RandomContrast, layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom,
)  # fmt: skip


def is_passed_over(layer: Any) -> bool:
    """Says whether a layer does nothing at inference, alone or inside a TimeDistributed."""
    inner = layer.layer if type(layer) is layers.TimeDistributed else layer
    return isinstance(inner, _PASSED_OVER)


def read_layer(layer: Any) -> reference.Layer:
    """Turns a layer that is not recurrent into its layer of the reference.

    Raises:
        ModelError: If the layer, or one of its settings, is not supported.
    """
    inputs = keras.tree.flatten(layer.input)
    return _read(layer, tuple(inputs[0].shape))


def _read(layer: Any, shape: OpenShape) -> reference.Layer:
    if layer.dtype_policy.name != "float32":
        raise refusal(layer, f"computes in {layer.dtype_policy.name}; only float32 is supported")
    config = layer.get_config()
    if config.get("lora_rank") is not None or getattr(layer, "quantization_mode", None):
        raise refusal(layer, "is quantized or has LoRA weights")
    # The exact type, because a subclass may compute anything.
    reader = _READERS.get(type(layer))
    if reader is None:
        raise refusal(layer, "is of an unsupported class")
    return reader(layer, shape)


def _read_embedding(layer: Any, _: OpenShape) -> reference.Embedding:
    return reference.Embedding(float64(layer.embeddings), layer.mask_zero)


def _read_dense(layer: Any, _: OpenShape) -> reference.Dense:
    bias = float64(layer.bias) if layer.use_bias else np.zeros(layer.units)
    return reference.Dense(float64(layer.kernel), bias, read_activation(layer))


def _read_activation_layer(layer: Any, _: OpenShape) -> reference.Layer:
    if activation_name(layer.activation) == "hard_shrink":
        return reference.KeepBeyond(0.5, is_of_size=True, keeps_mask=True)
    return reference.Activation(read_activation(layer))


def _read_relu(layer: Any, _: OpenShape) -> reference.Layer:
    if layer.threshold:
        return read_thresholded_relu(layer, keeps_mask=True)
    slope = float(layer.negative_slope)
    if layer.max_value is not None:
        return reference.CappedReLU(float(np.float32(layer.max_value)), slope)
    return reference.LeakyReLU(slope) if slope else reference.Activation("relu")


def read_thresholded_relu(
    relu: Any, is_computed: bool = True, *, keeps_mask: bool = False
) -> reference.ThresholdedReLU:
    """Reads a ReLU with a threshold, which is a layer or an operation.

    Args:
        relu: The layer or the operation.
        is_computed: Whether a runtime may have rounded its input.
        keeps_mask: Whether it hands a mask on.
    """
    most = None if relu.max_value is None else float(np.float32(relu.max_value))
    return reference.ThresholdedReLU(
        float(np.float32(relu.threshold)), float(relu.negative_slope), most, is_computed, keeps_mask
    )


def _read_leaky_relu(layer: Any, _: OpenShape) -> reference.LeakyReLU:
    return reference.LeakyReLU(float(layer.negative_slope))


def _read_elu(layer: Any, _: OpenShape) -> reference.ELU:
    return reference.ELU(float(layer.alpha))


def _read_prelu(layer: Any, shape: OpenShape) -> reference.PReLU:
    alpha = float64(layer.alpha)
    while alpha.ndim > 1 and len(alpha) == 1:
        alpha = alpha[0]
    return reference.PReLU(-alpha if alpha.any() else alpha)


def _read_einsum_dense(layer: Any, shape: OpenShape) -> reference.EinsumDense:
    given, weights, result = letters_of(layer.equation, len(shape))
    is_plain = all(len(set(word)) == len(word) for word in (given, weights, result))
    summed_alone = set(given) - set(weights) - set(result)
    if not is_plain or given[0] != result[:1] or given[0] in weights or summed_alone:
        raise refusal(
            layer,
            f"has the equation {layer.equation!r:.60}; supported is a product of which the batch is the first axis, "
            "with each letter once in a word, and every axis of the input in the kernel or in the result",
        )
    kernel = float64(layer.kernel)
    bias = np.zeros(1) if layer.bias is None else float64(layer.bias)
    return reference.EinsumDense(kernel, bias, read_activation(layer), given, weights, result)


def letters_of(equation: str, rank: int) -> tuple[str, str, str]:
    """Returns the letters of the input, the kernel and the result of an EinsumDense; dots become letters, too.

    Args:
        equation: Its equation.
        rank: The number of axes of its input.
    """
    equation = equation.replace(" ", "")
    operands, _, result = equation.partition("->")
    given, _, weights = operands.partition(",")
    free = [letter for letter in ascii_letters if letter not in equation]
    dots = "".join(free[: rank - len(given.replace("...", ""))])
    return given.replace("...", dots), weights, result.replace("...", dots)


def _read_time_distributed(layer: Any, shape: OpenShape) -> reference.Layer:
    """Reads the wrapped layer. A layer that computes each position alone needs no wrapper in the reference."""
    if not is_per_position(layer.layer):
        # The plain form of a model has a `Fold` and an `Unfold` in place of such a wrapper.
        raise refusal(
            layer,
            f"wraps a {type(layer.layer).__name__}, which mixes the numbers of a position; bring the model into plain "
            "form first (rnnx.keras_models.plain_model.make_plain)",
        )
    return _read(layer.layer, (shape[0], *shape[2:]))


_READERS: Mapping[type, LayerReader] = {
    **READERS_OF_CONVOLUTIONS,
    **READERS_OF_MERGES,
    **dict.fromkeys(NORMALIZATIONS, read_normalization),
    **READERS_OF_POOLINGS,
    **READERS_OF_RESHAPES,
    layers.Embedding: _read_embedding,
    layers.Dense: _read_dense,
    layers.EinsumDense: _read_einsum_dense,
    layers.Activation: _read_activation_layer,
    layers.ReLU: _read_relu,
    layers.LeakyReLU: _read_leaky_relu,
    layers.ELU: _read_elu,
    layers.PReLU: _read_prelu,
    layers.TimeDistributed: _read_time_distributed,
}
