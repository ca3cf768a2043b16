"""Compiles a function that runs Keras into TensorFlow graphs, for any batch size and time.

Keras 3.15 computes a TimeDistributed over an open time wrongly in a graph: it maps over as many positions as the batch
has rows. With a fixed time it calls its layer at each position, which makes a graph of as many calls. So a short batch
runs in a graph of its own, with Keras's own TimeDistributed. A longer one runs in a graph for all times, in which a
loop calls the layer at each position. Called eagerly, Keras would compute the same, and run every recurrence step by
step in Python. Delete this when a graph of a TimeDistributed over an open time has the shape (batch, time, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import layers

# The longest time of a batch that runs with Keras's own TimeDistributed.
_SHORT = 8


def has_time_distributed(model: keras.Model) -> bool:
    """Whether a graph of the model may be wrong, because Keras maps a TimeDistributed wrongly in it."""
    return bool(_wrappers(model))


def flat_outputs(outputs: Any) -> list[Any]:
    """Returns the outputs of a model in their order, as float32, also those of whole numbers, as an argmax."""
    flat = keras.tree.flatten(outputs)
    return [
        values if keras.backend.standardize_dtype(values.dtype) == "float32" else keras.ops.cast(values, "float32")
        for values in flat
    ]


def compiled(run: Callable[..., Any], signature: Sequence[tf.TensorSpec], model: keras.Model) -> Callable[..., Any]:
    """Compiles a function that runs a model.

    Args:
        run: Runs the model on TensorFlow's tensors.
        signature: The shapes and dtypes of its arguments, with their open sizes. Without it, Keras would fix the shapes
            of the first batches.
        model: The model.

    Returns:
        The function.
    """
    if not has_time_distributed(model):
        return _trace(run, signature)
    with _calls(model, _call_in_a_loop):
        looped = _trace(run, signature)
    graphs: dict[tuple[tuple[int, ...], ...], Callable[..., Any]] = {}

    def run_for_times(*inputs: tf.Tensor) -> Any:
        sizes = tuple(tuple(tensor.shape[1:]) for tensor in inputs)
        open_sizes = [
            size
            for spec, own in zip(signature, sizes, strict=True)
            for given, size in zip(spec.shape[1:], own, strict=True)
            if given is None
        ]
        if max(open_sizes, default=0) > _SHORT:
            return looped(*inputs)
        if sizes not in graphs:
            shapes = [(spec.shape[0], *own) for spec, own in zip(signature, sizes, strict=True)]
            fixed = [tf.TensorSpec(shape, spec.dtype) for shape, spec in zip(shapes, signature, strict=True)]
            with _calls(model, _call_for_a_known_time):
                graphs[sizes] = _trace(run, fixed)
        return graphs[sizes](*inputs)

    return run_for_times


def _trace(run: Callable[..., Any], signature: Sequence[tf.TensorSpec]) -> Callable[..., Any]:
    # Keras's layers do not need autograph, and are traced faster without it.
    graph: Callable[..., Any] = tf.function(run, input_signature=signature, autograph=False).get_concrete_function()
    return graph


def _wrappers(model: keras.Model) -> list[Any]:
    return [layer for layer in model._flatten_layers() if isinstance(layer, layers.TimeDistributed)]


@contextmanager
def _calls(model: keras.Model, make_call: Callable[[Any, Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Gives each TimeDistributed another `call`, made from the layer and its own `call`."""
    wrappers = _wrappers(model)
    for wrapper in wrappers:
        wrapper.call = make_call(wrapper, wrapper.call)
    try:
        yield
    finally:
        for wrapper in wrappers:
            del wrapper.call


def _call_in_a_loop(wrapper: Any, _: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a `call` that runs the layer at each position, as that of Keras does, in a loop of the graph."""

    def call(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        inner = wrapper.layer
        sequence = keras.ops.swapaxes(inputs, 0, 1)
        masks = None if mask is None or not inner._call_has_mask_arg else keras.ops.swapaxes(mask, 0, 1)

        def step(i: Any) -> Any:
            settings: dict[str, Any] = {} if masks is None else {"mask": masks[i]}
            if inner._call_has_training_arg:
                settings["training"] = training
            return inner.call(sequence[i], **settings)

        return keras.ops.swapaxes(keras.ops.map(step, keras.ops.arange(keras.ops.shape(sequence)[0])), 0, 1)

    return call


def _call_for_a_known_time(wrapper: Any, call: Callable[..., Any]) -> Callable[..., Any]:
    """Returns Keras's own `call`, or a loop where the time is open all the same."""
    loop = _call_in_a_loop(wrapper, call)

    def call_for_a_known_time(inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return (loop if inputs.shape[1] is None else call)(inputs, training=training, mask=mask)

    return call_for_a_known_time
