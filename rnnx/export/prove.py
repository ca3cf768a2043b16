"""Runs the probes through Keras and through every file that would ship, and compares each with the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from rnnx.export.probes import Probes
from rnnx.infer.session import Device, Session
from rnnx.parity import Outputs, ProbeBatch, compare_runtime
from rnnx.propagation import decide
from rnnx.reference import Network
from rnnx.report import ParityReport, RuntimeReport
from rnnx.rewrites.replace import Rewritten
from rnnx.states import with_states


def prove(model: keras.Model, network: Network, forms: Mapping[str, Rewritten], probes: Probes) -> ParityReport:
    """Compares Keras and each form with the reference.

    Args:
        model: The Keras model.
        network: Its reference.
        forms: By file name, what would ship.
        probes: What to run.
    """
    batches = probes.batches
    decisions = [decide(network, batch.ids) for batch in batches]
    keras_outputs = [_run_keras(model, network, batch) for batch in batches]
    reports = [compare_runtime(f"keras {keras.__version__}", network, batches, keras_outputs, decisions)]
    for name, form in forms.items():
        shipped = form.model.SerializeToString()
        stateful_model = with_states(shipped, form.recipe())
        for device in _devices(shipped):
            session, stateful = Session(shipped, device=device), Session(stateful_model, device=device)
            outputs = [_run_onnx(stateful, form.states, batch) for batch in batches]
            runtime = f"{name}, {session.provider}"
            report = compare_runtime(runtime, network, batches, outputs, decisions)
            reports.append(_require_same(report, session, batches, outputs))
    return ParityReport(probes.text_count, probes.trap_count, probes.longest, tuple(reports))


def _devices(model: bytes) -> list[Device]:
    return ["cpu"] if Session(model, device="auto").device == "cpu" else ["cpu", "cuda"]


def _run_onnx(session: Session, states: Mapping[str, str], batch: ProbeBatch) -> Outputs:
    outputs = dict(zip(session.output_names, session.run(batch.ids), strict=True))
    return Outputs(outputs["probs"], {layer: outputs[name].transpose(1, 0, 2) for layer, name in states.items()})


def _require_same(
    report: RuntimeReport, session: Session, batches: Sequence[ProbeBatch], outputs: Sequence[Outputs]
) -> RuntimeReport:
    """The states came from a copy that has them as outputs: the file itself has to give the same bits."""
    for batch, out in zip(batches, outputs, strict=True):
        if not np.array_equal(session.run(batch.ids)[0], out.probs, equal_nan=True):
            problem = f"the file and its copy with states differ on the batch of {batch.names[0]!r}"
            return dataclasses.replace(report, problems=(*report.problems, problem))
    return report


def _run_keras(model: keras.Model, network: Network, batch: ProbeBatch) -> Outputs:
    """Runs Keras step by step and writes down each state that its cells are given and give.

    Called eagerly, Keras's recurrence is a Python loop over the cell. What a cell is given at a step is the state after
    the step before, masks applied; the state after the last step is the layer's own result.
    """
    given: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in network.recurrent_nodes}
    last: dict[str, npt.NDArray[np.float32]] = {}
    with _recorded(model, given, last):
        probs = np.asarray(model(batch.ids, training=False))
    # Keras calls the cell once more up front, for the shapes of its outputs.
    states = {
        name: np.stack([*steps[len(steps) - batch.ids.shape[1] :][1:], last[name]], axis=1)
        for name, steps in given.items()
    }
    return Outputs(probs, states)


@contextmanager
def _recorded(
    model: keras.Model, given: dict[str, list[npt.NDArray[np.float32]]], last: dict[str, npt.NDArray[np.float32]]
) -> Iterator[None]:
    recurrent = dict(_recurrent_layers(model))
    for name, layer in recurrent.items():
        layer.cell.call = _record_given(layer.cell.call, given[name])
        layer.inner_loop = _record_last(layer.inner_loop, name, last)
    try:
        yield
    finally:
        for layer in recurrent.values():
            del layer.cell.call, layer.inner_loop


def _record_given(call: Callable[..., Any], given: list[npt.NDArray[np.float32]]) -> Callable[..., Any]:
    def recording(inputs: Any, states: Any, training: bool = False) -> Any:
        given.append(np.asarray(states[0] if isinstance(states, list | tuple) else states))
        return call(inputs, states, training=training)

    return recording


def _record_last(
    inner_loop: Callable[..., Any], name: str, last: dict[str, npt.NDArray[np.float32]]
) -> Callable[..., Any]:
    def recording(*args: Any, **kwargs: Any) -> Any:
        last_output, outputs, states = inner_loop(*args, **kwargs)
        last[name] = np.asarray(states[0])
        return last_output, outputs, states

    return recording


def _recurrent_layers(model: keras.Model) -> Iterator[tuple[str, Any]]:
    for layer in model.layers:
        if isinstance(layer, layers.SimpleRNN):
            yield layer.name, layer
        elif isinstance(layer, layers.Bidirectional):
            for half in (layer.forward_layer, layer.backward_layer):
                yield f"{layer.name}.{'backward' if half.go_backwards else 'forward'}", half
