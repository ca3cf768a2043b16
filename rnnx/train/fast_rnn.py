"""Runs Keras's SimpleRNN faster in training: XLA compiles its steps, and input products leave the loop.

Keras multiplies by the input kernel at each step and passes its masks through the loop. Here one product serves all
steps, and the loop holds only what must be in it. The gradient of the recurrent kernel is one product after the loop,
and both directions share one loop. The results are the same up to the order of float32 sums. The network that a run
keeps has Keras's own layers. Imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import layers


def hasten(model: keras.Model) -> keras.Model:
    """Copies a network for training, with faster recurrent layers.

    Args:
        model: Any network. Its plain SimpleRNN layers (tanh, no dropout, no initial state), alone or in a Bidirectional
            that concatenates, are replaced; all other layers are copied.

    Returns:
        A network with its own weights, which have the same values in the same order.
    """

    def clone(layer: keras.Layer) -> keras.Layer:
        target = _FAST[type(layer)] if type(layer) in _FAST and _is_plain(layer) else type(layer)
        return target.from_config(layer.get_config())

    fast = keras.models.clone_model(model, clone_function=clone)
    fast.set_weights(model.get_weights())
    return fast


class FastSimpleRNN(layers.SimpleRNN):  # type: ignore[misc]  # keras ships no types
    """A SimpleRNN with tanh and without dropout, which starts from the state 0."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """Computes states `(batch, time, units)`, or the last one `(batch, units)`, of `(batch, time, features)`."""
        if initial_state is not None:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        (states,) = _run([self], sequences, mask)
        return states


class FastBidirectional(layers.Bidirectional):  # type: ignore[misc]  # keras ships no types
    """A Bidirectional of two such SimpleRNN layers, concatenated; one loop runs both directions."""

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool | None = None) -> Any:
        """Computes the states of both directions, concatenated in the last axis."""
        if initial_state is not None:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        halves = [self.forward_layer, self.backward_layer]
        forward, backward = _run(halves, sequences, mask)
        if self.return_sequences:
            backward = tf.reverse(backward, [1])
        return tf.concat([forward, backward], -1)


# XLA compiles a loop for a fixed maximum of steps, and the loop runs as many steps as a batch has. A few such maxima
# serve all batches, and padding up to the maximum costs no step.
_LENGTHS = tuple(64 << shift for shift in range(24))

_FAST: dict[Any, Any] = {layers.SimpleRNN: FastSimpleRNN, layers.Bidirectional: FastBidirectional}


def _is_plain(layer: keras.Layer) -> bool:
    """Whether the loop of this module computes what the layer specifies."""
    if isinstance(layer, layers.Bidirectional):
        halves = [layer.forward_layer, layer.backward_layer]
        return layer.merge_mode == "concat" and all(type(h) is layers.SimpleRNN and _is_plain(h) for h in halves)
    return bool(
        layer.activation is keras.activations.tanh
        and layer.use_bias
        and not (layer.dropout or layer.recurrent_dropout or layer.stateful or layer.return_state)
    )


def _run(halves: Sequence[layers.SimpleRNN], sequence: Any, mask: Any) -> list[Any]:
    """Runs layers over one sequence in one loop.

    Args:
        halves: The layers, one for each direction.
        sequence: `(batch, time, features)`.
        mask: `(batch, time)`, True where a step is present; None if all are.

    Returns:
        What Keras would return for each layer: `(batch, time, units)` in the order in which it reads, or
        `(batch, units)`.
    """
    by_time = tf.transpose(sequence, (1, 0, 2))
    present = tf.ones(tf.shape(by_time)[:2], tf.bool) if mask is None else tf.transpose(tf.cast(mask, tf.bool))
    inputs, masks = [], []
    for half in halves:
        x = tf.matmul(by_time, half.cell.kernel) + half.cell.bias
        inputs.append(tf.reverse(x, [0]) if half.go_backwards else x)
        masks.append(tf.reverse(present, [0]) if half.go_backwards else present)
    kernels = [tf.convert_to_tensor(half.cell.recurrent_kernel) for half in halves]
    states = _recur(len(halves), *inputs, *kernels, *masks)
    return [
        _shape_as_keras(half, by_half, steps_present, mask is not None)
        for half, by_half, steps_present in zip(halves, states, masks, strict=True)
    ]


def _shape_as_keras(layer: layers.SimpleRNN, states: Any, present: Any, has_mask: bool) -> Any:
    if not layer.return_sequences:
        return states[-1]
    if has_mask and layer.zero_output_for_mask:
        states = tf.where(present[:, :, None], states, 0.0)
    return tf.transpose(states, (1, 0, 2))


def _recur(count: int, *arguments: Any) -> Any:
    """Computes h_t = tanh(x_t + h_{t-1} U), or h_t = h_{t-1} where a step is masked, for several layers at once.

    Args:
        count: The number of layers.
        arguments: First x of each layer `(time, batch, units)`, then U of each layer `(units, units)`, then for each
            layer which steps are present, `(time, batch)` bool.

    Returns:
        The states of each layer, `(time, batch, units)`.
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def run(*arguments: Any) -> Any:
        # Outside a graph TensorFlow would also record the gradient of the loop itself, which cannot leave XLA.
        arguments = tuple(map(tf.stop_gradient, arguments))
        inputs, kernels, masks = (arguments[i * count : (i + 1) * count] for i in range(3))
        time = tf.shape(inputs[0])[0]
        present = _lengthen(time, masks)
        states = _forward(time, _lengthen(time, inputs), list(kernels), present)

        def gradient(*upstream: Any) -> Any:
            by_input = _backward(time, _lengthen(time, upstream), states, list(kernels), present)
            by_input = [gradients[:time] for gradients in by_input]
            by_kernel = [
                tf.matmul(_rows(h[:time][:-1]), _rows(gradients[1:]), transpose_a=True)
                for h, gradients in zip(states, by_input, strict=True)
            ]
            return *by_input, *by_kernel, *(None for _ in masks)

        return tuple(h[:time] for h in states), gradient

    return run(*arguments)


@tf.function(jit_compile=True, reduce_retracing=True)  # type: ignore[untyped-decorator]
def _forward(time: Any, inputs: list[Any], kernels: list[Any], masks: list[Any]) -> list[Any]:
    """Computes the states of the first `time` steps; zeros follow."""

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
    """Computes, backwards through time, the gradient of the sums x_t + h_{t-1} U of the first `time` steps.

    Zeros follow the first `time` steps, as in `_forward`.
    """
    transposed = [tf.transpose(kernel) for kernel in kernels]

    def step(t: Any, carried: list[Any], written: list[Any]) -> Any:
        following, sums = [], []
        for dy, h, kernel, mask, d in zip(upstream, states, transposed, masks, carried, strict=True):
            by_state, is_there = dy[t] + d, mask[t][:, None]
            by_sum = tf.where(is_there, by_state * (1 - h[t] * h[t]), 0.0)
            following.append(by_sum @ kernel + tf.where(is_there, tf.zeros_like(by_state), by_state))
            sums.append(by_sum)
        return t - 1, following, [array.write(t, by_sum) for array, by_sum in zip(written, sums, strict=True)]

    start = [tf.zeros_like(h[0]) for h in states]
    loop = (time - 1, start, _arrays(states))
    _, _, written = tf.while_loop(lambda t, *_: t >= 0, step, loop, maximum_iterations=tf.shape(states[0])[0])
    return [array.stack() for array in written]


def _arrays(like: list[Any]) -> list[Any]:
    return [tf.TensorArray(tensor.dtype, tf.shape(tensor)[0], element_shape=tensor.shape[1:]) for tensor in like]


def _lengthen(time: Any, tensors: Sequence[Any]) -> list[Any]:
    """Appends zeros in the first axis, up to the next length of `_LENGTHS`."""
    missing = tf.gather(_LENGTHS, tf.searchsorted(_LENGTHS, time[None])[0]) - time
    return [tf.pad(tensor, [[0, missing], *[[0, 0]] * (tensor.shape.rank - 1)]) for tensor in tensors]


def _rows(tensor: Any) -> Any:
    # The width is dynamic, because networks of different widths in one process may share a trace.
    return tf.reshape(tensor, (-1, tf.shape(tensor)[-1]))
