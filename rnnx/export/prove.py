"""Runs the probes through Keras and through every form, and compares the results with the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras

from rnnx.export.keras_states import KerasRunner
from rnnx.export.probes import Probes
from rnnx.export.saved_model import compare_saved
from rnnx.keras_models.plain_model import PlainModel
from rnnx.proof.compare import compare_runtime, trace_drift
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.invariance import compare_forms
from rnnx.proof.progress import reported, track
from rnnx.proof.report import InvarianceReport, ParityReport, PrecisionReport
from rnnx.reference import Network
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding.decisions import decide_distinct_rows
from rnnx.runtime.session import devices_for


def prove(
    model: keras.Model,
    network: Network,
    forms: Mapping[str, Rewritten],
    probes: Probes,
    on_stage: Callable[[str], None] = lambda stage: None,
    plain: PlainModel | None = None,
) -> ParityReport:
    """Compares Keras and each form with the reference.

    Args:
        model: The Keras model in plain form.
        network: Its reference.
        forms: The forms by file name.
        probes: The inputs to run.
        on_stage: Called with the reason if Keras has to run step by step.
        plain: The same model with the one that was saved, if it is to be compared too.
    """
    batches = probes.batches
    inputs = (network.named(batch.given) for batch in track(batches, "bounding rounding errors"))
    decisions = decide_distinct_rows(network, inputs)
    with reported("tracing Keras"):
        run_keras = KerasRunner(model, network, on_stage)
    runtimes = [compare_runtime(run_keras.name, network, batches, map(run_keras, batches), decisions)]
    precision = None
    if plain is not None and plain.saved is not None:
        with reported("running Keras as the model was saved"):
            saved = compare_saved(plain, network, batches, decisions)
        if isinstance(saved, PrecisionReport):
            precision = saved
        else:
            runtimes.append(saved)
    with reported(f"following {run_keras.name} along a long sequence"):
        drift = trace_drift(run_keras.name, network, probes.long_batch, run_keras(probes.long_batch))
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
        precision=precision,
        overflow_count=probes.overflow_count,
    )
