"""Draws the networks of `sharpness` that have layers of every family, and an input for each.

The families are convolutions, pooling, attention, normalizations, images at each position, cells, and recurrences with
activations of a Scan. The networks read ids, or numbers of which a layer finds the ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from bench.proof.networks import Case, Rng, draw_weight
from rnnx.export.landmarks import find_landmarks
from rnnx.keras_models.plain_model import make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from rnnx.reference.shapes import least_time
from rnnx.rounding.decisions import decide

_IDS = 20
_LONGEST = 40
_VOCABULARY = (-3, 7, 50, 1000)
_BOUNDARIES = (-1.5, 0.25, 0.5, 4.0)

Draw = Callable[[Rng, Any], Any]


def _pick(rng: Rng, *choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def _size(rng: Rng) -> int:
    """Draws an even number of features, which groups and images can split."""
    return 2 * int(rng.integers(2, 9))


def _draw_activation(rng: Rng) -> str:
    return str(_pick(rng, "linear", "tanh", "relu", "sigmoid", "gelu", "silu"))


def _convolve(rng: Rng, x: Any) -> Any:
    settings = {"padding": _pick(rng, "same", "causal"), "dilation_rate": int(rng.integers(1, 3))}
    if rng.random() < 0.3:
        return layers.DepthwiseConv1D(int(rng.integers(1, 4)), padding="same")(x)
    if rng.random() < 0.3:
        return layers.SeparableConv1D(_size(rng), 2, padding="same")(x)
    return layers.Conv1D(_size(rng), int(rng.integers(1, 4)), activation=_draw_activation(rng), **settings)(x)


def _pool(rng: Rng, x: Any) -> Any:
    kind = _pick(rng, layers.MaxPooling1D, layers.AveragePooling1D)
    return kind(2, strides=int(rng.integers(1, 3)), padding="same")(x)


def _attend(rng: Rng, x: Any) -> Any:
    is_causal = bool(rng.integers(2))
    match int(rng.integers(4)):
        case 0:
            return layers.Attention()([x, x], use_causal_mask=is_causal)
        case 1:
            return layers.AdditiveAttention()([x, x], use_causal_mask=is_causal)
        case 2:
            return layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=is_causal)
    return layers.GroupQueryAttention(3, 4, 2)(x, x, use_causal_mask=is_causal)


def _normalize(rng: Rng, x: Any) -> Any:
    kinds = (layers.LayerNormalization, layers.BatchNormalization, layers.UnitNormalization, layers.RMSNormalization)
    return layers.GroupNormalization(2)(x) if rng.random() < 0.2 else _pick(rng, *kinds)()(x)


def _look_at_images(rng: Rng, x: Any) -> Any:
    """Takes the features of each position for an image."""
    x = layers.TimeDistributed(layers.Reshape((2, x.shape[-1] // 2, 1)))(x)
    x = layers.TimeDistributed(layers.Conv2D(2, (1, 2), padding="same", activation="relu"))(x)
    return layers.TimeDistributed(layers.Flatten())(x)


def _connect(rng: Rng, x: Any) -> Any:
    return layers.Dense(_size(rng), activation=_draw_activation(rng))(x)


def _recur(rng: Rng, x: Any) -> Any:
    """Applies an RNN of cells, or a recurrence whose activation is that of a Scan or an operator."""
    kind, cell = _pick(
        rng,
        (layers.SimpleRNN, layers.SimpleRNNCell),
        (layers.LSTM, layers.LSTMCell),
        (layers.GRU, layers.GRUCell),
    )
    if rng.random() < 0.3:
        return layers.RNN([cell(_size(rng)) for _ in range(int(rng.integers(1, 3)))], return_sequences=True)(x)
    activation = str(_pick(rng, "tanh", "tanh", "gelu", "silu", "selu"))
    return kind(_size(rng), activation=activation, return_sequences=True)(x)


FAMILIES: tuple[Draw, ...] = (_convolve, _pool, _attend, _normalize, _look_at_images, _connect, _recur)


def _draw_input(rng: Rng) -> tuple[Any, Any]:
    """Draws ids, or numbers of which a layer finds the ids, and their Embedding."""
    mask_zero = bool(rng.integers(2))
    match _pick(rng, "ids", "ids", "numbers", "codes"):
        case "ids":
            given = keras.Input((None,), dtype="int32", name="ids")
            return given, layers.Embedding(_IDS, _size(rng), mask_zero=mask_zero)(given)
        case "numbers":
            given = keras.Input((None,), name="x")
            ids = layers.Discretization(list(_BOUNDARIES))(given)
            return given, layers.Embedding(len(_BOUNDARIES) + 1, _size(rng))(ids)
    given = keras.Input((None,), dtype="int64", name="x")
    unknown = int(rng.integers(1, 3))
    ids = layers.IntegerLookup(vocabulary=list(_VOCABULARY), mask_token=0, num_oov_indices=unknown)(given)
    return given, layers.Embedding(len(_VOCABULARY) + unknown + 1, _size(rng), mask_zero=mask_zero)(ids)


def draw_layered_case(rng: Rng) -> Case:
    """Draws a network with 1 to 4 layers of any family between two recurrences, and an input of 1 to 40 positions."""
    given, x = _draw_input(rng)
    x = _recur(rng, x)
    for _ in range(int(rng.integers(1, 5))):
        x = _pick(rng, *FAMILIES)(rng, x)
    x = layers.GlobalMaxPooling1D()(x) if rng.random() < 0.3 else layers.SimpleRNN(_size(rng))(x)
    model = keras.Model(given, layers.Dense(int(rng.integers(2, 6)), activation="softmax")(x))
    for layer in model.layers:
        drawn = [draw_weight(layer, weight, rng) for weight in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            drawn[-1] = np.abs(drawn[-1]) + np.float32(0.1)  # a variance
        layer.set_weights(drawn)
    return _complete(make_plain(model).model, rng)


def _complete(model: keras.Model, rng: Rng) -> Case:
    network = read_network(model)
    time = max(int(np.exp(rng.uniform(0, np.log(_LONGEST))).round()), least_time(network))
    rows = int(rng.integers(1, 4))
    (port,) = network.inputs
    if port.kind == "ids":
        given = rng.integers(1, _IDS, (rows, time)).astype(np.int32)
    else:
        given = rng.choice(find_landmarks(network)[port.name], (rows, time)).astype(np.float32)
    for row in given[1:]:
        row[: rng.integers(0, time)] = 0
    name = str(rng.choice(list(network.recurrent_nodes)))
    batch = ProbeBatch(given, tuple(f"row {row}" for row in range(rows)))
    return Case(model, network, batch, decide(network, given)["probs"], name, 0, 0)
