"""The proof of a single form; needs the [train] extra."""

from __future__ import annotations

import keras

from rnnx.export.probes import Probes
from rnnx.export.prove import prove
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare import ProbeBatch
from rnnx.rewrites.replace import Rewritten
from tests.networks import IDS


def require_proved(model: keras.Model, rewritten: Rewritten) -> None:
    """Every state and the result, within what rounding can do; the batch, and its rows alone."""
    network = read_network(model)
    names = tuple("abcde")
    batches = [ProbeBatch(IDS, names), *(ProbeBatch(IDS[i : i + 1], names[i : i + 1]) for i in range(5))]
    probes = Probes(tuple(batches), text_count=0, trap_count=5, long_batch=batches[0])
    report = prove(model, network, {"model.batch.onnx": rewritten}, probes)
    (form,) = report.runtimes[1:]
    assert {layer.layer for layer in form.layers} == {*network.recurrent_nodes, "probs", "end to end"}
    for layer in form.layers:
        assert layer.ratio is not None
        assert layer.ratio <= 1, layer
