"""Runs a Keras model as it was saved, where the export has rebuilt it in plain form (`rnnx.keras_models.plain_model`).

In float32 the saved model must agree with the reference within the rounding bound of its outputs, so a mistake of the
rebuilding cannot pass. In another precision it only shows how far that precision is from the float32 network of the
same weights, which is what the files compute. A stateful model reads each sequence in successive calls; one that reads
backwards makes a single call, from the states that are inputs of the files.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rnnx.export.traced import compiled
from rnnx.keras_models.plain_model import PlainModel
from rnnx.keras_models.plain_names import is_scope
from rnnx.proof.compare import ProbeBatch, largest_ratio
from rnnx.proof.report import END_TO_END, LayerReport, PrecisionReport, RuntimeReport
from rnnx.reference import Network
from rnnx.reference.streaming import with_time
from rnnx.rounding.decisions import Decisions, decide, label_ids

_DEVICE = "cpu:0"
_Arrays = Sequence[npt.NDArray[Any]]
# Outputs of a batch by name.
_Answers = Mapping[str, npt.NDArray[Any]]


def compare_saved(
    plain: PlainModel, network: Network, batches: Sequence[ProbeBatch], decisions: Sequence[Mapping[str, Decisions]]
) -> RuntimeReport | PrecisionReport:
    """Compares the saved model with the reference, end to end.

    Args:
        plain: The model and its plain form.
        network: The reference of the plain form.
        batches: The inputs to run.
        decisions: The outputs of the reference for each batch, with their bounds.

    Returns:
        The comparison; for a model in another precision than float32, only how far it is from the reference.
    """
    run = _make_run(plain, network)
    chosen = [i for i, batch in enumerate(batches) if _takes(plain, network, batch)]
    if chosen:
        batches, decisions = [batches[i] for i in chosen], [decisions[i] for i in chosen]
    else:
        batches = [_in_whole_calls(plain, network, batch) for batch in batches[:2]]
        decisions = [decide(network, batch.given) for batch in batches]
    answers = [run(batch) for batch in batches]
    if plain.policy:
        return _measure(plain.policy, answers, decisions)
    rows: list[LayerReport] = []
    problems = []
    for batch, given, expected in zip(batches, answers, decisions, strict=True):
        for name, decision in expected.items():
            if given[name].shape != decision.values.shape:
                problems.append(f"{name} should have the shape {decision.values.shape}, not {given[name].shape}")
                continue
            rows.append(largest_ratio(END_TO_END, batch, decision.values, decision.bounds, given[name]))
    worst = max(rows, key=lambda row: np.inf if row.ratio is None else row.ratio, default=None)
    differences = [row.difference for row in rows if row.difference is not None]
    return RuntimeReport(
        f"keras {keras.__version__}, as saved",
        (worst,) if worst else (),
        max(differences) if worst and len(differences) == len(rows) else None,
        0,
        0,
        tuple(problems),
    )


def _takes(plain: PlainModel, network: Network, batch: ProbeBatch) -> bool:
    """Whether the saved model can read a batch. A stateful model may read a fixed number of positions in a call.

    Then the last call is filled up with zeros, which the outputs of earlier positions do not depend on.
    """
    if plain.saved is None or not plain.is_stateful:
        return True
    size, timed = plain.saved.inputs[0].shape[1], with_time(network)
    return not size or batch.time % size == 0 or all(node.name in timed for node in network.ends.values())


def _in_whole_calls(plain: PlainModel, network: Network, batch: ProbeBatch) -> ProbeBatch:
    """Returns a batch with a time that a stateful model reads in whole calls, its positions repeated if need be."""
    assert plain.saved is not None  # noqa: S101  # the model was rebuilt
    size = plain.saved.inputs[0].shape[1]
    positions = np.arange(size * max(1, batch.time // size)) % batch.time
    given = network.named(batch.given)
    is_timed = {port.name: port.shape[:1] == (None,) for port in network.inputs}
    cut = {name: values[:, positions] if is_timed[name] else values for name, values in given.items()}
    return dataclasses.replace(batch, given=cut)


def _measure(policy: str, answers: Sequence[_Answers], decisions: Sequence[Mapping[str, Decisions]]) -> PrecisionReport:
    pairs = [
        (decision, given[name].astype(np.float64))
        for given, expected in zip(answers, decisions, strict=True)
        for name, decision in expected.items()
    ]
    largest = max(float(np.abs(decision.values - actual).max()) for decision, actual in pairs)
    labels = [
        (decision.label_ids, label_ids(decision.head, actual))
        for decision, actual in pairs
        if decision.head != "values"
    ]
    return PrecisionReport(
        policy,
        largest if np.isfinite(largest) else None,
        sum(expected.size for expected, _ in labels),
        sum(int((expected != actual).sum()) for expected, actual in labels),
    )


def _make_run(plain: PlainModel, network: Network) -> Callable[[ProbeBatch], _Answers]:
    """Returns a function that runs the saved model on a batch."""
    model: Any = plain.saved
    structure = (model._functional if isinstance(model, keras.Sequential) else model)._inputs_struct
    keeps_states = plain.is_stateful or bool(plain.given_states)
    shapes = [(tensor.shape[0] if keeps_states else None, *tensor.shape[1:]) for tensor in model.inputs]
    # Given states are inputs of the network after those of the saved model.
    signature = [
        tf.TensorSpec(shape, tf.as_dtype(port.dtype))
        for shape, port in zip(shapes, network.inputs[: len(shapes)], strict=True)
    ]

    def call(*inputs: Any) -> list[Any]:
        outputs: list[Any] = keras.tree.flatten(
            model(keras.tree.pack_sequence_as(structure, list(inputs)), training=False)
        )
        return outputs

    has_scopes = all(is_scope(layer.name) for layer in model._flatten_layers())  # else TensorFlow refuses a name
    with _quietly_on_cpu():
        function = compiled(call, signature, model) if has_scopes else call

    def run(inputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        with _quietly_on_cpu():
            outputs = function(*(tf.constant(array, spec.dtype) for array, spec in zip(inputs, signature, strict=True)))
            return [np.asarray(keras.ops.cast(values, "float32")) for values in outputs]

    def run_batch(batch: ProbeBatch) -> _Answers:
        inputs = list(network.named(batch.given).values())
        if plain.given_states:
            outputs = _from_given_states(plain, run, inputs)
        else:
            outputs = _in_calls(model, network, run, inputs) if plain.is_stateful else run(inputs)
        return dict(zip(network.ends, outputs, strict=True))

    return run_batch


@contextmanager
def _quietly_on_cpu() -> Iterator[None]:
    """Runs Keras on the CPU, without warnings of nested models, to which it hands a mask that they do not expect."""
    with keras.device(_DEVICE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _from_given_states(
    plain: PlainModel, run: Callable[[Sequence[npt.NDArray[Any]]], list[npt.NDArray[Any]]], inputs: _Arrays
) -> list[npt.NDArray[Any]]:
    """Runs one call of a stateful model from given states, as many rows at once as it was made for.

    Args:
        plain: The model and its plain form.
        run: Runs the saved model.
        inputs: The inputs of the saved model, and the states before the call.

    Returns:
        The outputs of the saved model, and its states after the call.
    """
    assert plain.saved is not None  # noqa: S101  # the model was rebuilt
    own, first = inputs[: -len(plain.given_states)], inputs[-len(plain.given_states) :]
    variables = [keras.tree.flatten(state.layer.states)[state.index] for state in plain.given_states]
    count, rows = plain.saved.inputs[0].shape[0], len(own[0])
    parts = []
    for start in range(0, rows, count):
        # The last rows are repeated if there are too few.
        chosen = np.minimum(np.arange(start, start + count), rows - 1)
        for variable, values in zip(variables, first, strict=True):
            variable.assign(keras.ops.cast(values[chosen], variable.dtype))
        outputs = run([values[chosen] for values in own])
        parts.append([*outputs, *(np.asarray(keras.ops.cast(variable, "float32")) for variable in variables)])
    return [np.concatenate(values)[:rows] for values in zip(*parts, strict=True)]


def _in_calls(
    model: Any,
    network: Network,
    run: Callable[[Sequence[npt.NDArray[Any]]], list[npt.NDArray[Any]]],
    inputs: Sequence[npt.NDArray[Any]],
) -> list[npt.NDArray[Any]]:
    """Runs a stateful model: as many rows at once as it was made for, and their positions in at least two calls."""
    count, size = model.inputs[0].shape[:2]
    rows, time = inputs[0].shape[:2]
    step = size or -(-time // 2)
    missing = -time % size if size else 0
    inputs = [np.pad(array, ((0, 0), (0, missing)) + ((0, 0),) * (array.ndim - 2)) for array in inputs]
    timed = with_time(network)
    parts = []
    for start in range(0, rows, count):
        # The last rows are repeated if there are too few.
        chosen = np.minimum(np.arange(start, start + count), rows - 1)
        for layer in model._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.RNN):
                for state in keras.tree.flatten(layer.states):  # Keras cannot reset those of several cells
                    state.assign(keras.ops.zeros_like(state))
        calls = [run([values[chosen, first : first + step] for values in inputs]) for first in range(0, time, step)]
        parts.append(
            [
                np.concatenate([outputs[i] for outputs in calls], axis=1)[:, :time]
                if node.name in timed
                else calls[-1][i]
                for i, node in enumerate(network.ends.values())
            ]
        )
    return [np.concatenate(values)[:rows] for values in zip(*parts, strict=True)]
