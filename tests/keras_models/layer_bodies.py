"""Models with each layer around a recurrence, for tests that export them; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx.keras_models.keras_2_activations import find_activation
from rnnx.primitives.activations import ACTIVATIONS
from tests.keras_models.attention_bodies import BODIES_OF_ATTENTION
from tests.keras_models.operation_bodies import BODIES_OF_OPERATIONS
from tests.keras_models.parts import Body, after_images, after_last, after_states, last, rnn, square
from tests.keras_models.time_and_image_bodies import BODIES_OF_TIME_AND_IMAGES


def branches(layer: keras.Layer) -> Body:
    """Merges two recurrences over one input."""
    return lambda x: last(layer([rnn()(x), rnn()(x)]))


def both_directions(mode: str) -> Body:
    return lambda x: last(layers.Bidirectional(rnn(), merge_mode=mode)(x))


def activations(x: Any) -> Any:
    """Applies every activation, in a Dense at each position and in a layer of its own."""
    names = [*sorted(ACTIVATIONS.keys() - {"exponential"}), "softmax", "log_softmax"]
    x = rnn()(x)
    functions = [find_activation(name) for name in names]
    dense = [layers.Dense(2, function)(x) for function in functions]
    return last(layers.Concatenate()([*dense, *(layers.Activation(function)(x) for function in functions)]))


def recurrences(x: Any) -> Any:
    """Applies recurrences with activations that ONNX's operators lack, or have under another name."""
    lstms = [("mish", "sparse_sigmoid"), ("soft_shrink", "relu6"), ("hard_tanh", "hard_silu")]
    parts = [layers.LSTM(2, a, recurrent_activation=gates)(x) for a, gates in lstms]
    grus = [("tanh_shrink", "sparse_plus"), ("celu", "sparse_sigmoid")]
    parts += [layers.GRU(2, a, recurrent_activation=gates)(x) for a, gates in grus]
    return layers.Concatenate()([*parts, *(layers.SimpleRNN(2, a)(x) for a in ("log_sigmoid", "squareplus"))])


def merged(*merges: type[keras.Layer]) -> Body:
    """Merges two recurrences over one input in each of the given ways."""

    def build(x: Any) -> Any:
        first, second = rnn()(x), rnn()(x)
        return last(layers.Concatenate()([merge()([first, second]) for merge in merges]))

    return build


def merged_and_read(x: Any) -> Any:
    """Merges two and three inputs, all of them masked or not, and reads the result at masked positions too."""
    states, unmasked = rnn()(x), layers.Reshape((-1, 4))(rnn()(x))
    given = [[rnn()(x), states], [states, unmasked], [unmasked, states], [states, unmasked, rnn()(x)]]
    kinds = (layers.Multiply, layers.Maximum, layers.Minimum)
    parts = [layers.Dense(1)(kind()(inputs)) for kind in kinds for inputs in given]
    return layers.GlobalMaxPooling1D()(layers.Concatenate()([*parts, layers.Add()([states, unmasked])]))


def merged_with_rows(x: Any) -> Any:
    """Merges states with one number, or one row, for all positions, as a squeeze-and-excite block does."""
    states = rnn()(x)
    row = layers.Dense(4, "sigmoid")(layers.GlobalMaxPooling1D()(states))
    scaled = layers.Multiply()([states, layers.Reshape((1, 4))(row)])
    return last(
        layers.Concatenate()([merge()([scaled, row]) for merge in (layers.Add, layers.Subtract, layers.Maximum)])
    )


def adapted(axis: Any) -> keras.Layer:
    """Returns a Normalization that has seen data."""
    layer = layers.Normalization(axis=axis)
    layer.adapt(np.random.default_rng(3).normal(1.0, 2.0, size=(20, 4, 4)).astype(np.float32))
    return layer


def half_masked(merge: keras.Layer) -> Body:
    """Merges two branches, one of which has lost its mask."""
    return lambda x: last(merge([rnn()(x), layers.Reshape((-1, 4))(rnn()(x))]))


def softmax_with_mask(axis: Any) -> Body:
    """Weights states of any length by a softmax of scores, with a mask that operations compute from the ids."""

    def build(x: Any) -> Any:
        states = rnn()(x)
        mask = keras.ops.expand_dims(keras.ops.not_equal(ids_of(x), 0), -1)
        scores = layers.Softmax(axis=axis)(layers.Reshape((-1, 2))(layers.Dense(2)(states)), mask=mask)
        return last(layers.Multiply()([scores[..., :1], states]))

    return build


def softmax_of_rows(x: Any) -> Any:
    """Weights states by a softmax of `(batch, time)`, with the mask of the Embedding."""
    states = rnn()(x)
    scores = keras.ops.squeeze(layers.Dense(1)(states), -1)
    weights = layers.Softmax()(scores, mask=x._keras_mask)
    return layers.Dot(axes=1)([weights, states])


def ids_of(x: Any) -> Any:
    """Returns the input of the model, of which `x` is the Embedding."""
    return x._keras_history.operation.input


BODIES: dict[str, Callable[[], Body]] = {
    "batch normalization": lambda: after_states(layers.BatchNormalization()),
    "batch normalization, plain": lambda: after_states(layers.BatchNormalization(center=False, scale=False, axis=2)),
    "batch normalization, last": lambda: after_last(layers.BatchNormalization(epsilon=0.1), layers.Dense(3, "relu")),
    "batch normalization twice": lambda: after_states(layers.BatchNormalization(), layers.BatchNormalization()),
    "batch normalization, input": lambda: lambda x: last(layers.BatchNormalization()(x)),
    "batch normalization, dense": lambda: after_states(layers.Dense(3), layers.BatchNormalization()),
    "layer normalization": lambda: after_states(layers.LayerNormalization()),
    "layer normalization, plain": lambda: after_states(layers.LayerNormalization(center=False, scale=False)),
    "layer normalization, last": lambda: after_last(layers.LayerNormalization(epsilon=0.1)),
    "layer normalization, no beta": lambda: after_states(layers.LayerNormalization(center=False)),
    "layer normalization, dense": lambda: after_states(layers.Dense(64), layers.LayerNormalization()),
    "rescaling": lambda: after_states(layers.Rescaling(0.3, 0.1)),
    "masking": lambda: lambda x: last(layers.Masking()(x)),
    "dense at each position": lambda: after_states(layers.TimeDistributed(layers.Dense(5, "tanh"))),
    "dense normalized at each position": lambda: after_states(
        layers.TimeDistributed(layers.BatchNormalization()), layers.TimeDistributed(layers.LayerNormalization())
    ),
    "dropouts": lambda: after_states(
        layers.TimeDistributed(layers.Dropout(0.5)),
        layers.AlphaDropout(0.3),
        layers.SpatialDropout1D(0.3),
        layers.GaussianNoise(0.3),
        layers.ActivityRegularization(0.1),
    ),
    "relu layer": lambda: after_states(layers.ReLU(), layers.ReLU(negative_slope=0.1)),
    "leaky relu layer": lambda: after_states(layers.LeakyReLU(0.3)),
    "elu layer": lambda: after_states(layers.ELU(0.7)),
    "softmax layer": lambda: after_last(layers.Softmax()),
    "softmax activation": lambda: after_states(layers.Activation("softmax")),
    "activations": lambda: activations,
    "activations of recurrences": lambda: recurrences,
    "dense exponential": lambda: after_states(layers.Dense(4, "exponential")),
    "merges": lambda: merged(
        layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum
    ),
    "merges, read at all positions": lambda: merged_and_read,
    "merge three": lambda: lambda x: last(layers.Average()([rnn()(x), rnn()(x), layers.Multiply()([x, x, x])])),
    "add with itself": lambda: lambda x: last(layers.Add()([x, x])),
    "add half masked": lambda: half_masked(layers.Add()),
    "concatenate": lambda: branches(layers.Concatenate()),
    "concatenate half masked": lambda: half_masked(layers.Concatenate()),
    "both directions, sum": lambda: both_directions("sum"),
    "both directions, product": lambda: both_directions("mul"),
    "both directions, mean": lambda: both_directions("ave"),
    "both directions, last states multiplied": lambda: layers.Bidirectional(layers.SimpleRNN(4), merge_mode="mul"),
    "maximum kept": lambda: lambda x: layers.Flatten()(layers.GlobalMaxPooling1D(keepdims=True)(rnn()(x))),
    "mean kept": lambda: (
        lambda x: layers.Flatten()(layers.GlobalAveragePooling1D(keepdims=True)(layers.ZeroPadding1D((1, 2))(rnn()(x))))
    ),
    "max pooling": lambda: (
        lambda x: layers.GlobalAveragePooling1D()(layers.MaxPooling1D(3, 2, padding="same")(rnn()(x)))
    ),
    "average pooling": lambda: (
        lambda x: layers.GlobalAveragePooling1D()(layers.AveragePooling1D(4, padding="same")(rnn()(x)))
    ),
    "convolution": lambda: after_states(layers.Conv1D(5, 3, padding="same", activation="tanh")),
    "convolution, first": lambda: lambda x: last(layers.Conv1D(5, 2, padding="causal", activation="relu")(x)),
    "convolution, strides": lambda: after_states(layers.Conv1D(5, 3, 2, padding="same", use_bias=False)),
    "convolution, dilated": lambda: after_states(
        layers.Conv1D(5, 2, padding="causal", dilation_rate=2, activation="gelu")
    ),
    "depthwise convolution": lambda: after_states(
        layers.DepthwiseConv1D(3, padding="same", depth_multiplier=2, activation="relu")
    ),
    "depthwise convolution, strides": lambda: after_states(layers.DepthwiseConv1D(2, strides=2)),
    "convolution, valid": lambda: after_states(layers.Conv1D(5, 3, activation="relu"), layers.MaxPooling1D(2)),
    "convolution, grouped": lambda: after_states(layers.Conv1D(6, 3, groups=2, padding="same")),
    "convolution, grouped and causal": lambda: after_states(
        layers.Conv1D(4, 2, groups=4, padding="causal", dilation_rate=2, use_bias=False)
    ),
    "convolution, normalized": lambda: after_states(layers.Conv1D(5, 2), layers.BatchNormalization()),
    "separable convolution": lambda: after_states(
        layers.SeparableConv1D(5, 3, padding="same", depth_multiplier=2, activation="relu")
    ),
    "separable convolution, strides": lambda: after_states(layers.SeparableConv1D(5, 2, strides=2, use_bias=False)),
    "average pooling, valid": lambda: after_states(layers.AveragePooling1D(2)),
    "cropping": lambda: after_states(layers.Cropping1D((1, 2))),
    "images": lambda: after_images(
        layers.Conv2D(3, 2, padding="same", activation="relu"),
        layers.MaxPooling2D(2, strides=1),
        layers.GlobalAveragePooling2D(),
    ),
    "images, settings": lambda: after_images(
        layers.ZeroPadding2D(((1, 0), (2, 1))),
        layers.Conv2D(4, (2, 3), strides=(2, 1), groups=2, use_bias=False),
        layers.BatchNormalization(),
        layers.AveragePooling2D((1, 2), padding="same"),
        layers.Dropout(0.2),
        layers.Flatten(),
        layers.Dense(3, "tanh"),
        is_masked=False,  # Keras itself fails in a BatchNormalization of images that has a mask
    ),
    "images, separable": lambda: after_images(
        layers.SeparableConv2D(3, 2, padding="same"),
        layers.DepthwiseConv2D(2, depth_multiplier=2),
        layers.Cropping2D(((0, 1), (1, 0))),
        layers.GlobalMaxPooling2D(),
    ),
    "images, dilated": lambda: after_images(layers.Conv2D(3, 2, dilation_rate=2, padding="same"), layers.Flatten()),
    "recurrences of images": lambda: after_states(
        layers.Dense(12),
        layers.Reshape((-1, 3, 4, 1)),
        layers.Bidirectional(layers.ConvLSTM2D(2, 2, padding="same", return_sequences=True)),
        layers.Dropout(0.2),
        layers.ConvLSTM2D(2, (2, 1), strides=(1, 2), recurrent_activation="hard_sigmoid", return_sequences=True),
        layers.Reshape((-1, 4, 2)),
        layers.ConvLSTM1D(3, 2, dilation_rate=2, go_backwards=True, use_bias=False, return_sequences=True),
        layers.Reshape((-1, 6)),
    ),
    "spectral normalization": lambda: after_states(
        layers.SpectralNormalization(layers.Dense(3, "relu")), layers.SpectralNormalization(layers.Conv1D(4, 2))
    ),
    "recurrence of each position": lambda: after_states(
        layers.Dense(6), layers.Reshape((-1, 3, 2)), layers.TimeDistributed(layers.LSTM(2))
    ),
    "up sampling": lambda: after_states(layers.UpSampling1D(2)),
    "reshape": lambda: after_states(layers.Dense(6), layers.Reshape((-1, 2, 3)), layers.Reshape((-1, 6))),
    "flatten": lambda: after_last(layers.Flatten(), layers.Reshape((2, 2)), layers.Flatten()),
    "prelu": lambda: after_states(layers.PReLU(shared_axes=[1])),
    "prelu, last": lambda: after_last(layers.PReLU()),
    "prelu of each position": lambda: lambda x: last(layers.PReLU(shared_axes=[2])(layers.PReLU()(square(x)))),
    "merges of a row with positions": lambda: merged_with_rows,
    "normalization": lambda: (
        lambda x: last(layers.Normalization(mean=[0.3, -1.7, 2.1, 0.9], variance=[2.0, 0.1, 1, 3])(rnn()(x)))
    ),
    "normalization, stored": lambda: after_states(layers.Normalization()),
    "normalization, inverted": lambda: (
        lambda x: last(
            layers.Normalization(mean=[0.3, -1.7, 2.1, 0.9], variance=[2.0, 0.1, 1, 3], invert=True)(rnn()(x))
        )
    ),
    "normalization, adapted": lambda: lambda x: last(adapted(-1)(rnn()(x))),
    "normalization, adapted to one number": lambda: lambda x: last(adapted(None)(rnn()(x))),
    "normalization of positions": lambda: lambda x: last(adapted(1)(square(x))),
    "normalization of each number": lambda: lambda x: last(adapted((1, 2))(square(x))),
    "rescaling of features": lambda: after_states(layers.Rescaling([0.3, -1.7, 2.1, 0.9], [0.0, 0.1, -0.3, 2.0])),
    "rescaling of features, no offset": lambda: after_states(layers.Rescaling(np.array([0.3, -1.7, 2.1, 0.9]))),
    "capped relu": lambda: after_states(layers.ReLU(max_value=0.4), layers.ReLU(max_value=0.2, negative_slope=0.3)),
    "layer normalization of the time": lambda: lambda x: last(layers.LayerNormalization(axis=1)(square(x))),
    "layer normalization of all": lambda: (
        lambda x: last(layers.LayerNormalization(axis=[1, 2], center=False)(square(x)))
    ),
    "division by the deviation": lambda: after_states(layers.LayerNormalization(rms_scaling=True)),
    "division by the deviation of all": lambda: (
        lambda x: last(layers.LayerNormalization(axis=[1, 2], rms_scaling=True)(square(x)))
    ),
    "batch normalization of positions": lambda: lambda x: last(layers.BatchNormalization(axis=1)(square(x))),
    "batch normalization of positions, plain": lambda: (
        lambda x: last(layers.BatchNormalization(axis=1, scale=False)(square(x)))
    ),
    "group normalization": lambda: after_states(layers.GroupNormalization(2)),
    "group normalization, last": lambda: after_last(layers.GroupNormalization(2, epsilon=0.1, scale=False)),
    "products before a batch normalization": lambda: (
        lambda x: last(
            layers.BatchNormalization()(
                layers.Multiply()([rnn()(x), layers.BatchNormalization()(layers.Activation("silu")(rnn()(x)))])
            )
        )
    ),
    "gelu before a batch normalization, last": lambda: after_last(
        layers.Dense(5, "gelu"), layers.BatchNormalization(center=False), layers.Dense(3)
    ),
    "gelu before a batch normalization": lambda: after_states(layers.Dense(5, "gelu"), layers.BatchNormalization()),
    "unit normalization": lambda: after_states(layers.UnitNormalization()),
    "rms normalization": lambda: after_states(layers.RMSNormalization()),
    "group normalization of positions": lambda: lambda x: last(layers.GroupNormalization(2, axis=1)(square(x))),
    "group normalization of an axis between": lambda: (
        lambda x: last(
            layers.Reshape((4, 4))(layers.GroupNormalization(2, axis=-2)(layers.Reshape((2, 4, 2))(square(x))))
        )
    ),
    "unit normalization of all": lambda: lambda x: last(layers.UnitNormalization(axis=(1, 2))(square(x))),
    "unit normalization over the time": lambda: (
        lambda x: last(layers.UnitNormalization(axis=1)(layers.Reshape((-1, 4))(rnn()(x))))
    ),
    "rms normalization of all": lambda: lambda x: last(layers.RMSNormalization(axis=[1, 2])(square(x))),
    "rms normalization over the time": lambda: lambda x: last(layers.RMSNormalization(axis=1)(square(x))),
    "repeat": lambda: lambda x: layers.GlobalMaxPooling1D()(layers.RepeatVector(3)(layers.SimpleRNN(4)(x))),
    "softmax over the time": lambda: lambda x: last(layers.Softmax(axis=1)(square(x))),
    "softmax of all": lambda: lambda x: last(layers.Softmax(axis=(1, 2))(square(x))),
    "softmax over the time, masked": lambda: softmax_with_mask(1),
    "softmax of all, masked": lambda: softmax_with_mask((1, 2)),
    "softmax of rows, masked": lambda: softmax_of_rows,
    "permute": lambda: lambda x: last(layers.Permute((2, 1))(square(x))),
    "permute of three axes": lambda: (
        lambda x: layers.Flatten()(layers.Permute((3, 1, 2))(layers.Reshape((2, 4, 2))(square(x))))
    ),
}
BODIES |= BODIES_OF_OPERATIONS | BODIES_OF_ATTENTION | BODIES_OF_TIME_AND_IMAGES


# Layers that look at a mask are tested without one too.
CASES = [(name, True) for name in BODIES] + [
    (name, False)
    for name in (
        "mean kept",
        "masking",
        "concatenate",
        "batch normalization",
        "attention by hand, any length",
        "attention",
        "attention, causal",
        "attention, weights",
        "additive attention",
        "heads",
        "heads, causal",
        "heads, weights",
    )
]
