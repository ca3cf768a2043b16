"""Turns the Keras layers that are not recurrent into layers of the reference, or refuses them with a reason.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from string import ascii_letters
from typing import Any, Literal, TypeAlias, get_args

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.keras_models.folding import is_per_position
from rnnx.keras_models.keras_2_activations import activation_name
from rnnx.keras_models.read_convolutions import (
    read_adaptive_pooling,
    read_convolution,
    read_pooling,
    read_transposed,
    require_channels_last,
)
from rnnx.keras_models.read_normalizations import NORMALIZATIONS, read_normalization
from rnnx.keras_models.reverse_time import ReverseTime
from rnnx.reference import ActivationName, Array

# These layers do nothing at inference.
_PASSED_OVER = (
    layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.GaussianNoise, layers.GaussianDropout,
    layers.AlphaDropout, layers.ActivityRegularization, layers.Identity, layers.RandomBrightness,
    layers.RandomContrast, layers.RandomFlip, layers.RandomRotation, layers.RandomTranslation, layers.RandomZoom,
)  # fmt: skip
_ACTIVATIONS = get_args(ActivationName)
# Why an activation of Keras stays unsupported, and what to do.
_NO_ACTIVATIONS: Mapping[str, str] = {
    "hard_shrink": "jumps; only a layer of its own may, Activation('hard_shrink'); or train with soft_shrink",
    "glu": "halves the features, which Keras does not tell the layers after it; call keras.activations.glu(x) between "
    "two layers of a functional model instead",
    # The example of its documentation is right, and others are not: of [2.0, 1.001] Keras 3.15 makes [0, 0].
    "sparsemax": "jumps in Keras 3, which sums wrongly, so that rounding could decide; train with softmax",
}
_ADAPTIVE_POOLINGS = (
    layers.AdaptiveAveragePooling1D, layers.AdaptiveAveragePooling2D, layers.AdaptiveMaxPooling1D,
    layers.AdaptiveMaxPooling2D,
)  # fmt: skip
_MERGES: Mapping[type, Any] = {
    layers.Add: "add",
    layers.Subtract: "subtract",
    layers.Multiply: "multiply",
    layers.Average: "average",
    layers.Maximum: "maximum",
    layers.Minimum: "minimum",
}

# The shape of the input of a layer, `(batch, ...)`, with None for a variable size.
OpenShape: TypeAlias = tuple[int | None, ...]


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


def _read_normalization(layer: Any, shape: OpenShape) -> reference.Layer:
    return read_normalization(layer, shape, refusal)


def _read_prelu(layer: Any, shape: OpenShape) -> reference.PReLU:
    alpha = float64(layer.alpha)
    while alpha.ndim > 1 and len(alpha) == 1:
        alpha = alpha[0]
    return reference.PReLU(-alpha if alpha.any() else alpha)


def _read_concatenate(layer: Any, shape: OpenShape) -> reference.Concatenate | reference.ConcatenateAxis:
    axis = int(layer.axis) % len(shape)
    if axis == len(shape) - 1:
        return reference.Concatenate()
    if axis == 0:
        raise refusal(layer, "concatenates rows of the batch; only the other axes are supported")
    tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
    is_masked = any(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors)
    if is_masked and (axis, len(shape)) != (1, 3):
        raise refusal(
            layer,
            f"concatenates inputs with a mask along axis {axis} of {len(shape)}; only the time of sequences may have "
            "one: put a Reshape to the same shape, which drops the mask, in front of it",
        )
    return reference.ConcatenateAxis(axis)


def _read_merge(layer: Any, shape: OpenShape) -> reference.Merge:
    tensors = [tensor for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
    shapes = [tuple(tensor.shape) for tensor in tensors]
    # A single feature, as the weights of an attention have, is repeated for all features of another input. A single
    # position, or a row of features, is repeated for all positions; what has all of these then has no mask.
    is_repeated = len({other[:-1] for other in shapes}) > 1
    has_masks = all(getattr(tensor, "_keras_mask", None) is not None for tensor in tensors)
    rank = max(map(len, shapes))
    full = [(other[0], *[1] * (rank - len(other)), *other[1:]) for other in shapes]
    if any(len(set(sizes) - {1}) > 1 for sizes in zip(*full, strict=True)) or (is_repeated and has_masks):
        raise refusal(
            layer,
            f"has inputs with the shapes {', '.join(map(str, shapes))}; supported are equal shapes, axes of size 1, "
            "and rows of features for all positions, which have no mask",
        )
    return reference.Merge(_MERGES[type(layer)])


def _read_global_pooling(layer: Any, _: OpenShape) -> reference.Layer:
    require(layer, layer.get_config(), data_format="channels_last")
    pooling: reference.Layer = getattr(reference, type(layer).__name__)(keepdims=bool(layer.keepdims))
    return pooling


def _read_pooling(layer: Any, _: OpenShape) -> reference.Layer:
    return read_pooling(layer, "maximum" if "Max" in type(layer).__name__ else "average", refusal)


# These layers are read as two nodes.
SEPARABLE = (layers.SeparableConv1D, layers.SeparableConv2D)


def read_separable(layer: Any, inputs: tuple[str, ...]) -> list[reference.Node]:
    """Reads a SeparableConv1D or 2D as two convolutions: one of each feature alone, then one of each position alone.

    Raises:
        ModelError: If a setting is not supported.
    """
    depthwise = read_convolution(layer, float64(layer.depthwise_kernel), None, "linear", refusal)
    kernel = float64(layer.pointwise_kernel)
    bias = float64(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    kind = reference.Conv1D if kernel.ndim == 3 else reference.Conv2D
    first = reference.Node(f"{layer.name}.depthwise", depthwise, inputs)
    return [first, reference.Node(layer.name, kind(kernel, bias, read_activation(layer)), (first.name,))]


def _read_image_pooling(layer: Any, _: OpenShape) -> reference.Reduce:
    require_channels_last(layer, refusal)
    operation: Any = "max" if type(layer) is layers.GlobalMaxPooling2D else "mean"
    return reference.Reduce(operation, (1, 2), bool(layer.keepdims))


def _read_convolution(layer: Any, _: OpenShape) -> reference.Conv1D | reference.Conv2D:
    bias = float64(layer.bias) if layer.use_bias else None
    return read_convolution(layer, float64(layer.kernel), bias, read_activation(layer), refusal)


def _read_transposed(layer: Any, shape: OpenShape) -> reference.Conv1DTranspose | reference.Conv2DTranspose:
    if None in shape[1:-1] and max(layer.strides) > 1:
        # tf2onnx cuts the result by a Max of sizes, which the proof takes for a hidden branch.
        raise refusal(layer, f"has strides={layer.strides!r} and reads a variable time; use a fixed time, or strides=1")
    bias = float64(layer.bias) if layer.use_bias else None
    return read_transposed(layer, float64(layer.kernel), bias, read_activation(layer), refusal)


def _read_adaptive_pooling(layer: Any, shape: OpenShape) -> reference.Layer:
    return read_adaptive_pooling(layer, shape, refusal)


def _read_image_up_sampling(layer: Any, _: OpenShape) -> reference.UpSampling2D:
    require_channels_last(layer, refusal)
    if layer.interpolation != "nearest":
        raise refusal(
            layer,
            f"has interpolation={layer.interpolation!r}; only 'nearest' is supported: train with it, or with a "
            "Conv2DTranspose",
        )
    rows, columns = layer.size
    return reference.UpSampling2D((int(rows), int(columns)))


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


def _read_zero_padding(layer: Any, _: OpenShape) -> reference.ZeroPadding1D:
    require(layer, layer.get_config(), data_format="channels_last")
    before, after = layer.padding
    return reference.ZeroPadding1D(int(before), int(after))


def _read_image_padding(layer: Any, _: OpenShape) -> reference.ZeroPadding2D:
    require_channels_last(layer, refusal)
    (above, below), (left, right) = layer.padding
    return reference.ZeroPadding2D((int(above), int(below)), (int(left), int(right)))


def _read_cropping(layer: Any, _: OpenShape) -> reference.GetItem:
    require(layer, layer.get_config(), data_format="channels_last")
    axes = [layer.cropping] if isinstance(layer.cropping[0], int) else layer.cropping
    return reference.GetItem(
        tuple(reference.Selection("slice", int(before), -int(after) if after else None) for before, after in axes)
    )


def _read_up_sampling(layer: Any, _: OpenShape) -> reference.UpSampling1D:
    return reference.UpSampling1D(int(layer.size))


def _read_repeat(layer: Any, _: OpenShape) -> reference.RepeatVector:
    return reference.RepeatVector(int(layer.n))


def _read_reshape(layer: Any, shape: OpenShape) -> reference.Reshape:
    require(layer, layer.get_config(), data_format="channels_last")
    return read_shape(layer, shape, tuple(layer.output.shape))


def read_shape(layer: Any, shape: OpenShape, output_shape: OpenShape) -> reference.Reshape:
    """Reads a reshape of an input of fixed size, or of the features of each position.

    Raises:
        ModelError: If it is another one.
    """
    before, after = tuple(shape[1:]), tuple(output_shape[1:])
    if None not in before:
        return reference.Reshape(tuple(int(size or 0) for size in after))
    positions, *features = before
    rest = [size for size in after[1:] if size is not None]
    is_per_position = positions is None and None not in features and after[:1] == (None,)
    if is_per_position and len(rest) == len(after) - 1 and prod(rest) == prod(size or 0 for size in features):
        return reference.Reshape((-1, *rest))
    raise refusal(
        layer,
        "mixes positions of a variable time with features; only a fixed time, or each position alone, is supported",
    )


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


def _read_permute(layer: Any, _: OpenShape) -> reference.Transpose:
    return reference.Transpose((0, *(int(axis) for axis in layer.dims)))


def _read_dot(layer: Any, _: OpenShape) -> reference.Dot:
    ranks = [len(tensor.shape) for tensor in keras.tree.flatten(layer.input) if tensor.dtype != "bool"]
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    return reference.Dot(tuple(int(axis) % rank for axis, rank in zip(axes, ranks, strict=True)), bool(layer.normalize))


_READERS: Mapping[type, Callable[[Any, OpenShape], reference.Layer]] = {
    layers.Embedding: _read_embedding,
    layers.Dense: _read_dense,
    layers.Activation: _read_activation_layer,
    layers.ReLU: _read_relu,
    layers.LeakyReLU: _read_leaky_relu,
    layers.ELU: _read_elu,
    layers.PReLU: _read_prelu,
    **dict.fromkeys(NORMALIZATIONS, _read_normalization),
    layers.Concatenate: _read_concatenate,
    **dict.fromkeys(_MERGES, _read_merge),
    layers.GlobalAveragePooling1D: _read_global_pooling,
    layers.GlobalMaxPooling1D: _read_global_pooling,
    layers.AveragePooling1D: _read_pooling,
    layers.MaxPooling1D: _read_pooling,
    layers.AveragePooling2D: _read_pooling,
    layers.MaxPooling2D: _read_pooling,
    layers.GlobalAveragePooling2D: _read_image_pooling,
    layers.GlobalMaxPooling2D: _read_image_pooling,
    layers.Conv1D: _read_convolution,
    layers.Conv2D: _read_convolution,
    layers.DepthwiseConv1D: _read_convolution,
    layers.DepthwiseConv2D: _read_convolution,
    layers.Conv1DTranspose: _read_transposed,
    layers.Conv2DTranspose: _read_transposed,
    **dict.fromkeys(_ADAPTIVE_POOLINGS, _read_adaptive_pooling),
    layers.UpSampling2D: _read_image_up_sampling,
    layers.EinsumDense: _read_einsum_dense,
    layers.ZeroPadding2D: _read_image_padding,
    layers.Cropping1D: _read_cropping,
    layers.Cropping2D: _read_cropping,
    layers.ZeroPadding1D: _read_zero_padding,
    ReverseTime: lambda layer, shape: reference.Reverse(),
    layers.UpSampling1D: _read_up_sampling,
    layers.RepeatVector: _read_repeat,
    layers.Reshape: _read_reshape,
    layers.Flatten: _read_reshape,
    layers.Permute: _read_permute,
    layers.Dot: _read_dot,
    layers.TimeDistributed: _read_time_distributed,
}


def read_activation(layer: Any, role: Literal["activation", "recurrent_activation"] = "activation") -> ActivationName:
    """Returns the name of an activation of a layer.

    Args:
        layer: The layer.
        role: Which of its activations.

    Raises:
        ModelError: If the activation is not supported.
    """
    name = activation_name(getattr(layer, role))
    if name not in _ACTIVATIONS:
        reason = _NO_ACTIVATIONS.get(name) if isinstance(name, str) else None
        why = f", which {reason}" if reason else f"; supported are {', '.join(_ACTIVATIONS)}"
        raise refusal(layer, f"has the {role.replace('_', ' ')} {name!r}{why}")
    activation: ActivationName = name
    return activation


def float64(variable: Any) -> Array:
    """Returns a weight as a float64 array."""
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)


def require(layer: Any, config: dict[str, Any], **settings: object) -> None:
    """Makes sure that some settings of a layer have their only supported values.

    Args:
        layer: The layer, for the message.
        config: The config of the layer. A setting that it lacks is not checked: older versions of Keras lack some.
        settings: The supported value of each setting.

    Raises:
        ModelError: If a setting has another value. The message names the setting.
    """
    for name, value in settings.items():
        if config.get(name, value) != value:
            raise refusal(layer, f"has {name}={config[name]!r}; only {value!r} is supported")


def refusal(layer: Any, reason: str) -> ModelError:
    """Returns the error that says which layer is refused, and for what reason."""
    return ModelError(f"layer {layer.name} ({type(layer).__name__}) {reason}; nothing was exported")
