"""Writes models of Keras 2 in every file format, with the outputs that Keras 2 itself computes.

    python -m tests.keras_2_files FOLDER

For each model it writes NAME.h5, NAME.keras, NAME.weights.h5 with NAME.json, and NAME.npz with inputs and outputs. The
tests run it once, in a process of its own, because it imports `tf_keras`, which is Keras 2.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras import layers

SIZES = ((1, 5), (3, 5))


def sequential() -> Any:
    """Ids, a mask, and both gated layers with the activation that Keras 3 changed."""
    gates = {"recurrent_activation": "hard_sigmoid", "recurrent_initializer": "random_normal"}
    return tf_keras.Sequential(
        [
            layers.Embedding(30, 6, input_length=5, mask_zero=True),
            layers.LSTM(5, return_sequences=True, unit_forget_bias=False, implementation=1, **gates),
            layers.GRU(4, reset_after=False, return_sequences=True, dropout=0.2, **gates),
            layers.SimpleRNN(4, activation="hard_sigmoid"),
            layers.Dense(3, activation="softmax"),
        ]
    )


def functional() -> Any:
    """Layers whose settings Keras 3 renamed or dropped."""
    x = layers.Input((None, 3), name="sensors")
    y = layers.Masking()(x)
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid"))(y)
    y = layers.TimeDistributed(layers.Dense(5, activation="relu"))(y)
    y = layers.BatchNormalization()(y)
    y = layers.LeakyReLU(alpha=0.1)(y)
    y = layers.SpatialDropout1D(0.2)(y)
    y = layers.GRU(3, go_backwards=True)(y)
    y = layers.LayerNormalization()(layers.Add()([y, layers.Dense(3)(y)]))
    return tf_keras.Model(x, layers.Dense(2, activation="hard_sigmoid")(y))


def branches() -> Any:
    """Layers of one class and one shape, which only their names tell apart."""
    x, y = layers.Input((None, 3), name="a"), layers.Input((None, 3), name="b")
    second = layers.LSTM(4, name="second")(y)
    first = layers.LSTM(4, name="first")(layers.LSTM(3, return_sequences=True, name="before")(x))
    joined = layers.Subtract()([layers.Dense(4, name="d2")(second), layers.Dense(4, name="d1")(first)])
    return tf_keras.Model([x, y], layers.Dense(1, activation="sigmoid", name="probs")(joined))


def states() -> Any:
    """An encoder whose states start a decoder."""
    x, y = layers.Input((None, 3), name="a"), layers.Input((None, 3), name="b")
    _, h, c = layers.LSTM(4, return_state=True)(x)
    decoded = layers.LSTM(4, return_sequences=True)(y, initial_state=[h, c])
    return tf_keras.Model([x, y], layers.Dense(2)(decoded))


def translator() -> Any:
    """An encoder and decoders, all with a mask, which Keras 3 gives no layer with first states."""
    x, y = layers.Input((None,), name="a"), layers.Input((None,), name="b")
    _, h, c = layers.LSTM(4, return_state=True)(layers.Embedding(30, 4, mask_zero=True)(x))
    words = layers.Dropout(0.1)(layers.Embedding(30, 4, mask_zero=True)(y))
    decoded = layers.LSTM(4, return_sequences=True)(words, initial_state=[h, c])
    both = layers.Bidirectional(layers.GRU(4, return_sequences=True))(decoded, initial_state=[h, c])
    return tf_keras.Model([x, y], layers.TimeDistributed(layers.Dense(3, activation="softmax"))(both))


def joined() -> Any:
    """Two recurrences of one mask, joined under the name that Keras 3 gives the join of their masks."""
    x = layers.Input((None,), name="a")
    words = layers.Embedding(30, 4, mask_zero=True)(x)
    both = [layer(words) for layer in (layers.LSTM(3, return_sequences=True), layers.GRU(2, return_sequences=True))]
    return tf_keras.Model(x, layers.Dense(2)(layers.LSTM(3)(layers.Concatenate(name="concatenate")(both))))


def translator_in_a_model() -> Any:
    """The same in a model. It is refused."""
    x, y = layers.Input((None,), name="a"), layers.Input((None,), name="b")
    return tf_keras.Model([x, y], layers.Dense(2)(translator()([x, y])))


def nested() -> Any:
    """A model in a model, and a layer that is called twice."""
    x, y = layers.Input((5, 3), name="a"), layers.Input((5, 3), name="b")
    inner = tf_keras.Sequential([layers.Input((5, 3)), layers.BatchNormalization(), layers.GRU(4), layers.Dense(3)])
    return tf_keras.Model([x, y], layers.Dense(2)(layers.Concatenate()([inner(x), inner(y)])))


def operations() -> Any:
    """Slices, arithmetic, and functions of TensorFlow between the layers."""
    x = layers.Input((None, 3), name="a")
    y = layers.LSTM(4, return_sequences=True)(x)
    weights = tf.nn.softmax(layers.Dense(1)(tf.concat([2.0 * y, 1 - y], axis=-1)), axis=1)
    pooled = tf.reduce_sum(weights * y, axis=1)
    rest = tf.squeeze(tf.expand_dims(tf.tanh(pooled), 1), 1) / 2.0 + y[:, -1] - y[:, 0, :] * tf.reduce_max(y, 1)
    kept = tf.cast(tf.not_equal(x[:, :, 0], 0), tf.float32)[:, :, None]
    fits = tf.matmul(tf.nn.softmax(tf.matmul(y, 2.0 * y, transpose_b=True)), y)
    squares = tf.reshape(tf.matmul(y, fits, transpose_a=True), [-1, 16])
    return tf_keras.Model(x, layers.Dense(2)(layers.Concatenate()([rest, tf.reduce_sum(kept * y, axis=1), squares])))


def masks() -> Any:
    """Two masks, of which Keras 2 takes what both have, and Keras 3 what one has. It is refused."""
    x, y = layers.Input((None,), name="a"), layers.Input((None,), name="b")
    joined = layers.Add(name="join")([layers.Embedding(30, 4, mask_zero=True)(given) for given in (x, y)])
    return tf_keras.Model([x, y], layers.LSTM(2)(joined))


def masks_within() -> Any:
    """A mask of the words of each sentence, which Keras 3 drops. It is refused."""
    x = layers.Input((3, 5), name="a")
    words = layers.TimeDistributed(layers.Embedding(30, 4, mask_zero=True), name="words")(x)
    return tf_keras.Model(x, layers.LSTM(2)(layers.TimeDistributed(layers.LSTM(3))(words)))


def learned() -> Any:
    """A Normalization that learned its numbers, which are weights that Keras 3 copies."""
    normalization = layers.Normalization(name="learned")
    normalization.adapt(np.random.default_rng(2).normal(3.0, 2.0, (50, 5, 3)).astype(np.float32))
    x = layers.Input((None, 3), name="a")
    return tf_keras.Model(x, layers.LSTM(3)(normalization(x)))


def convolved() -> Any:
    """Convolutions whose settings or weights have other names in Keras 3."""
    x = layers.Input((5, 3), name="a")
    deep = layers.DepthwiseConv1D(2, padding="same", depth_multiplier=2)(x)
    return tf_keras.Model(x, layers.LSTM(2)(layers.Conv1DTranspose(4, 3, strides=2, padding="same")(deep)))


def attended() -> Any:
    """Attention with a dropout, where whole rows of the weights are masked."""
    x = layers.Input((None,), name="a")
    words = layers.Embedding(30, 4, mask_zero=True)(x)
    first = layers.MultiHeadAttention(2, 3, dropout=0.1)(words, words)
    both = layers.MultiHeadAttention(2, 3, dropout=0.1)(first, first, use_causal_mask=True)
    return tf_keras.Model(x, layers.Dense(2)(layers.LSTM(3)(layers.Conv1D(3, 1)(both))))


def scores() -> Any:
    """The same, with its weights as an output. It is refused."""
    x = layers.Input((None,), name="a")
    words = layers.Embedding(30, 4, mask_zero=True)(x)
    attention = layers.MultiHeadAttention(2, 3, name="weighing")
    return tf_keras.Model(x, attention(words, words, return_attention_scores=True)[0])


def weights() -> Any:
    """A Softmax that is called with a mask. It is refused."""
    x, mask = layers.Input((5,), name="a"), layers.Input((5,), dtype="bool", name="b")
    return tf_keras.Model([x, mask], layers.Softmax(name="weighing")(layers.Dense(5)(x), mask=mask))


def unmasked() -> Any:
    """A Rescaling, after which there is no mask in Keras 2. It is refused."""
    x = layers.Input((None,), name="a")
    words = layers.Rescaling(0.5, name="scaled")(layers.Embedding(30, 4, mask_zero=True)(x))
    return tf_keras.Model(x, layers.GRU(3)(layers.Dense(2)(words)))


def rescaled() -> Any:
    """A Rescaling after a mask that no layer after it reads."""
    x = layers.Input((None,), name="a")
    words = layers.Rescaling(0.5)(layers.Embedding(30, 4, mask_zero=True)(x))
    return tf_keras.Model(x, layers.GRU(3)(layers.Conv1D(2, 1)(layers.Dense(2)(words))))


def masks_of_a_model() -> Any:
    """A model that is given two masks, and joins them. It is refused."""
    a, b = layers.Input((None, 4)), layers.Input((None, 4))
    inner = tf_keras.Model([a, b], layers.LSTM(3)(layers.Add(name="join")([a, b])))
    x, y = layers.Input((None,), name="a"), layers.Input((None,), name="b")
    return tf_keras.Model([x, y], inner([layers.Embedding(30, 4, mask_zero=True)(given) for given in (x, y)]))


def states_in_a_model() -> Any:
    """A model that is given a mask, with a layer that is given first states. It is refused."""
    a, b = layers.Input((None, 4)), layers.Input((None, 4))
    _, h, c = layers.LSTM(3, return_state=True)(a)
    inner = tf_keras.Model([a, b], layers.LSTM(3)(b, initial_state=[h, c]))
    x, y = layers.Input((None,), name="a"), layers.Input((None,), name="b")
    return tf_keras.Model([x, y], inner([layers.Embedding(30, 4, mask_zero=True)(given) for given in (x, y)]))


def one_mask_in_a_model() -> Any:
    """A model that is given a mask, and joins what it makes of one input."""
    a = layers.Input((None, 4))
    inner = tf_keras.Model(a, layers.Add()([a, layers.Dense(4)(a)]))
    x = layers.Input((None,), name="a")
    return tf_keras.Model(x, layers.LSTM(3)(inner(layers.Embedding(30, 4, mask_zero=True)(x))))


def masks_of_a_model_within() -> Any:
    """A mask of the words of each sentence, from a model at each of them. It is refused."""
    a = layers.Input((5,))
    x = layers.Input((3, 5), name="a")
    words = layers.TimeDistributed(tf_keras.Model(a, layers.Embedding(30, 4, mask_zero=True)(a)), name="words")(x)
    return tf_keras.Model(x, layers.LSTM(2)(layers.TimeDistributed(layers.LSTM(3))(words)))


MODELS: dict[str, Callable[[], Any]] = {
    function.__name__: function
    for function in (
        sequential,
        functional,
        branches,
        states,
        translator,
        joined,
        translator_in_a_model,
        nested,
        operations,
        masks,
        masks_within,
        learned,
        convolved,
        attended,
        scores,
        weights,
        unmasked,
        rescaled,
        masks_of_a_model,
        states_in_a_model,
        one_mask_in_a_model,
        masks_of_a_model_within,
    )
}


def draw_inputs(model: Any, rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Draws inputs; zeros, which are masked, are among them."""
    calls = []
    for batch, time in SIZES:
        given = []
        for tensor in model.inputs:
            if len(tensor.shape) == 2:
                x = rng.integers(0, 30, (batch, time)).astype(np.int32)
            elif tensor.shape[1:] == (3, 5):
                x = rng.integers(0, 30, (batch, 3, 5)).astype(np.int32)
            else:
                x = rng.normal(size=(batch, time, tensor.shape[-1])).astype(np.float32)
            x[:, time // 2] = 0
            given.append(x)
        calls.append(given)
    return calls


def stir(model: Any, rng: np.random.Generator) -> None:
    """Gives biases and statistics values that a new model does not have."""
    for weight in model.weights:
        name = weight.name
        if name.partition(":")[0] in ("count", "mean", "variance"):
            continue  # a Normalization computes with copies of them
        if "variance" in name:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif "kernel" not in name and "embeddings" not in name:
            weight.assign(weight + rng.normal(0.0, 0.3, weight.shape))


def keep_outputs(path: Path, model: Any, calls: Sequence[list[np.ndarray]]) -> None:
    """Writes the inputs and what Keras 2 makes of them."""
    arrays: dict[str, Any] = {}
    for i, given in enumerate(calls):
        arrays |= {f"in_{i}_{j}": x for j, x in enumerate(given)}
        arrays[f"out_{i}"] = np.asarray(model(given if len(given) > 1 else given[0], training=False))
    np.savez(path, **arrays)


def write(folder: Path, name: str) -> Any:
    """Writes one model in all formats."""
    rng = np.random.default_rng(len(name))
    tf_keras.utils.set_random_seed(3)
    tf_keras.backend.clear_session()
    model = MODELS[name]()
    if not model.built:
        model.build((None, 5))
    stir(model, rng)
    model.compile("adam", "mse")
    keep_outputs(folder / f"{name}.npz", model, draw_inputs(model, rng))
    model.save(folder / f"{name}.h5")
    model.save(folder / f"{name}.keras")
    model.save_weights(folder / f"{name}.weights.h5")
    (folder / f"{name}.json").write_text(model.to_json(), encoding="utf-8")
    return model


def write_old(folder: Path) -> None:
    """Rewrites `sequential.h5` as Keras 2.2.0 wrote it, without modules and an InputLayer, and has Keras 2 read it."""
    data = (folder / "sequential.h5").read_bytes()
    (folder / "old.h5").write_bytes(data)
    with h5py.File(folder / "old.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        found = [{key: layer[key] for key in ("class_name", "config")} for layer in config["config"]["layers"]]
        for layer in found:
            layer["config"] = {key: value for key, value in layer["config"].items() if key != "time_major"}
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": found[1:]})
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = "2.2.0"
    model = tf_keras.models.load_model(folder / "old.h5", compile=False)
    keep_outputs(folder / "old.npz", model, draw_inputs(model, np.random.default_rng(1)))


def write_cudnn(folder: Path) -> None:
    """Writes a CuDNNLSTM and a CuDNNGRU, whose weights Keras 2 itself converts when it loads them into LSTM and GRU."""
    rng = np.random.default_rng(5)
    stack = [layers.Input((None, 3)), layers.LSTM(4, return_sequences=True, name="a"), layers.GRU(2, name="b")]
    model = tf_keras.Sequential([*stack, layers.Dense(1, name="c")])
    model.save(folder / "cudnn.h5")
    with h5py.File(folder / "cudnn.h5", "r+") as file:
        for name, path in (("a", "a/lstm_cell"), ("b", "b/gru_cell")):
            group = file[f"model_weights/{name}"]
            cell = next(iter(group[name].values()))
            bias = cell["bias:0"].size * (2 if name == "a" else 1)
            del cell["bias:0"]
            cell["bias:0"] = rng.normal(size=bias).astype(np.float32)
            assert cell.name.startswith(f"/model_weights/{name}/{path}")
        model.load_weights(folder / "cudnn.h5")
    with h5py.File(folder / "cudnn.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] in ("LSTM", "GRU"):
                layer["class_name"] = f"CuDNN{layer['class_name']}"
                for key in ("activation", "recurrent_activation", "reset_after", "implementation", "unroll"):
                    layer["config"].pop(key, None)
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.3.1"
    keep_outputs(folder / "cudnn.npz", model, draw_inputs(model, rng))


def main() -> None:
    """Writes everything."""
    folder = Path(sys.argv[1])
    for name in MODELS:
        write(folder, name)
    write_old(folder)
    write_cudnn(folder)


if __name__ == "__main__":
    main()
