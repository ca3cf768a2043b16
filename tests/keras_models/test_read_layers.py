"""Tests the layers around a recurrence: the reference against Keras, both forms within their bounds, and refusals."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers
from onnx import numpy_helper

from rnnx.errors import ModelError
from rnnx.export.golden import GoldenVectors, finish
from rnnx.export.pipeline import export
from rnnx.export.probes import make_array_probes, make_array_traps
from rnnx.keras_models.keras_2_activations import find_activation
from rnnx.keras_models.load_model import load_keras
from rnnx.keras_models.plain_model import make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.onnx_file.visible_states import with_states
from rnnx.primitives.activations import ACTIVATIONS
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.evidence import LayerRecord, read_evidence, read_reference, record_network
from rnnx.proof.report import ParityReport, RuntimeReport
from rnnx.proof.structure import check_structure
from rnnx.proof.verify import verify_file
from rnnx.reference import Network, Tensor
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session
from rnnx.strict_json import from_json, to_json
from tests.conversions import build_forms, decide
from tests.keras_files import through_file
from tests.keras_models.attention_bodies import BODIES_OF_ATTENTION
from tests.keras_models.operation_bodies import BODIES_OF_OPERATIONS
from tests.keras_models.parts import Body, after_images, after_last, after_states, last, rnn, square
from tests.keras_models.time_and_image_bodies import BODIES_OF_TIME_AND_IMAGES

pytestmark = [
    pytest.mark.train,
    # Pooling and reshaping layers drop a mask, which these tests intend.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning"),
    pytest.mark.filterwarnings("ignore:You passed `rms_scaling=True`:UserWarning"),
    # Keras's own, in ops.tensordot.
    pytest.mark.filterwarnings("ignore:NotImplemented should not be used in a boolean context:DeprecationWarning"),
]

# One row each: zeros in front, at the end, between, nowhere, at all positions but one, and everywhere.
IDS = np.array(
    [[0, 0, 3, 4, 5, 6], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [2, 0, 0, 0, 0, 0], [0] * 6],
    np.int32,
)


def branches(layer: keras.Layer) -> Body:
    """Merges two recurrences over one input."""
    return lambda x: last(layer([rnn()(x), rnn()(x)]))


def images(x: Any) -> Any:
    """Returns an image of two rows."""
    return layers.Reshape((2, 2, 4))(square(x))


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


def make(body: Body, *, mask_zero: bool, seed: int = 2, is_trained: bool = True) -> keras.Model:
    """Returns a classifier with the body over an embedding, from a file; weights are random, and variances positive.

    Without training, a model has the statistics that it starts with: means of 0 and variances of 1.
    """
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="ids")
    probs = layers.Dense(1, "sigmoid", name="head")(body(layers.Embedding(12, 4, mask_zero=mask_zero)(ids)))
    model = keras.Model(ids, probs)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.dtype != "float32" or not (is_trained or weight.trainable):
            continue  # how many numbers a Normalization has seen
        values = rng.normal(size=weight.shape)
        weight.assign((np.abs(values) + 0.1 if "variance" in weight.path else values).astype(np.float32))
    return through_file(model)


def compare(network: Network, rewritten: Rewritten) -> RuntimeReport:
    data, recipe = rewritten.model.SerializeToString(), rewritten.recipe()
    session = Session(with_states(data, recipe), device="cpu")
    results = dict(zip(session.output_names, session.run(IDS), strict=True))
    batch = ProbeBatch(IDS, tuple(f"row {i}" for i in range(len(IDS))))
    states = {layer: results[value].transpose(1, 0, 2) for layer, value in recipe.names.items()}
    outputs = Outputs({"probs": results["probs"]}, states)
    return compare_runtime("onnxruntime", network, [batch], [outputs], [decide(network, IDS)])


@pytest.mark.parametrize(("name", "mask_zero"), CASES)
def test_reference_keras_and_both_forms_agree(name: str, mask_zero: bool) -> None:
    model = make(BODIES[name](), mask_zero=mask_zero)
    plain = make_plain(model).model  # without a TimeDistributed of images
    network = read_network(plain)
    expected, decisions = network.predict(IDS), decide(network, IDS)["probs"]
    # Compares whole predictions within the bound on all roundings together; these weights amplify errors little.
    actual = np.asarray(model(IDS, training=False))
    assert (np.abs(expected - actual) <= decisions.bounds).all()
    assert np.median(decisions.bounds) < 1e-3
    for rewritten in build_forms(plain, network).values():
        report = compare(network, rewritten)
        ratios = {layer.layer: layer.ratio for layer in report.layers}
        assert not report.problems
        assert all(ratio is not None and ratio < 0.5 for ratio in ratios.values())
        require_no_hidden_branch(network, rewritten, report)


def require_no_hidden_branch(network: Network, rewritten: Rewritten, report: RuntimeReport) -> None:
    """Makes sure that the check of the structure accepts the form as an export writes it."""
    name, inputs = next(iter(make_array_traps(network).items()))
    golden = GoldenVectors.of(network, {name: (None, inputs)})
    data = finish(rewritten, network, golden, ParityReport(0, 1, 6, (report,), unit="sequences"), {})
    model = parse_model(data)
    assert check_structure("model.onnx", data, read_evidence(read_properties(model), model), None).part_count


@pytest.mark.parametrize("is_multiplied", [False, True])
def test_a_batch_normalization_that_was_never_trained_is_exported(is_multiplied: bool) -> None:
    """It has no offset. TensorFlow moves its scale into a product before it, and a product after it looks the same."""

    def body(x: Any) -> Any:
        a = layers.BatchNormalization(center=False)(layers.Dense(4, None if is_multiplied else "gelu")(rnn()(x)))
        return last(layers.Multiply()([a, rnn()(x)]) if is_multiplied else a)

    model = make(body, mask_zero=True, is_trained=False)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        assert worst(compare(network, rewritten)) < 0.5


def worst(report: RuntimeReport) -> float:
    """Returns the largest ratio of a layer; infinity if a value is not a number."""
    return max(np.inf if layer.ratio is None else layer.ratio for layer in report.layers)


def test_constants_in_a_row_of_a_sequential_stay_in_the_file() -> None:
    """TensorFlow would join them, so that the file would have neither; a Sequential lists its layers in its own way."""
    rng = np.random.default_rng(5)
    mean, variance = rng.normal(size=3).astype(np.float32), rng.uniform(0.5, 2, 3).astype(np.float32)
    scaled = [layers.Normalization(mean=mean, variance=variance), layers.Normalization(mean=-mean, variance=variance)]
    body = [*scaled, layers.BatchNormalization(), layers.SimpleRNN(3), layers.Dense(1, "sigmoid", name="head")]
    model = through_file(keras.Sequential([keras.Input((None, 3)), *body]))
    norm = model.layers[2]
    norm.set_weights([rng.uniform(0.5, 2, 3) for _ in norm.get_weights()])
    plain = make_plain(model).model
    assert isinstance(plain, keras.Sequential)
    network = read_network(plain)
    probes = make_array_probes(network, ())
    batch = probes.batches[0]
    expected = [decide(network, network.named(batch.given))]
    for file, form in build_forms(plain, network).items():
        candidate = Candidate(file, form.model.SerializeToString(), form.recipe(), carried=form.carried)
        report = compare_file(candidate, "cpu", network, [batch], expected).report
        assert report.passed
        record_network(network, parse_model(candidate.model))  # finds every constant, or raises


def exchange_halves(graph: onnx.GraphProto) -> None:
    """Exchanges the outputs of each Split before a sigmoid."""
    gates = {node.input[0] for node in graph.node if node.op_type == "Sigmoid"}
    for node in graph.node:
        if node.op_type == "Split" and gates & set(node.output):
            node.output[:] = node.output[::-1]


def test_numbers_in_descending_order_are_found() -> None:
    model = make(BODIES["sorted numbers"](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        sorts = [node for node in rewritten.model.graph.node if node.op_type == "TopK"]
        assert len(sorts) == 3
        assert worst(compare(network, rewritten)) < 0.5
        for node in sorts:
            node.attribute.append(onnx.helper.make_attribute("largest", 0))
            assert worst(compare(network, rewritten)) > 1
            del node.attribute[-1]


def test_exchanged_halves_are_found_in_the_layer_after_them() -> None:
    model = make(BODIES["gated halves"](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        before = rewritten.model.SerializeToString()
        exchange_halves(rewritten.model.graph)
        assert rewritten.model.SerializeToString() != before
        report = compare(network, rewritten)
        assert report.worst.ratio is not None
        assert report.worst.ratio > 1
        assert report.worst.layer in {node.name for node in network.nodes[-4:]}


@pytest.mark.parametrize(
    "name",
    [
        "batch normalization", "layer normalization, last", "batch normalization, last", "transposed, strides",
        "einsum dense, each head", "division by the deviation",
    ],
)  # fmt: skip
def test_every_changed_weight_exceeds_the_bound(name: str) -> None:
    """In both forms, each weight tensor is changed by a hundredth, and an epsilon by a factor of three."""
    model = make(BODIES[name](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        weights = [t for t in rewritten.model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
        kept = rewritten.model.SerializeToString()
        changed = 0
        for tensor in weights:
            values = numpy_helper.to_array(tensor)
            if not values.any() or values.max() in (1.0, -1.0):
                continue  # a constant of the graph
            altered = dataclasses.replace(rewritten, model=onnx.ModelProto.FromString(kept))
            target = next(t for t in altered.model.graph.initializer if t.name == tensor.name)
            off = values * np.float32(1.01) if values.size > 1 else values * np.float32(3)  # an epsilon has less effect
            target.CopyFrom(numpy_helper.from_array(off, tensor.name))
            assert worst(compare(network, altered)) > 1, tensor.name
            changed += 1
        assert changed >= 8


@pytest.mark.parametrize(
    "name",
    [
        "batch normalization", "batch normalization twice", "layer normalization", "elu layer", "transposed",
        "einsum dense, heads", "einsum dense, each head",
    ],
)  # fmt: skip
def test_the_file_holds_every_weight_bit_for_bit(name: str) -> None:
    model = make(BODIES[name](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        parsed = parse_model(rewritten.model.SerializeToString())
        record = from_json(Layers, to_json(Layers(record_network(network, parsed)), indent=None))
        evidence = SimpleNamespace(layers=record.layers, inputs=network.inputs, outputs=network.outputs)
        again = read_reference(evidence, parsed)  # type: ignore[arg-type]  # it reads no more than this
        np.testing.assert_array_equal(network.predict(IDS), again.predict(IDS))


@dataclasses.dataclass(frozen=True)
class Layers:
    """The part of the evidence that describes the network."""

    layers: tuple[LayerRecord, ...]


def test_a_model_with_several_of_these_layers_is_exported_and_verified(tmp_path: Path) -> None:
    body = after_states(
        layers.BatchNormalization(),
        layers.TimeDistributed(layers.Dense(4, "gelu")),
        layers.LayerNormalization(),
        layers.LeakyReLU(0.3),
    )
    model = make(body, mask_zero=True)
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    for file in ("model.onnx", "model.batch.onnx"):
        found = verify_file(file, (tmp_path / "bundle" / file).read_bytes(), ["cpu"])
        assert found.report.passed
        assert set(found.bits.values()) == {"same"}


@pytest.mark.parametrize(
    "name", ["items", "arithmetic with constants", "functions", "prelu", "normalization, stored", "unit normalization"]
)
def test_a_model_with_new_layers_is_exported_and_verified(name: str, tmp_path: Path) -> None:
    model = make(BODIES[name](), mask_zero=True)
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    for file in ("model.onnx", "model.batch.onnx"):
        data = (tmp_path / "bundle" / file).read_bytes()
        assert verify_file(file, data, ["cpu"]).report.passed
        probs = Session(data, device="cpu").run(IDS)[0]
        np.testing.assert_allclose(probs, np.asarray(model(IDS, training=False)), rtol=1e-4, atol=1e-5)


def test_a_model_reads_the_same_before_and_after_saving(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(12, 4, mask_zero=True),
            layers.Masking(),
            layers.TimeDistributed(layers.Dense(6)),
            layers.Reshape((-1, 6)),
            rnn(),
            layers.BatchNormalization(),
            layers.SimpleRNN(3),
            layers.LayerNormalization(),
            layers.Softmax(),
        ]
    )
    model.save(tmp_path / "model.keras")
    loaded = read_network(load_keras((tmp_path / "model.keras").read_bytes(), "model.keras"))
    np.testing.assert_array_equal(read_network(model).predict(IDS), loaded.predict(IDS))


def test_several_ids_at_each_position_are_embedded_side_by_side() -> None:
    """The ids are `(batch, time, k)`; Keras's Reshape drops their mask."""
    ids = np.random.default_rng(0).integers(0, 12, (2, 5, 3)).astype(np.int32)
    given = keras.Input((None, 3), dtype="int32")
    embedding = layers.Embedding(12, 4, mask_zero=True)
    flat = layers.Reshape((-1, 12))
    model = keras.Model(given, rnn()(flat(embedding(given))))
    nodes = read_network(model).nodes
    embedded = nodes[0].layer(Tensor(ids.astype(np.float64)))
    np.testing.assert_array_equal(np.asarray(embedding.compute_mask(ids)), embedded.mask)
    reshaped = nodes[1].layer(embedded)
    np.testing.assert_array_equal(np.asarray(flat(embedding(ids))), reshaped.values.astype(np.float32))
    assert reshaped.mask is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda x: layers.Flatten(name="p")(rnn()(x)), "mixes positions of a variable time with features"),
        (lambda x: layers.Reshape((-1, 2), name="p")(rnn()(x)), "mixes positions of a variable time with features"),
        (lambda x: layers.Conv1D(2, 1, data_format="channels_first", name="p")(square(x)), "has data_format='channels"),
        (lambda x: layers.MaxPooling1D(1, data_format="channels_first", name="p")(square(x)), "has data_format='chan"),
        (lambda x: layers.Softmax(name="p")(rnn()(x)), "use the mask of positions as a mask of features"),
        (lambda x: layers.Softmax(axis=(0, 2), name="p")(square(x)), "along axis (0, 2); only the other axes"),
        (
            lambda x: layers.Softmax(name="p")(square(x), mask=np.ones((1, 4, 4), bool)),
            "has a constant mask; only a mask that is computed",
        ),
        (
            lambda x: layers.Softmax(name="p")(square(x), mask=square(x)),
            "has a mask of computed numbers, where rounding could decide",
        ),
        (lambda x: layers.Masking(name="p")(rnn()(x)), "masks a computed value"),
        (lambda x: layers.TimeDistributed(layers.Softmax(), name="p")(rnn()(x)), "wraps a Softmax"),
        (lambda x: layers.Activation("hard_shrink", name="p")(rnn()(x)), "activation 'hard_shrink', which jumps"),
        (lambda x: layers.ReLU(threshold=1.0, name="p")(rnn()(x)), "threshold=1.0, where it jumps"),
        (lambda x: layers.UnitNormalization(axis=(0, 2), name="p")(square(x)), "normalizes over the batch"),
        (
            lambda x: layers.TimeDistributed(layers.LayerNormalization(axis=1), name="p")(
                layers.Reshape((2, 4, 2))(square(x))
            )[:, 0],
            "wraps a LayerNormalization",
        ),
        (lambda x: layers.Rescaling(np.ones((4, 4)), name="p")(square(x)), "for each position"),
        (lambda x: layers.Add(name="p")([x, layers.ZeroPadding1D()(square(x))]), "inputs with the shapes"),
        (
            lambda x: layers.Concatenate(axis=0, name="p")([rnn()(x), rnn()(x)]),
            "concatenates rows of the batch; only the other axes",
        ),
        (lambda x: layers.Flatten()(layers.CenterCrop(1, 1, name="p")(images(x))), "is of an unsupported class"),
        (
            lambda x: layers.Conv1DTranspose(3, 2, dilation_rate=2, name="p")(rnn()(x)),
            "has dilation_rate=(2,), which TensorFlow does not compute on a CPU; train with dilation_rate=1",
        ),
        (
            lambda x: layers.Conv1DTranspose(3, 2, data_format="channels_first", name="p")(square(x)),
            "has data_format='channels_first'; only 'channels_last' is supported: build the model with it",
        ),
        (
            lambda x: layers.AdaptiveMaxPooling1D(1, name="p")(square(x)),
            "has output_size=(1,) for an input of (4,), with which Keras itself fails in TensorFlow; for a size of 1",
        ),
        (
            lambda x: layers.AdaptiveAveragePooling1D(2, name="p")(rnn()(x)),
            "reads a variable time, which Keras itself cannot pool; use a fixed time",
        ),
        (
            lambda x: layers.Flatten()(layers.UpSampling2D(2, interpolation="bilinear", name="p")(images(x))),
            "has interpolation='bilinear'; only 'nearest' is supported",
        ),
        (
            lambda x: layers.EinsumDense("abc,cd->bad", (None, 4), name="p")(square(x)),
            "has the equation 'abc,cd->bad'; supported is a product of which the batch is the first axis",
        ),
        (
            lambda x: layers.EinsumDense("abc,d->abd", (4, 2), name="p")(square(x)),
            "every axis of the input in the kernel or in the result",
        ),
        (
            lambda x: layers.Reshape((-1, 16))(
                layers.Concatenate(axis=2, name="p")([layers.Masking()(layers.Reshape((-1, 2, 2))(x))] * 4)
            ),
            "concatenates inputs with a mask along axis 2 of 4",
        ),
        (
            lambda x: layers.Attention(name="p")([rnn()(x), layers.Reshape((-1, 4))(x)], mask=[None, x._keras_mask]),
            "has an explicit mask; only the masks that Keras propagates",
        ),
        (
            lambda x: layers.MultiHeadAttention(2, 2, name="p")(x, x, attention_mask=np.ones((1, 3, 3), bool)),
            "has a constant attention_mask of the shape (1, 3, 3) for None queries and None keys; it should be "
            "(queries, keys) of a fixed time: for an open time, use use_causal_mask=True",
        ),
        (
            lambda x: layers.MultiHeadAttention(2, 2, name="p")(x, x, attention_mask=layers.Dot(2)([x, rnn()(x)])),
            "has an attention_mask of computed numbers, where rounding could decide; compute it from inputs",
        ),
        (
            lambda x: layers.MultiHeadAttention(2, 2, name="p")(x, x, attention_mask=(ids_of(x) > 0)[:, None, None]),
            "has an attention_mask of (None, 1, 1, None); it should be (batch, queries, keys)",
        ),
        (lambda x: layers.MultiHeadAttention(2, 2, sliding_window=2, name="p")(x, x), "sliding_window=2"),
        (
            lambda x: layers.Flatten()(
                layers.MultiHeadAttention(2, 2, output_shape=(2, 2), name="p")(square(x), square(x))
            ),
            "output_shape of several axes",
        ),
        (lambda x: layers.Attention(name="p")([x, x], training=True), "training=True"),
        (
            lambda x: layers.Flatten()(
                layers.ConvLSTM2D(1, 2, data_format="channels_first", name="p")(layers.Reshape((-1, 1, 2, 2))(x))
            ),
            "data_format='channels_first'",
        ),
    ],
)  # fmt: skip
def test_an_unsupported_layer_is_refused_by_name_and_reason(body: Body, reason: str) -> None:
    ids = keras.Input((None,), dtype="int32")
    x = body(layers.Embedding(12, 4, mask_zero=True)(ids))
    model = keras.Model(ids, x if len(x.shape) == 2 else last(x))
    with pytest.raises(ModelError, match=rf"layer p \(.*{re.escape(reason)}.*; nothing was exported"):
        read_network(model)
