"""Draws the random networks of `sharpness`, from contractive to chaotic or deep, and an input for each."""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import Network
from rnnx.rounding.decisions import Decisions, decide

VOCABULARY_SIZE = 60

Rng = np.random.Generator


@dataclass(frozen=True, eq=False)
class Case:
    """A network with an input, and the place that mutants change.

    Attributes:
        model: The Keras model.
        network: Its reference.
        batch: The input.
        decisions: What the reference decides for the input.
        layer: The layer that mutants change.
        unit: The unit of that layer.
        step: The step of that layer; at least 1 if there are two steps.
    """

    model: keras.Model
    network: Network
    batch: ProbeBatch
    decisions: Decisions
    layer: str
    unit: int
    step: int


def draw_model(rng: Rng) -> keras.Model:
    """Draws a network of 1 to 4 recurrent layers with random sizes, activations, pooling and weights."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    mask_zero = bool(rng.integers(2))
    x = layers.Embedding(VOCABULARY_SIZE, int(rng.integers(1, 65)), mask_zero=mask_zero)(ids)
    count = int(rng.integers(1, 5))
    pooling = rng.choice(["last", "mean", "max"])
    for position in range(count):
        is_last = position == count - 1
        rnn = layers.SimpleRNN(
            int(rng.integers(1, 97)),
            activation=str(rng.choice(["tanh", "tanh", "relu", "sigmoid"])),
            use_bias=bool(rng.random() < 0.9),
            return_sequences=not is_last or pooling != "last",
            go_backwards=bool(rng.random() < 0.2) and is_last,
        )
        both = rng.random() < 0.35
        x = layers.Bidirectional(rnn)(x) if both and not rnn.go_backwards else rnn(x)
    if pooling != "last":
        x = {"mean": layers.GlobalAveragePooling1D, "max": layers.GlobalMaxPooling1D}[str(pooling)]()(x)
    classes = int(rng.integers(1, 6))
    model = keras.Model(ids, layers.Dense(classes, activation="sigmoid" if classes == 1 else "softmax")(x))
    for layer in model.layers:
        layer.set_weights([draw_weight(layer, weight, rng) for weight in layer.get_weights()])
    return model


def draw_weight(layer: keras.Layer, weight: npt.NDArray[np.float32], rng: Rng) -> npt.NDArray[np.float32]:
    """Draws a weight of a layer."""
    if weight.ndim == 1:
        return rng.normal(0, 0.3, weight.shape).astype(np.float32)
    if isinstance(layer, layers.Embedding):
        return rng.normal(0, 0.5, weight.shape).astype(np.float32)
    rnn = layer.forward_layer if isinstance(layer, layers.Bidirectional) else layer
    # Small gains forget within a few steps, large ones give chaos. relu has no limit, so its states must not grow.
    most = 1.0 if getattr(rnn, "activation", None) is keras.activations.relu else 4.0
    gain = np.exp(rng.uniform(np.log(0.2), np.log(most)))
    drawn = rng.normal(0, 1, weight.shape)
    if weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
        drawn /= max(float(np.linalg.norm(drawn, 2)), 1e-9)
    else:
        drawn /= np.sqrt(weight.shape[0])
    scaled: npt.NDArray[np.float32] = (gain * drawn).astype(np.float32)
    return scaled


def draw_deep_model(rng: Rng) -> keras.Model:
    """Draws a recurrence with 1 to 8 layers without states after it, at every position or after the last state."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(VOCABULARY_SIZE, int(rng.integers(1, 33)), mask_zero=bool(rng.integers(2)))(ids)
    kind = (layers.SimpleRNN, layers.LSTM, layers.GRU)[int(rng.integers(3))]
    takes_all = bool(rng.integers(2))
    x = kind(int(rng.integers(1, 33)), return_sequences=takes_all)(x)
    for _ in range(int(rng.integers(1, 9))):
        match rng.choice(["dense", "dense", "dense", "layer", "batch"]):
            case "layer":
                x = layers.LayerNormalization()(x)
            case "batch":
                x = layers.BatchNormalization()(x)
            case _:
                activation = str(rng.choice(["linear", "tanh", "relu", "sigmoid", "softplus"]))
                x = layers.Dense(int(rng.integers(2, 33)), activation=activation)(x)
    if takes_all:
        x = (layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D)[int(rng.integers(2))]()(x)
    model = keras.Model(ids, layers.Dense(int(rng.integers(2, 6)), activation="softmax")(x))
    for layer in model.layers:
        weights = [draw_weight(layer, weight, rng) for weight in layer.get_weights()]
        # The last weight of a BatchNormalization is a variance.
        layer.set_weights([np.abs(w) if isinstance(layer, layers.BatchNormalization) else w for w in weights])
    return model


def draw_case(rng: Rng) -> Case:
    """Draws a network and an input of 1 to 2,000 positions, in which some rows are padded in front."""
    return _complete(draw_model(rng), rng, 2000)


def draw_deep_case(rng: Rng) -> Case:
    """Draws a network with layers without states, and an input of 1 to 100 positions."""
    return _complete(draw_deep_model(rng), rng, 100)


def _complete(model: keras.Model, rng: Rng, longest: int) -> Case:
    network = read_network(model)
    time = int(np.exp(rng.uniform(0, np.log(longest))).round())
    rows = int(rng.integers(1, 4))
    ids = rng.integers(1, VOCABULARY_SIZE, (rows, time), dtype=np.int32)
    for row in ids[1:]:
        row[: rng.integers(0, time)] = 0
    name = str(rng.choice(list(network.recurrent_nodes)))
    layer = network.recurrent_nodes[name]
    return Case(
        model,
        network,
        ProbeBatch(ids, tuple(f"row {row}" for row in range(rows))),
        decide(network, ids)["probs"],
        name,
        int(rng.integers(len(layer.bias))),
        int(rng.integers(1, time)) if time > 1 else 0,
    )
