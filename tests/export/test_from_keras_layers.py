"""The layers around a recurrence: the reference against Keras, both forms within their bounds, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers
from onnx import numpy_helper

from rnnx.activations import ACTIVATIONS
from rnnx.errors import ModelError
from rnnx.evidence import Evidence, read_reference, record_network
from rnnx.export.forms import build_forms
from rnnx.export.from_keras import read_network
from rnnx.infer.session import Session
from rnnx.onnxfile import parse_model
from rnnx.parity import Outputs, ProbeBatch, compare_runtime
from rnnx.propagation import decide
from rnnx.reference import Network
from rnnx.report import RuntimeReport
from rnnx.rewrites.replace import Rewritten
from rnnx.states import with_states

pytestmark = [
    pytest.mark.train,
    # Poolings and reshapes drop a mask, as is meant here.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning"),
]

# Zeros in front, at the end, between, nowhere, all but one, and nothing else.
IDS = np.array(
    [[0, 0, 3, 4, 5, 6], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [2, 0, 0, 0, 0, 0], [0] * 6],
    np.int32,
)
Body = Callable[[Any], Any]


def rnn(units: int = 4) -> keras.Layer:
    return layers.SimpleRNN(units, return_sequences=True)


def last(x: Any) -> Any:
    return layers.SimpleRNN(3)(x)


def branches(layer: keras.Layer) -> Body:
    """Two recurrences over one input, merged."""
    return lambda x: last(layer([rnn()(x), rnn()(x)]))


def after_states(*body: keras.Layer) -> Body:
    """Layers between two recurrences."""

    def build(x: Any) -> Any:
        for layer in [rnn(), *body]:
            x = layer(x)
        return last(x)

    return build


def after_last(*body: keras.Layer) -> Body:
    """Layers behind the last state."""

    def build(x: Any) -> Any:
        for layer in [layers.SimpleRNN(4), *body]:
            x = layer(x)
        return x

    return build


def half_masked(merge: keras.Layer) -> Body:
    """One of two branches has lost its mask."""
    return lambda x: last(merge([rnn()(x), layers.Reshape((-1, 4))(rnn()(x))]))


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
    **{
        f"dense {name}": lambda name=name: after_states(layers.Dense(4, name), layers.Activation(name))
        for name in [*ACTIVATIONS, "softmax"]
        if name != "exponential"
    },
    "dense exponential": lambda: after_states(layers.Dense(4, "exponential")),
    **{
        f"merge {layer.__name__}": lambda layer=layer: branches(layer())
        for layer in (layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)
    },
    "merge three": lambda: lambda x: last(layers.Average()([rnn()(x), rnn()(x), layers.Multiply()([x, x, x])])),
    "add with itself": lambda: lambda x: last(layers.Add()([x, x])),
    "add half masked": lambda: half_masked(layers.Add()),
    "concatenate": lambda: branches(layers.Concatenate()),
    "concatenate half masked": lambda: half_masked(layers.Concatenate()),
    **{
        f"both directions, {mode}": lambda mode=mode: lambda x: last(layers.Bidirectional(rnn(), merge_mode=mode)(x))
        for mode in ("sum", "mul", "ave", "concat")
    },
    "both directions, last states multiplied": lambda: (
        lambda x: layers.Bidirectional(layers.SimpleRNN(4), merge_mode="mul")(x)
    ),
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
    "reshape": lambda: after_states(layers.Dense(6), layers.Reshape((-1, 2, 3)), layers.Reshape((-1, 6))),
    "flatten": lambda: after_last(layers.Flatten(), layers.Reshape((2, 2)), layers.Flatten()),
    "repeat": lambda: lambda x: layers.GlobalMaxPooling1D()(layers.RepeatVector(3)(layers.SimpleRNN(4)(x))),
}
# tf2onnx squares at a third input of an Add or a maximum that reads masked positions; NaN is the mean of nothing.


def make(body: Body, *, mask_zero: bool, seed: int = 2) -> keras.Model:
    """A classifier with a body over an embedding; weights drawn, variances positive."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="ids")
    probs = layers.Dense(1, "sigmoid", name="head")(body(layers.Embedding(12, 4, mask_zero=mask_zero)(ids)))
    model = keras.Model(ids, probs)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        weight.assign((np.abs(values) + 0.1 if "variance" in weight.path else values).astype(np.float32))
    return model


def compare(network: Network, rewritten: Rewritten) -> RuntimeReport:
    data, recipe = rewritten.model.SerializeToString(), rewritten.recipe()
    session = Session(with_states(data, recipe), device="cpu")
    results = dict(zip(session.output_names, session.run(IDS), strict=True))
    batch = ProbeBatch(IDS, tuple(f"row {i}" for i in range(len(IDS))))
    outputs = Outputs(results["probs"], {name: v.transpose(1, 0, 2) for name, v in read_states(recipe, results)})
    return compare_runtime("onnxruntime", network, [batch], [outputs], [decide(network, IDS)])


def read_states(recipe: Any, results: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(layer, results[value]) for layer, value in recipe.names.items()]


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("name", BODIES)
def test_reference_keras_and_both_forms_agree(name: str, mask_zero: bool, capsys: pytest.CaptureFixture[str]) -> None:
    model = make(BODIES[name](), mask_zero=mask_zero)
    network = read_network(model)
    expected, decisions = network.predict(IDS), decide(network, IDS)
    # The whole way, within what all roundings together can do; these weights expand little.
    actual = np.asarray(model(IDS, training=False))
    assert (np.abs(expected - actual) <= decisions.probs_bounds).all()
    assert np.median(decisions.probs_bounds) < 1e-3
    for form, rewritten in build_forms(model, network).items():
        report = compare(network, rewritten)
        ratios = {layer.layer: layer.ratio for layer in report.layers}
        with capsys.disabled():
            print(f"\n{name}, {mask_zero}, {form}: {ratios}")
        assert not report.problems
        assert all(ratio is not None and ratio < 0.5 for ratio in ratios.values())
