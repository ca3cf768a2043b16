"""Models whose layers join, stretch or shorten sequences and images, for tests that export them; needs [train]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from tests.keras_models.parts import Body, after_images, after_last, after_states, last, rnn, square


def joined_in_time(*parts: Callable[[Any], Any]) -> Body:
    """Puts sequences one after the other, between recurrences."""
    return lambda x: last(layers.Concatenate(axis=1)([part(x) for part in parts]))


def unmasked(x: Any) -> Any:
    """Returns states without their mask."""
    return layers.Reshape((-1, 4))(rnn()(x))


BODIES_OF_TIME_AND_IMAGES: dict[str, Callable[[], Body]] = {
    "join in time": lambda: joined_in_time(rnn(), rnn()),
    "join in time, half masked": lambda: joined_in_time(unmasked, rnn()),
    "join in time, no mask": lambda: joined_in_time(unmasked, square, unmasked),
    "join in time, a row in front": lambda: joined_in_time(lambda x: layers.Reshape((1, 4))(layers.GRU(4)(x)), rnn()),
    "join images": lambda: (
        lambda x: layers.Flatten()(
            layers.Concatenate(axis=-2)(
                [layers.Reshape((2, 2, 4))(square(x)), layers.Reshape((2, 3, 4))(layers.Dense(24)(last(x)))]
            )
        )
    ),
    "transposed": lambda: after_states(layers.Conv1DTranspose(5, 3, activation="tanh")),
    "transposed, strides": lambda: (
        lambda x: last(layers.Conv1DTranspose(5, 3, strides=2, padding="same")(square(rnn()(x))))
    ),
    "transposed, strides longer than the window": lambda: (
        lambda x: last(layers.Conv1DTranspose(5, 2, strides=3, use_bias=False)(square(x)))
    ),
    "transposed, output padding": lambda: (
        lambda x: last(layers.Conv1DTranspose(5, 3, strides=3, output_padding=1, activation="gelu")(square(x)))
    ),
    "transposed, of a fixed time": lambda: (
        lambda x: last(
            layers.Conv1DTranspose(3, 1, strides=3, padding="same")(
                layers.Conv1DTranspose(3, 1, strides=3)(
                    layers.Conv1DTranspose(4, 4, strides=2, padding="same")(square(x))
                )
            )
        )
    ),
    "images, transposed": lambda: after_images(
        layers.Conv2DTranspose(3, (2, 3), strides=(2, 1), padding="same", activation="relu"),
        layers.Conv2DTranspose(2, 3, strides=2, output_padding=(1, 0), use_bias=False),
        layers.AdaptiveMaxPooling2D((2, 3)),
        layers.Flatten(),
    ),
    "images, up sampled": lambda: after_images(
        layers.UpSampling2D((2, 3)), layers.Conv2D(2, 3), layers.AdaptiveAveragePooling2D((3, 2)), layers.Flatten()
    ),
    "adaptive poolings": lambda: (
        lambda x: last(
            layers.Concatenate()(
                [layers.AdaptiveAveragePooling1D(3)(square(x)), layers.AdaptiveMaxPooling1D(3)(square(x))]
            )
        )
    ),
    "adaptive poolings, longer": lambda: (
        lambda x: last(
            layers.Concatenate()(
                [layers.AdaptiveAveragePooling1D(6)(square(x)), layers.AdaptiveMaxPooling1D(6)(square(x))]
            )
        )
    ),
    "einsum dense": lambda: after_states(
        layers.EinsumDense("btd,de->bte", (None, 3), bias_axes="e", activation="tanh")
    ),
    "einsum dense, heads": lambda: after_states(
        layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"),
        layers.EinsumDense("abde,def->abf", (None, 5), bias_axes="f"),
    ),
    "einsum dense, dots": lambda: after_states(layers.EinsumDense("...x,xy->...y", 3, bias_axes="y")),
    "einsum dense, each head": lambda: after_states(
        layers.EinsumDense("abc,cde->abde", (None, 2, 3)),
        layers.EinsumDense("abde,def->abdf", (None, 2, 4), bias_axes="df", activation="relu"),
        layers.Reshape((-1, 8)),
    ),
    "einsum dense over the time": lambda: (
        lambda x: last(layers.EinsumDense("abc,bd->adc", (3, 4), bias_axes="d")(square(x)))
    ),
    "einsum dense of rows": lambda: after_last(layers.EinsumDense("ab,bc->ac", 5, bias_axes="c")),
    "masking of moved inputs": lambda: (
        lambda x: last(
            layers.Masking()(layers.Concatenate()([layers.ZeroPadding1D((1, 1))(x), layers.ZeroPadding1D((0, 2))(x)]))
        )
    ),
}
