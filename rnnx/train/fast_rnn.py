"""The recurrence as training runs it: Keras's SimpleRNN, its steps compiled by XLA and its input products hoisted.

Keras multiplies by the input kernel at each step and hands its masks through the loop. Here one product serves all
steps, the loop holds what has to be in it and nothing else, the gradient of the recurrent kernel is one product behind
the loop, and both directions share one loop. What it computes is the same, up to the order of float32 sums. The
network that a run keeps has Keras's own layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers


def hasten(model: keras.Model) -> keras.Model:
    """Makes the network that is trained of the one that is kept.

    Args:
        model: Any network. Its plain layers SimpleRNN (tanh, no dropout, no initial state), alone or in a Bidirectional
            that concatenates, are run faster; everything else stays what it is.

    Returns:
        A network with weights of its own, the same values in the same order.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        target = _FAST[type(layer)] if type(layer) in _FAST and _is_plain(layer) else type(layer)
        return target.from_config(layer.get_config())

    fast = keras.models.clone_model(model, clone_function=clone)
    fast.set_weights(model.get_weights())
    return fast


class FastSimpleRNN(layers.SimpleRNN):  # type: ignore[misc]  # keras ships no types
    """SimpleRNN with tanh, without dropout, from the state 0."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """States (batch, time, units) of numbers (batch, time, features), or the last one (batch, units)."""
        if initial_state is not None:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        (states,) = _run([self], sequences, mask)
        return states


class FastBidirectional(layers.Bidirectional):  # type: ignore[misc]  # keras ships no types
    """Bidirectional of two such SimpleRNN, concatenated; both directions step in one loop."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """States of both directions, side by side in the last axis."""
        if initial_state is not None:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        halves = [self.forward_layer, self.backward_layer]
        forward, backward = _run(halves, sequences, mask)
        if self.return_sequences:
            backward = tf.reverse(backward, [1])
        return tf.concat([forward, backward], -1)


# What is compiled is compiled for one number of steps at most, and runs as many as a batch has: a few numbers serve all
# batches, and no step of padding is taken.
_LENGTHS = tuple(64 << shift for shift in range(24))

_FAST: dict[Any, Any] = {layers.SimpleRNN: FastSimpleRNN, layers.Bidirectional: FastBidirectional}


def _is_plain(layer: keras.Layer) -> bool:
    """Whether the loop here computes what the layer says."""
    if isinstance(layer, layers.Bidirectional):
        halves = [layer.forward_layer, layer.backward_layer]
        return layer.merge_mode == "concat" and all(type(h) is layers.SimpleRNN and _is_plain(h) for h in halves)
    return bool(
        layer.activation is keras.activations.tanh
        and layer.use_bias
        and not (layer.dropout or layer.recurrent_dropout or layer.stateful or layer.return_state)
    )


def _run(halves: Sequence[layers.SimpleRNN], sequence: Any, mask: Any) -> list[Any]:
    """What Keras would give for each layer: (batch, time, units) in the order in which it reads, or (batch, units)."""
    by_time = tf.transpose(sequence, (1, 0, 2))
    present = tf.ones(tf.shape(by_time)[:2], tf.bool) if mask is None else tf.transpose(tf.cast(mask, tf.bool))
    inputs, masks = [], []
    for half in halves:
        x = tf.matmul(by_time, half.cell.kernel) + half.cell.bias
        inputs.append(tf.reverse(x, [0]) if half.go_backwards else x)
        masks.append(tf.reverse(present, [0]) if half.go_backwards else present)
    kernels = [tf.convert_to_tensor(half.cell.recurrent_kernel) for half in halves]
    states = _recur(len(halves), *inputs, *kernels, *masks)
    return [_shape_as_keras(*one, mask is not None) for one in zip(halves, states, masks, strict=True)]


def _shape_as_keras(layer: layers.SimpleRNN, states: Any, present: Any, has_mask: bool) -> Any:
    if not layer.return_sequences:
        return states[-1]
    if has_mask and layer.zero_output_for_mask:
        states = tf.where(present[:, :, None], states, 0.0)
    return tf.transpose(states, (1, 0, 2))


def _recur(count: int, *arguments: Any) -> Any:
    """h_t = tanh(x_t + h_{t-1} U) where a step is there, h_{t-1} where it is masked; for `count` layers at once.

    Args:
        count: Layers.
        arguments: For each layer x (time, batch, units), then for each U (units, units), then for each what is there
            (time, batch) bool.

    Returns:
        For each layer its states (time, batch, units).
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def run(*arguments: Any) -> Any:
        # Outside a graph TensorFlow would take the gradient of the loop itself as well, and cannot hand it out of XLA.
        arguments = tuple(map(tf.stop_gradient, arguments))
        inputs, kernels, masks = (arguments[i * count : (i + 1) * count] for i in range(3))
        time = tf.shape(inputs[0])[0]
        present = _lengthen(time, masks)
        states = _forward(time, _lengthen(time, inputs), list(kernels), present)

        def gradient(*upstream: Any) -> Any:
            by_input = _backward(time, _lengthen(time, upstream), states, list(kernels), present)
            by_input = [one[:time] for one in by_input]
            by_kernel = [
                tf.matmul(_rows(h[:time][:-1]), _rows(one[1:]), transpose_a=True)
                for h, one in zip(states, by_input, strict=True)
            ]
            return *by_input, *by_kernel, *(None for _ in masks)

        return tuple(one[:time] for one in states), gradient

    return run(*arguments)


@tf.function(jit_compile=True, reduce_retracing=True)  # type: ignore[untyped-decorator]
def _forward(time: Any, inputs: list[Any], kernels: list[Any], masks: list[Any]) -> list[Any]:
    """The states of the first `time` steps; behind them zeros."""

    def step(t: Any, states: list[Any], written: list[Any]) -> Any:
        following = [
            tf.where(mask[t][:, None], tf.tanh(x[t] + h @ kernel), h)
            for x, kernel, mask, h in zip(inputs, kernels, masks, states, strict=True)
        ]
        return t + 1, following, [array.write(t, h) for array, h in zip(written, following, strict=True)]

    start = [tf.zeros_like(x[0]) for x in inputs]
    loop = (0, start, _arrays(inputs))
    _, _, written = tf.while_loop(lambda t, *_: t < time, step, loop, maximum_iterations=tf.shape(inputs[0])[0])
    return [array.stack() for array in written]


@tf.function(jit_compile=True, reduce_retracing=True)  # type: ignore[untyped-decorator]
def _backward(time: Any, upstream: list[Any], states: list[Any], kernels: list[Any], masks: list[Any]) -> list[Any]:
    """Through time: the gradient of each of the first `time` steps' sum x_t + h_{t-1} U; behind them zeros."""
    transposed = [tf.transpose(kernel) for kernel in kernels]

    def step(t: Any, carried: list[Any], written: list[Any]) -> Any:
        following, sums = [], []
        for dy, h, kernel, mask, d in zip(upstream, states, transposed, masks, carried, strict=True):
            by_state, is_there = dy[t] + d, mask[t][:, None]
            by_sum = tf.where(is_there, by_state * (1 - h[t] * h[t]), 0.0)
            following.append(by_sum @ kernel + tf.where(is_there, tf.zeros_like(by_state), by_state))
            sums.append(by_sum)
        return t - 1, following, [array.write(t, one) for array, one in zip(written, sums, strict=True)]

    start = [tf.zeros_like(h[0]) for h in states]
    loop = (time - 1, start, _arrays(states))
    _, _, written = tf.while_loop(lambda t, *_: t >= 0, step, loop, maximum_iterations=tf.shape(states[0])[0])
    return [array.stack() for array in written]


def _arrays(like: list[Any]) -> list[Any]:
    return [tf.TensorArray(one.dtype, tf.shape(one)[0], element_shape=one.shape[1:]) for one in like]


def _lengthen(time: Any, tensors: Sequence[Any]) -> list[Any]:
    """Adds zeros behind, in the first axis, up to a length that many sequences share."""
    missing = tf.gather(_LENGTHS, tf.searchsorted(_LENGTHS, time[None])[0]) - time
    return [tf.pad(one, [[0, missing], *[[0, 0]] * (one.shape.rank - 1)]) for one in tensors]


def _rows(one: Any) -> Any:
    # Of networks of different widths in one process, no width stands in the trace.
    return tf.reshape(one, (-1, tf.shape(one)[-1]))
