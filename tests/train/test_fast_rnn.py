"""Tests the recurrence that is trained: it has the states and gradients of Keras, and replaces no other layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import tensorflow as tf
from keras import layers

from rnnx.bundle.config import TokenizerConfig
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary
from rnnx.train import fast_rnn
from rnnx.train.batches import Batches, TextSource
from rnnx.train.fast_rnn import FastBidirectional, FastSimpleRNN, hasten

pytestmark = pytest.mark.train

FEATURES, UNITS = 3, 5


def simple(**options: Any) -> keras.Layer:
    return layers.SimpleRNN(UNITS, bias_initializer=keras.initializers.RandomNormal(seed=4), **options)


def both(**options: Any) -> keras.Layer:
    return layers.Bidirectional(simple(**options))


def network(layer: keras.Layer, *, dtype: str) -> keras.Model:
    """Builds a model from numbers and a mask to the output of a layer with the given settings."""
    config = layer.get_config() | {"dtype": dtype}
    for half in ("layer", "backward_layer"):
        if half in config:
            config[half]["config"]["dtype"] = dtype
    x, present = keras.Input((None, FEATURES), dtype=dtype), keras.Input((None,), dtype="bool")
    return keras.Model([x, present], type(layer).from_config(config)(x, mask=present))


def masks(batch: int, time: int) -> dict[str, np.ndarray[Any, Any]]:
    steps, lengths = np.arange(time), np.maximum(time - 2 * np.arange(batch), 0)[:, None]
    return {
        "whole": np.ones((batch, time), np.bool_),
        "in front": steps >= time - lengths,
        "at the end": steps < lengths,
        "between": (steps + np.arange(batch)[:, None]) % 3 != 1,
        "nothing": np.zeros((batch, time), np.bool_),
    }


def run(model: keras.Model, x: np.ndarray[Any, Any], present: np.ndarray[Any, Any], seed: int) -> list[Any]:
    """Returns the states, and the gradients of x and of every weight, for a random gradient of the states."""
    inputs = tf.constant(x, model.compute_dtype)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        states = model([inputs, tf.constant(present)], training=True)
        upstream = np.random.default_rng(seed).standard_normal(states.shape)
        told = tf.reduce_sum(states * tf.constant(upstream, states.dtype))
    weights = [variable.value for variable in model.trainable_variables]
    return [states.numpy(), *(gradient.numpy() for gradient in tape.gradient(told, [inputs, *weights]))]


def bound(dtype: str, batch: int, time: int, largest: float) -> float:
    """Returns how far two computations of the same sums can differ.

    The sum of a step has FEATURES + UNITS + 1 terms, and tanh is accurate to 4 u. So the error of a step is
    gamma_{FEATURES+UNITS+5} times what is summed. The recurrent kernels are orthogonal and tanh' is at most 1, so no
    error grows from step to step, forward or back. After t steps it is at most t times as large, and it enters the
    gradients of all steps. The gradients of the weights are sums over batch and time. Both sides have such errors,
    which gives the factor 2.

    Source:
        Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1.
    """
    terms = FEATURES + UNITS + 5 + batch * time
    u = float(np.finfo(dtype).eps) / 2
    gamma = terms * u / (1 - terms * u)
    return 2 * gamma * time * UNITS * largest


KINDS: dict[str, Callable[[], keras.Layer]] = {
    "states": lambda: simple(return_sequences=True),
    "last state": simple,
    "backwards": lambda: simple(return_sequences=True, go_backwards=True),
    "backwards, last state": lambda: simple(go_backwards=True),
    "zeros where masked": lambda: simple(return_sequences=True, zero_output_for_mask=True),
    "both": lambda: both(return_sequences=True),
    "both, last states": both,
    "both, zeros where masked": lambda: both(return_sequences=True, zero_output_for_mask=True),
}


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize(("batch", "time"), [(4, 7), (1, 6), (3, 1), (1, 1)])
def test_states_and_gradients_equal_those_of_keras(kind: str, batch: int, time: int) -> None:
    """float64 is tested because rounding cannot hide a wrong formula there, float32 because training uses it."""
    expected = network(KINDS[kind](), dtype="float64")
    x = np.random.default_rng(1).standard_normal((batch, time, FEATURES))
    for dtype in ("float64", "float32"):
        plain = network(KINDS[kind](), dtype=dtype)
        plain.set_weights(expected.get_weights())
        fast = hasten(plain)
        assert type(fast.layers[-1]) in (FastSimpleRNN, FastBidirectional)
        for name, present in masks(batch, time).items():
            wanted, found = run(expected, x, present, 2), run(fast, x, present, 2)
            assert len(wanted) == len(found)
            for i, (array, actual) in enumerate(zip(wanted, found, strict=True)):
                atol = bound(dtype, batch, time, max(1.0, float(np.abs(array).max()), float(np.abs(x).max())))
                assert array.shape == actual.shape
                np.testing.assert_allclose(actual, array, rtol=0, atol=atol, err_msg=f"{dtype}, {name}, array {i}")


def test_without_a_mask_every_step_is_computed() -> None:
    x = keras.Input((None, FEATURES), dtype="float64")
    plain = keras.Model(x, layers.Bidirectional(simple(return_sequences=True, dtype="float64"), dtype="float64")(x))
    numbers = tf.constant(np.random.default_rng(3).standard_normal((2, 9, FEATURES)))
    expected, actual = plain(numbers).numpy(), hasten(plain)(numbers).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound("float64", 2, 9, 1.0))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: simple(activation="relu"),
        lambda: simple(dropout=0.5),
        lambda: simple(recurrent_dropout=0.5),
        lambda: layers.SimpleRNN(UNITS, use_bias=False),
        lambda: layers.LSTM(UNITS),
        lambda: layers.GRU(UNITS),
        lambda: layers.Bidirectional(simple(return_sequences=True), merge_mode="sum"),
        lambda: layers.Bidirectional(simple(activation="relu")),
        lambda: layers.Bidirectional(layers.LSTM(UNITS)),
        lambda: layers.Bidirectional(simple(), backward_layer=simple(activation="relu", go_backwards=True)),
    ],
)
def test_other_layers_are_not_replaced(layer: Callable[[], keras.Layer]) -> None:
    plain = network(layer(), dtype="float32")
    fast = hasten(plain)
    assert [type(copy) for copy in fast.layers] == [type(original) for original in plain.layers]
    x = np.random.default_rng(1).standard_normal((2, 6, FEATURES)).astype(np.float32)
    present = masks(2, 6)["at the end"]
    np.testing.assert_array_equal(plain([x, present]).numpy(), fast([x, present]).numpy())


def classifier() -> keras.Model:
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = layers.Embedding(30, 8, mask_zero=True, name="embedding")(ids)
    x = layers.Bidirectional(layers.SimpleRNN(8, return_sequences=True), name="rnn")(x)
    x = layers.SimpleRNN(6, name="top")(x)
    return keras.Model(ids, layers.Dense(1, activation="sigmoid", name="probs")(x))


def test_trained_weights_fit_the_plain_network() -> None:
    plain = classifier()
    fast = hasten(plain)
    for expected, actual in zip(plain.get_weights(), fast.get_weights(), strict=True):
        np.testing.assert_array_equal(expected, actual)
    ids = np.random.default_rng(1).integers(3, 30, (64, 12))
    labels = (ids == 7).any(axis=1)[:, None].astype(np.float32)
    fast.compile(optimizer=keras.optimizers.Adam(1e-2), loss="binary_crossentropy")
    losses = fast.fit(ids, labels, batch_size=16, epochs=8, shuffle=False, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    plain.set_weights(fast.get_weights())
    names = [[weight.path.split("/")[-3:] for weight in model.weights] for model in (plain, fast)]
    assert names[0] == names[1], "the cells of both directions should have the same order"
    # Trained kernels are not orthogonal. A logit depends on two layers with 12 steps each, 8 units wide.
    np.testing.assert_allclose(fast(ids).numpy(), plain(ids).numpy(), rtol=0, atol=2 * 24 * 25 * 2.0**-24 * 8)


def test_the_plain_network_keeps_the_layers_of_keras() -> None:
    """Only the plain network is saved, so it must not change when the fast one is made from it."""
    plain = classifier()
    hasten(plain)
    assert [type(layer).__module__.split(".")[0] for layer in plain.layers] == ["keras"] * len(plain.layers)


def test_networks_of_several_widths_can_share_a_process() -> None:
    for units in (4, 9, 4, 6):
        x = keras.Input((None, FEATURES))
        plain = keras.Model(x, layers.SimpleRNN(units, return_sequences=True)(x))
        fast = hasten(plain)
        numbers = tf.constant(np.random.default_rng(units).standard_normal((2, 5, FEATURES)), tf.float32)
        with tf.GradientTape() as tape:
            states = fast(numbers, training=True)
        assert states.shape == (2, 5, units)
        shapes = [tuple(grad.shape) for grad in tape.gradient(states, [v.value for v in fast.trainable_variables])]
        assert shapes == [(FEATURES, units), (units, units), (units,)]


def test_only_lengths_of_powers_of_two_are_compiled() -> None:
    """A batch is lengthened with zeros to the next of these lengths."""
    x = np.random.default_rng(1).standard_normal((700, 2, 3))
    for time in (1, 2, 63, 64, 65, 128, 129, 600):
        (longer,) = fast_rnn._lengthen(tf.constant(time), [tf.constant(x[:time])])
        assert longer.shape[0] == max(64, 2 ** math.ceil(math.log2(time)))
        np.testing.assert_array_equal(longer[:time], x[:time])
        assert not longer[time:].numpy().any()


@pytest.mark.parametrize("time", [63, 64, 65, 129])
def test_the_steps_that_lengthen_a_batch_add_nothing(time: int) -> None:
    """Neither the states nor the gradients may depend on them."""
    plain = network(both(return_sequences=True), dtype="float64")
    x = np.random.default_rng(1).standard_normal((2, time, FEATURES))
    present = masks(2, time)["in front"]
    for expected, actual in zip(run(plain, x, present, 2), run(hasten(plain), x, present, 2), strict=True):
        atol = bound("float64", 2, time, max(1.0, float(np.abs(expected).max()), float(np.abs(x).max())))
        np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


def test_batches_of_all_lengths_are_traced_once() -> None:
    """Once Keras knows that lengths vary, another length causes no new trace."""
    tokenizer = Tokenizer(
        TokenizerConfig(60, True, True, "batch", "left", "left"), Vocabulary((*SPECIAL_TOKENS, *(b"a", b"b")))
    )
    fast = hasten(classifier())
    fast.compile(optimizer="adam", loss="binary_crossentropy")

    def train(lengths: list[int]) -> None:
        rows = [np.full(length, 3, np.int32) for length in lengths for _ in range(4)]
        source = TextSource(rows, np.zeros(len(rows), np.int32), tokenizer)
        for ids, labels in Batches(source, batch_size=4, by_length=False, seed=None).epoch(1):
            fast.train_on_batch(ids, labels)

    def traces() -> list[int]:
        return [step.experimental_get_tracing_count() for step in (fast_rnn._forward, fast_rnn._backward)]

    train([20, 40, 30])  # after these batches, Keras knows that lengths vary
    before = traces()
    train([25, 26, 9, 13, 50])
    assert traces() == before
