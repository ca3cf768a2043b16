"""Rebuilds a Keras model in plain form: one functional model that calls each of its layers once, in float32.

The reader of networks, the trace for tf2onnx and the run of Keras in the proof all rely on this form. It is made by
running through the graph of the model with a copy of the layer for each call: nested models are called layer by layer,
a layer that is called twice becomes two layers with the same weights, a recurrence of cells becomes recurrent layers
(`rnnx.keras_models.plain_cells`), `unroll` and `stateful` are off, and every precision is float32. A model that already
has this form is left as it is. The proof also compares the model as it was saved with the same reference
(`rnnx.export.saved_model`), so a wrong copy cannot pass. Imports Keras.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import layers
from keras.src.models.functional import Functional

from rnnx.errors import ModelError, one_line
from rnnx.keras_models.explicit_masks import is_same_mask
from rnnx.keras_models.folding import Fold, Unfold, is_per_position
from rnnx.keras_models.given_states import GivenState, GivenStates, is_stateful, returning_states
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.plain_activations import call_with_activation, has_activation_layer
from rnnx.keras_models.plain_cells import call_with_layers, has_cells
from rnnx.keras_models.plain_names import PlainNames, clean_name, has_usual_inputs, input_names, is_scope, output_names
from rnnx.keras_models.plain_operations import call_replaced, is_replaced

_FLOATS = ("float16", "bfloat16", "float32", "float64")
_POLICIES = ("float32", "float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class PlainModel:
    """A Keras model in plain form.

    Attributes:
        model: The model in which each layer is called once, in float32.
        saved: The model as it was saved; None if `model` is that model.
        output_names: The names of the outputs; None to name them after the layers of `model`.
        policy: The precision of Keras in which the saved model computes, such as `mixed_float16`; "" for float32.
        is_stateful: Whether the saved model keeps its states from call to call, and reads forward, so that the model
            computes the same over all calls at once.
        given_states: The states of another stateful model, which are inputs and outputs of the model after those of the
            saved one (`rnnx.keras_models.given_states`).
        notes: What the user should know about it, a sentence each.
    """

    model: keras.Model
    saved: keras.Model | None = None
    output_names: tuple[str, ...] | None = None
    policy: str = ""
    is_stateful: bool = False
    given_states: tuple[GivenState, ...] = ()
    notes: tuple[str, ...] = ()


def make_plain(model: keras.Model) -> PlainModel:
    """Rebuilds a model in plain form, unless it already has this form.

    Raises:
        ModelError: If the model was never built, is a subclass whose `call` is code, or has a layer that cannot be
            copied. The message names the layer.
    """
    function = _function_of(model)
    every = [layer for layer in model._flatten_layers(include_self=False) if not isinstance(layer, layers.InputLayer)]
    policy = ", ".join(dict.fromkeys(_policy_of(layer) for layer in every if _policy_of(layer) != "float32"))
    stateful = [layer for layer in every if isinstance(layer, layers.RNN) and layer.stateful]
    if not (policy or stateful or _is_unusual(model.name, function, every)):
        return PlainModel(model)
    if any(has_cells(layer) and layer.go_backwards for layer in stateful):
        raise refusal(stateful[0], "is stateful, reads backwards, and has cells; use the layers SimpleRNN, LSTM or GRU")
    if stateful and (others := [layer for layer in every if isinstance(layer, layers.RNN) and not layer.stateful]):
        raise refusal(
            others[0], f"starts anew with each call, but {stateful[0].name} is stateful; make all of them stateful"
        )
    names = PlainNames()
    inputs = [
        (names.of_input(name, tensor, is_alone=len(function.inputs) == 1), tensor)
        for name, tensor in zip(input_names(function), function.inputs, strict=True)
    ]
    if any(layer.go_backwards for layer in stateful):
        return _with_given_states(model, function, inputs, names, policy)
    before = copy.deepcopy(names)
    try:
        # A stateful model reads one chunk after another, and a chunk may have any length if no layer needs a fixed one.
        plain = _rebuild(model, function, inputs, names, is_open=bool(stateful))
    except ModelError:
        names = before
        if stateful and not any(map(has_cells, stateful)):
            return _with_given_states(model, function, inputs, names, policy)
        plain = _rebuild(model, function, inputs, names, is_open=False)
    outputs = names.of_outputs(output_names(function))
    notes = [*names.changes, *_notes_of(policy)]
    if stateful:
        notes.append("the model keeps its states from call to call; model.stream.onnx takes them in and puts them out")
    return PlainModel(plain, model, outputs, policy, bool(stateful), notes=tuple(notes))


def _with_given_states(
    model: keras.Model, function: Any, inputs: Sequence[tuple[str, Any]], names: PlainNames, policy: str
) -> PlainModel:
    """Rebuilds a stateful model that reads backwards, or calls of a fixed length; see `given_states`.

    Args:
        model: The saved model.
        function: Its graph.
        inputs: The name of each input, and its tensor.
        names: Gives the copies their names.
        policy: The precision in which the saved model computes; "" for float32.
    """
    given = GivenStates(names)
    plain = _rebuild(model, function, inputs, names, is_open=False, given=given)
    halves = [layer for layer in model._flatten_layers(include_self=False) if isinstance(layer, layers.RNN)]
    if missing := [half for half in halves if not any(half is state.layer for state in given.states)]:
        raise refusal(missing[0], "is stateful where rnnx cannot give it its states; call it in the model itself")
    outputs = names.of_outputs(iter([*output_names(function), *(state.output for state in given.states)]))
    told = ", ".join(state.input for state in given.states)
    reading = (
        "reads backwards within a call" if any(half.go_backwards for half in halves) else "needs calls of its length"
    )
    note = (
        f"the model keeps its states from call to call, and {reading}; a file computes one call: it "
        f"takes the states in as {told}, zeros at the beginning, and puts out those after the call"
    )
    notes = (*names.changes, *_notes_of(policy), note)
    return PlainModel(plain, model, outputs, policy, given_states=tuple(given.states), notes=notes)


def _notes_of(policy: str) -> list[str]:
    """Returns what the user should know about the precision of a model."""
    if not policy:
        return []
    rounded = ", with its weights rounded to float32 once" if "float64" in policy else ", with the weights as stored"
    return [f"Keras computes this model in {policy}; the files compute it in float32{rounded}"]


def _function_of(model: keras.Model) -> Any:
    """Returns the graph of a model.

    Raises:
        ModelError: If it has none, because it was never built or its `call` is code.
    """
    if type(model) is keras.Sequential:
        if model._functional is None:
            first = next(iter(model.layers), None)
            shape = '(None,), dtype="int32"' if isinstance(first, layers.Embedding) else "(None, FEATURES)"
            raise ModelError(
                f"model {model.name}: it was never built, so nothing says what it reads; make keras.Input({shape}) its "
                "first layer, and train and save it again"
            )
        return model._functional
    if not isinstance(model, Functional) or type(model).call is not Functional.call:
        raise ModelError(
            f"model {model.name} ({type(model).__name__}): it is a subclass of keras.Model, and its call is code that "
            "rnnx does not read; build the same network as keras.Model(inputs, outputs), give it the weights by "
            "set_weights(model.get_weights()), and export that"
        )
    return model


def _is_unusual(name: str, function: Any, every: Sequence[Any]) -> bool:
    """Whether the graph has anything that the reader of networks does not read."""
    operations = [node.operation for node in _nodes_of(function)]
    return (
        any(isinstance(operation, keras.Model | layers.SpectralNormalization) for operation in operations)
        or any(map(is_folded, operations))
        or any(map(has_activation_layer, operations))
        or any(map(is_replaced, operations))
        or len({id(operation) for operation in operations}) < len(operations)
        or any(getattr(layer, "unroll", False) or has_cells(layer) for layer in every)
        or not isinstance(function._inputs_struct, keras.KerasTensor | list | tuple)
        or isinstance(function._outputs_struct, dict)
        or not all(is_scope(operation.name) for operation in operations)
        or not is_scope(name)
        or not has_usual_inputs(function)
    )


def _policy_of(layer: Any) -> str:
    """Returns the name of the precision of a layer.

    Raises:
        ModelError: If it is not one of floating-point numbers.
    """
    name = str(layer.dtype_policy.name)
    if name not in _POLICIES:
        raise refusal(layer, f"computes in {name}; supported are {', '.join(_POLICIES)}")
    return name


def _rebuild(
    model: keras.Model,
    function: Any,
    inputs: Sequence[tuple[str, Any]],
    names: PlainNames,
    *,
    is_open: bool,
    given: GivenStates | None = None,
) -> keras.Model:
    """Runs through the graph of a model with copies of its layers.

    Args:
        model: The saved model.
        function: Its graph.
        inputs: The name of each input, and its tensor.
        names: Gives the copies their names.
        is_open: Whether the time of each input becomes open.
        given: Collects the states of stateful layers, which become inputs and outputs; None to start all at zero.
    """
    tensors = []
    for name, tensor in inputs:
        shape = tuple(tensor.shape[1:])
        shape = (None, *shape[1:]) if is_open and shape else shape
        tensors.append(keras.Input(shape, dtype="float32" if tensor.dtype in _FLOATS else tensor.dtype, name=name))
    try:
        outputs = _run(function, tensors, "", names, given)
    # What a layer of Keras raises if it is built or called with settings or shapes that it does not support.
    except (ValueError, TypeError, NotImplementedError) as error:
        raise ModelError(f"model {model.name}: its layers cannot be copied: {one_line(error)}") from error
    if given is not None:
        tensors, outputs = [*tensors, *given.inputs], [*outputs, *given.outputs]
    return keras.Model(tensors, outputs, name=clean_name(model.name))


def _run(
    function: Any, tensors: Sequence[Any], prefix: str, names: PlainNames, given: GivenStates | None = None
) -> list[Any]:
    """Calls copies of all layers of a graph on its inputs, and returns its outputs; see `_rebuild`."""
    values = {id(old): new for old, new in zip(function.inputs, tensors, strict=True)}
    for node in _nodes_of(function):
        args, kwargs = node.arguments.fill_in(values)
        operation = node.operation
        if isinstance(operation, keras.Model):
            inner = keras.tree.flatten(args[0] if args else kwargs["inputs"])
            outputs = _run(_function_of(operation), inner, f"{prefix}{names.clean(operation.name)}.", names, given)
        elif is_folded(operation):
            outputs = [_run_folded(operation, args, kwargs, prefix, names)]
        elif given is not None and is_stateful(operation, args, kwargs):
            copied = _copy_layer(operation, names.of_layer(prefix, operation.name), returning_states)
            outputs = given.call(operation, copied, args, kwargs)
            copied.set_weights(operation.get_weights())
        elif has_cells(operation):
            outputs = call_with_layers(operation, args, kwargs, partial(names.of_layer, prefix))
        elif is_replaced(operation):
            outputs = [call_replaced(operation, [*args, *kwargs.values()], partial(names.of_layer, prefix))]
        elif has_activation_layer(operation):
            copied = _copy_layer(operation, names.of_layer(prefix, operation.name), _with_linear)
            outputs = [call_with_activation(operation, args, kwargs, copied, partial(names.of_layer, prefix))]
        elif isinstance(operation, layers.Layer):
            # A SpectralNormalization changes the weights of its layer in training only.
            layer = operation.layer if type(operation) is layers.SpectralNormalization else operation
            outputs = _run_copy(layer, args, kwargs, names.of_layer(prefix, operation.name))
        else:
            name = names.of_layer(prefix, operation.name)
            outputs = keras.tree.flatten(_copy_operation(operation, name)(*args, **kwargs))
        values |= {id(old): new for old, new in zip(node.outputs, outputs, strict=True)}
    return [values[id(tensor)] for tensor in function.outputs]


def _run_copy(layer: Any, args: Any, kwargs: Any, name: str) -> list[Any]:
    """Calls a copy of a layer, and returns its outputs."""
    copied = _copy_layer(layer, name)
    outputs: list[Any] = keras.tree.flatten(copied(*args, **kwargs))
    copied.set_weights(layer.get_weights())
    if isinstance(copied, layers.Normalization):
        copied.finalize_state()  # it computes with copies of its weights
    if isinstance(copied, layers.IntegerLookup):
        copied.set_vocabulary(layer.get_vocabulary())  # its config has none if it was learned
    return outputs


def is_folded(operation: Any) -> bool:
    """Says whether an operation is a TimeDistributed whose layer needs each position as a row of its own."""
    return type(operation) is layers.TimeDistributed and not is_per_position(operation.layer)


def _run_folded(wrapper: Any, args: Any, kwargs: Any, prefix: str, names: PlainNames) -> Any:
    """Calls copies of the layers in a TimeDistributed on the positions of a sequence as rows.

    The layers at the end of a Sequential that compute each position alone come after the rows are positions again.

    Raises:
        ModelError: If the sequence has a mask that is not one of its positions, as Keras propagates it.
    """
    sequence = args[0] if args else kwargs["inputs"]
    own = getattr(sequence, "_keras_mask", None)
    given = kwargs.get("mask")
    if given is not None and (own is None or not is_same_mask(own, given)):
        raise refusal(wrapper, "has an explicit mask; only the masks that Keras propagates are supported")
    if own is not None and len(own.shape) != 2:
        raise refusal(wrapper, "reads sequences in a sequence, with a mask; use mask_zero=False in front of it")
    inner, within = wrapper.layer, f"{prefix}{names.clean(wrapper.name)}."
    after: list[Any] = []
    if type(inner) is keras.Sequential:
        before = list(inner.layers)
        while before and is_per_position(before[-1]):
            after.insert(0, before.pop())
    else:
        before = [inner]
    value = sequence
    if before:
        value = Fold(name=names.of_layer(within, "fold"))(value)
        for layer in before:
            if isinstance(layer, keras.Model):
                (value,) = _run(_function_of(layer), [value], f"{within}{names.clean(layer.name)}.", names)
            elif not isinstance(layer, layers.InputLayer):
                (value,) = _run_copy(layer, [value], {}, names.of_layer(within, layer.name))
        value = Unfold(name=names.of_layer(within, "unfold"))([value, sequence])
    for layer in after:
        (value,) = _run_copy(layer, [value], {}, names.of_layer(within, layer.name))
    return value


def _nodes_of(function: Any) -> list[Any]:
    """Returns the calls of a graph in the order of the computation; those of one layer in the order they were made."""
    by_depth = function._nodes_by_depth
    return [
        node
        for depth in sorted(by_depth, reverse=True)
        for node in sorted(by_depth[depth], key=lambda node: node.operation._inbound_nodes.index(node))
        if not node.is_input
    ]


def _copy_operation(operation: Any, name: str) -> Any:
    """Copies an operation that is no layer, such as a sum of two tensors, without its calls."""
    copied = copy.copy(operation)
    copied._inbound_nodes, copied._outbound_nodes, copied.name = [], [], name
    return copied


def _copy_layer(layer: Any, name: str, change: Callable[[Any], Any] = lambda config: config) -> Any:
    """Makes a layer of the same class and settings, in float32, which keeps no states and is not unrolled.

    Args:
        layer: The layer.
        name: The name of the copy.
        change: Changes its config further.

    Raises:
        ModelError: If its class is not one of Keras.
    """
    if not type(layer).__module__.startswith("keras."):
        raise refusal(layer, "is of an unsupported class")
    return type(layer).from_config({**change(_plain_config(layer.get_config())), "name": name})


def _with_linear(config: Any) -> Any:
    return {**config, "activation": "linear"}


def _plain_config(value: Any) -> Any:
    """Returns the config of a layer, and of the layers in it, with the settings of the plain form."""
    if isinstance(value, list | tuple):
        return [_plain_config(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _plain_config(item) for key, item in value.items()}
    if "dtype" in plain and (isinstance(value["dtype"], dict) or value["dtype"] in _POLICIES):
        plain["dtype"] = "float32"
    return plain | {key: False for key in ("unroll", "stateful") if key in plain}
