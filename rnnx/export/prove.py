"""Runs the probes through Keras and through every file that would ship, and compares each with the reference."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rnnx.export.probes import Probes
from rnnx.keras_models.read_network import recurrent_layers
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime, trace_drift
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.invariance import compare_forms
from rnnx.proof.report import InvarianceReport, ParityReport
from rnnx.reference import Network
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.decisions import decide
from rnnx.runtime.session import devices_for


def prove(model: keras.Model, network: Network, forms: Mapping[str, Rewritten], probes: Probes) -> ParityReport:
    """Compares Keras and each form with the reference.

    Args:
        model: The Keras model.
        network: Its reference.
        forms: By file name, what would ship.
        probes: What to run.
    """
    batches = probes.batches
    decisions = [decide(network, batch.given) for batch in batches]
    keras_name = f"keras {keras.__version__}"
    keras_outputs = [run_keras(model, network, batch) for batch in batches]
    runtimes = [compare_runtime(keras_name, network, batches, keras_outputs, decisions)]
    drift = trace_drift(keras_name, network, probes.long_batch, run_keras(model, network, probes.long_batch))
    invariance: list[InvarianceReport] = []
    answers = {}
    for name, form in forms.items():
        candidate = Candidate(name, form.model.SerializeToString(), form.recipe(), carried=form.carried)
        for device in devices_for(candidate.model):
            compared = compare_file(candidate, device, network, batches, decisions, probes.long_batch)
            runtimes += [compared.report, *compared.chunked]
            invariance += compared.invariance
            drift += compared.drift
            answers[compared.report.runtime] = compared.answers[0]
    invariance += compare_forms(answers, decisions[0])
    return ParityReport(
        probes.text_count,
        probes.trap_count,
        probes.longest,
        tuple(runtimes),
        invariance=tuple(invariance),
        drift=tuple(drift),
    )


def run_keras(model: keras.Model, network: Network, batch: ProbeBatch) -> Outputs:
    """Runs Keras step by step and writes down each state that its cells are given and give.

    Called eagerly, Keras's recurrence is a Python loop over the cell. What a cell is given at a step is the state after
    the step before, masks applied; the state after the last step is the layer's own result.
    """
    given: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in network.recurrent_nodes}
    last: dict[str, npt.NDArray[np.float32]] = {}
    inputs = list(network.named(batch.given).values())
    # Where TensorFlow has a card, its matrix products are in TF32, which is not what is proved.
    with keras.device("cpu:0"), _recorded(model, given, last):
        outputs = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    answers = {name: np.asarray(values) for name, values in zip(network.ends, outputs, strict=True)}
    # Keras calls the cell once more up front, for the shapes of its outputs.
    states = {name: np.stack([*steps[1:][1:], last[name]], axis=1) for name, steps in given.items()}
    return Outputs(answers, states)


@contextmanager
def _recorded(
    model: keras.Model, given: dict[str, list[npt.NDArray[np.float32]]], last: dict[str, npt.NDArray[np.float32]]
) -> Iterator[None]:
    recurrent = dict(recurrent_layers(model))
    # On a GPU, Keras hands an LSTM or GRU to cuDNN as a whole: no cell is called then.
    fused = {name: layer.use_cudnn for name, layer in recurrent.items() if hasattr(layer, "use_cudnn")}
    for name, layer in recurrent.items():
        if name in fused:
            layer.use_cudnn = False
        layer.cell.call = _record_given(layer.cell.call, given[name])
        layer.inner_loop = _record_last(layer.inner_loop, name, last)
    try:
        yield
    finally:
        for name, layer in recurrent.items():
            del layer.cell.call, layer.inner_loop
            if name in fused:
                layer.use_cudnn = fused[name]


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
