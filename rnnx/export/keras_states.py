"""Runs Keras on the probes: its outputs, and the state of every recurrent layer after every step.

The proof compares Keras itself with the reference: the model's own layers, with their own cells, weights and float32
kernels, traced into one TensorFlow graph. There is only one change. While the graph is traced, each recurrent layer
runs its own loop with `return_sequences=True`, so that the loop returns the state after each step, and not only the
last one. The graph is traced once per model, for any batch size and time (`rnnx.export.traced`). Called eagerly, Keras
would run each step of each layer in Python, which takes 30 times as long on the shipped model and gives the same
states.

A model that cannot be traced that way is run eagerly, and the name of the runtime in the report says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rnnx.errors import one_line
from rnnx.export.traced import compiled, flat_outputs
from rnnx.keras_models.read_recurrent import recurrent_layers
from rnnx.proof.compare import Outputs, ProbeBatch
from rnnx.reference import Network, cell_state_of

# Keras runs on the CPU even if TensorFlow has a GPU, which may compute matrix products in TF32 instead of float32.
_DEVICE = "cpu:0"
# Raised by a trace if a layer needs values that only an eager call has. TensorFlow's own errors of this kind
# (OperatorNotAllowedInGraphError, InaccessibleTensorError) are a TypeError and a ValueError.
_TRACE_ERRORS = (TypeError, ValueError, NotImplementedError, tf.errors.OpError)


class KerasRunner:
    """Runs one Keras model on batches of probes.

    Attributes:
        name: What the report calls this runtime, such as `keras 3.15.1`.
    """

    def __init__(
        self, model: keras.Model, network: Network, on_stage: Callable[[str], None] = lambda stage: None
    ) -> None:
        """Traces the model.

        Args:
            model: The Keras model.
            network: Its reference, which names its inputs, outputs and recurrent layers.
            on_stage: Called with the reason if Keras has to run step by step.
        """
        self._network = network
        self.name = f"keras {keras.__version__}"
        try:
            self._run = _trace(model, network)
        except _TRACE_ERRORS as error:
            reason = one_line(error)
            self.name += ", called step by step"
            self._run = lambda inputs: run_eagerly(model, network, inputs)
            on_stage(f"running Keras step by step, which takes longer: {reason}")

    def __call__(self, batch: ProbeBatch) -> Outputs:
        """Runs a batch.

        Returns:
            The outputs by name, and the states `(batch, time, units)` float32 of each recurrent layer, in the order in
            which they were computed. A masked position has the state of the step before it.
        """
        answers, states = self._run(list(self._network.named(batch.given).values()))
        return Outputs(
            {name: np.asarray(values) for name, values in zip(self._network.ends, answers, strict=True)},
            {name: np.asarray(values) for name, values in states.items()},
        )


# Takes the inputs in the network's order. Returns the outputs in the network's order, and the states by layer.
_Run = Callable[[Sequence[npt.NDArray[Any]]], tuple[Sequence[Any], dict[str, Any]]]


def _trace(model: keras.Model, network: Network) -> _Run:
    """Traces a model and the states of its recurrent layers into one graph."""
    signature = [tf.TensorSpec((None, *port.shape), tf.as_dtype(port.dtype)) for port in network.inputs]

    def run(*inputs: tf.Tensor) -> tuple[list[tf.Tensor], dict[str, tf.Tensor]]:
        states: dict[str, tf.Tensor] = {}
        with _own_loops(model), _with_all_states(model, network, states):
            return _call(model, inputs), states

    with keras.device(_DEVICE):
        graph = compiled(run, signature, model)

    def run_graph(inputs: Sequence[npt.NDArray[Any]]) -> tuple[Sequence[Any], dict[str, Any]]:
        with keras.device(_DEVICE):
            answers, states = graph(*map(tf.constant, inputs))
        return answers, states

    return run_graph


def _call(model: keras.Model, inputs: Sequence[Any]) -> list[Any]:
    return flat_outputs(model(list(inputs) if len(inputs) > 1 else inputs[0], training=False))


def _read_layers(model: keras.Model, network: Network) -> Iterator[tuple[str, Any]]:
    """Yields the recurrent layers with their names, without a half of a Bidirectional that no other layer reads."""
    return ((name, layer) for name, layer in recurrent_layers(model) if name in network.recurrent_nodes)


@contextmanager
def _own_loops(model: keras.Model) -> Iterator[None]:
    """Keeps LSTM and GRU from running as one cuDNN operator, which does not show its states."""
    layers = [layer for _, layer in recurrent_layers(model) if hasattr(layer, "use_cudnn")]
    before = [layer.use_cudnn for layer in layers]
    for layer in layers:
        layer.use_cudnn = False
    try:
        yield
    finally:
        for layer, use_cudnn in zip(layers, before, strict=True):
            layer.use_cudnn = use_cudnn


@contextmanager
def _with_all_states(model: keras.Model, network: Network, states: dict[str, Any]) -> Iterator[None]:
    """Makes each recurrent layer store the states of its loop in `states`, by its name, when it is called."""
    with ExitStack() as stack:
        for name, layer in _read_layers(model, network):
            loop = _loop_with_states(layer, layer.inner_loop, name, states, network)
            stack.enter_context(_patched(layer, "inner_loop", loop))
        yield


def _loop_with_states(
    layer: Any, inner_loop: Callable[..., Any], name: str, states: dict[str, Any], network: Network
) -> Callable[..., Any]:
    """Wraps Keras's loop over the cell so that it also stores the state after each step, and the last cell state.

    The output of a cell is its state h, so the outputs of all steps are the states, and a masked position keeps the
    output before it. There are two exceptions. With first states, the output is zero until the first position that
    counts, and the state is the first state. With `zero_output_for_mask`, the output is zero at masked positions. Then
    the loop runs twice: once for the states, and once with the layer's own settings.
    """
    has_first = any(node.name == name and len(node.inputs) > 1 for node in network.nodes)

    def loop(sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> Any:
        with _set(layer, return_sequences=True, zero_output_for_mask=False):
            last, outputs, last_states = inner_loop(sequences, initial_state, mask, training=training)
        states[name] = _as_vectors(outputs)
        if has_first:
            states[name] = _as_vectors(_from_first(layer, outputs, keras.tree.flatten(initial_state)[0], mask))
        if cell_state_of(name) in network.shown_states:
            states[cell_state_of(name)] = _as_vectors(last_states[1][:, None])
        if layer.zero_output_for_mask and mask is not None:
            return inner_loop(sequences, initial_state, mask, training=training)
        return last, outputs, last_states

    return loop


def _as_vectors(states: Any) -> Any:
    """Returns states `(batch, time, units)`; those of a ConvLSTM are images, and the reference has vectors."""
    shape = keras.ops.shape(states)
    return states if len(shape) == 3 else keras.ops.reshape(states, (*shape[:2], prod(states.shape[2:])))


def _from_first(layer: Any, outputs: Any, first: Any, mask: Any) -> Any:
    """Returns the states `(batch, time, units)` that belong to the outputs of a layer with a first state."""
    mask = mask[0] if isinstance(mask, list | tuple) else mask
    if mask is None:
        return outputs
    mask = tf.reverse(mask, [1]) if layer.go_backwards else mask
    is_started = tf.cumsum(tf.cast(mask, tf.int32), axis=1)[:, :, None] > 0
    return tf.where(is_started, outputs, first[:, None])


@contextmanager
def _set(layer: Any, **settings: bool) -> Iterator[None]:
    """Sets attributes of a layer, and restores them at the end."""
    before = {name: getattr(layer, name) for name in settings}
    for name, value in settings.items():
        setattr(layer, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(layer, name, value)


def run_eagerly(
    model: keras.Model, network: Network, inputs: Sequence[npt.NDArray[Any]]
) -> tuple[Sequence[Any], dict[str, Any]]:
    """Runs Keras step by step, and records the state after each step.

    Called eagerly, Keras's recurrence is a Python loop over the cell. The state that the cell receives at a step is the
    state after the step before it, with the mask applied. The state after the last step is returned by the loop.

    Args:
        model: The Keras model.
        network: Its reference.
        inputs: The inputs in the network's order.

    Returns:
        The outputs in the network's order, and the states `(batch, time, units)` by recurrent layer.
    """
    given: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in network.recurrent_nodes}
    last: dict[str, list[npt.NDArray[np.float32]]] = {}
    with keras.device(_DEVICE), _own_loops(model), ExitStack() as stack:
        for name, layer in _read_layers(model, network):
            stack.enter_context(_patched(layer.cell, "call", _record_given(layer.cell.call, given[name])))
            stack.enter_context(_patched(layer, "inner_loop", _record_last(layer.inner_loop, name, last)))
        outputs = _call(model, inputs)
    # Keras calls the cell one more time at the start, to learn the shapes of its outputs. The second slice drops the
    # initial state.
    states = {name: np.stack([*steps[1:][1:], last[name][0]], axis=1) for name, steps in given.items()}
    cells = {name: cell_state_of(name) for name in given}
    states |= {cells[name]: last[name][1][:, None] for name in given if cells[name] in network.shown_states}
    return outputs, {name: values.reshape(*values.shape[:2], -1) for name, values in states.items()}


@contextmanager
def _patched(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Replaces a method of one object, and at the end restores what the object itself had under that name."""
    missing = object()
    before = vars(owner).get(name, missing)
    setattr(owner, name, function)
    try:
        yield
    finally:
        if before is missing:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _record_given(call: Callable[..., Any], given: list[npt.NDArray[np.float32]]) -> Callable[..., Any]:
    """Wraps a cell's `call` so that it appends the state that it receives to `given`."""

    def recording(inputs: Any, states: Any, training: bool = False) -> Any:
        given.append(np.asarray(states[0] if isinstance(states, list | tuple) else states))
        return call(inputs, states, training=training)

    return recording


def _record_last(
    inner_loop: Callable[..., Any], name: str, last: dict[str, list[npt.NDArray[np.float32]]]
) -> Callable[..., Any]:
    """Wraps a layer's loop so that it stores the states after the last step in `last`."""

    def recording(*args: Any, **kwargs: Any) -> Any:
        last_output, outputs, states = inner_loop(*args, **kwargs)
        last[name] = [np.asarray(state) for state in states]
        return last_output, outputs, states

    return recording
