"""Tests convolutions with a normalization after them, as a CRNN has them: saved, exported and proved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.errors import ParityError
from rnnx.export.source import open_source
from rnnx.proof.cuts import wanted_cuts
from tests.conversions import export
from tests.export.test_structure import Build, require_equal, save
from tests.mutations import change, exports_after, floats

pytestmark = pytest.mark.train


def normalized(layer: keras.Layer, *after: keras.Layer) -> list[keras.Layer]:
    """Returns a convolution and its normalization, whose statistics are not those of a fresh one."""
    statistics = {"moving_mean_initializer": "random_normal", "moving_variance_initializer": "random_uniform"}
    return [layer, layers.BatchNormalization(**statistics, epsilon=0.1), *after]


def written_line() -> keras.Model:
    """An image of a fixed size, whose columns are the positions: all kinds of convolutions of images."""
    return keras.Sequential(
        [
            keras.Input((16, 8, 1)),
            *normalized(
                layers.Conv2D(4, 3, padding="same", name="strokes"), layers.ReLU(), layers.MaxPooling2D((1, 2))
            ),
            *normalized(layers.Conv2D(3, 2, use_bias=False, padding="same"), layers.ReLU()),
            *normalized(layers.DepthwiseConv2D(2, padding="same"), layers.MaxPooling2D((2, 2))),
            *normalized(layers.SeparableConv2D(3, (1, 2), use_bias=False, padding="same", activation="relu")),
            *normalized(layers.DepthwiseConv2D((2, 1), use_bias=False, padding="same")),
            layers.Reshape((8, 6)),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.Dense(5, activation="softmax"),
        ]
    )


def spectrogram() -> keras.Model:
    """An image of any length."""
    return keras.Sequential(
        [
            keras.Input((None, 6, 1)),
            *normalized(layers.Conv2D(4, 3, padding="same", activation="relu"), layers.MaxPooling2D((1, 2))),
            *normalized(layers.SeparableConv2D(3, 2, padding="same"), layers.Activation("tanh")),
            layers.Reshape((-1, 9)),
            layers.GRU(4),
            layers.Dense(2),
        ]
    )


def film() -> keras.Model:
    """An image at each position of a sequence of any length."""
    image = [*normalized(layers.Conv2D(3, 2)), layers.ReLU(), layers.GlobalAveragePooling2D()]
    each = keras.Sequential([keras.Input((5, 4, 2)), *image], name="image")
    return keras.Sequential(
        [keras.Input((None, 5, 4, 2)), layers.TimeDistributed(each), layers.LSTM(3), layers.Dense(2, "softmax")]
    )


@pytest.mark.parametrize("build", [written_line, spectrogram, film])
def test_a_normalization_after_a_convolution_is_proved(build: Build, tmp_path: Path) -> None:
    model, path = save(build, tmp_path)
    exported = export(path, tmp_path / "out")
    require_equal(model, exported)
    shown = {layer.layer for layer in exported.report.runtimes[-1].layers}
    network = open_source(path).network
    assert shown == {*network.shown_states, *(node.name for node in wanted_cuts(network)), *network.ends, "end to end"}


def test_a_wrong_weight_of_a_fused_convolution_is_found_in_it(tmp_path: Path) -> None:
    """One number of the kernel, and one of the normalization's mean, is off by a thousandth."""
    _, path = save(written_line, tmp_path)

    def change_kernel(model: onnx.ModelProto) -> None:
        (kernel,) = (tensor for tensor in floats(model) if list(tensor.dims) == [4, 1, 3, 3])
        change(kernel, lambda values: np.where(np.abs(values) == np.abs(values).max(), 1.001 * values, values))

    def change_mean(model: onnx.ModelProto) -> None:
        mean = next(tensor for tensor in floats(model) if tensor.name.endswith(".mean"))
        change(mean, lambda values: values + np.float32(1e-3) * (np.arange(values.size).reshape(values.shape) == 1))

    for mutate, layer in ((change_kernel, "strokes"), (change_mean, "batch_normalization")):
        with pytest.raises(ParityError, match=f"layer {layer}, "):
            exports_after(mutate, path, tmp_path / "out")
