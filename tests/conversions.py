"""Conversions and exports of Keras networks, their expensive parts made once in a session; needs the [train] extra.

Three things take nearly all the time of an export: tf2onnx, the trace of Keras, and the bounds of decisions. They
depend on the network alone, the last one on the inputs too, so for equal ones they are computed once. The
rewriting, the comparisons and the verdict are always computed. Tests that are about one of the three, or that change
something else that it depends on, call `rnnx.export` themselves.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import onnx

from rnnx.export import forms, pipeline, prove, prove_text
from rnnx.export.convert import convert as convert_anew
from rnnx.export.keras_states import KerasRunner
from rnnx.export.pipeline import Exported
from rnnx.export.probes import Probes
from rnnx.export.source import Source
from rnnx.keras_models.read_network import read_network
from rnnx.proof import verify
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import Given, Network
from rnnx.rewrites.replace import Rewritten
from rnnx.rounding import decisions
from rnnx.rounding.decisions import Decisions
from rnnx.rounding.decisions import decide as decide_anew
from tests.networks import IDS

Forms = dict[str, Rewritten]

_CONVERTED: dict[str, onnx.ModelProto] = {}
_RUNNERS: dict[str, KerasRunner] = {}
_DECISIONS: dict[str, dict[str, Decisions]] = {}


def convert(model: keras.Model, network: Network) -> onnx.ModelProto:
    """As `rnnx.export.convert.convert`, once for equal networks; the copy may be changed."""
    key = _digest(_facts_of(model, network))
    if key not in _CONVERTED:
        _CONVERTED[key] = convert_anew(model, network)
    copy = onnx.ModelProto()
    copy.CopyFrom(_CONVERTED[key])
    return copy


def build_forms(model: keras.Model, network: Network, streaming: bool = False) -> Forms:
    """As `rnnx.export.forms.build_forms`, of a conversion from above."""
    with patch.object(forms, "convert", convert):
        return forms.build_forms(model, network, streaming)


def trace_keras(
    model: keras.Model, network: Network, on_stage: Callable[[str], None] = lambda stage: None
) -> KerasRunner:
    """As `rnnx.export.keras_states.KerasRunner`, traced once for equal networks."""
    key = _digest(_facts_of(model, network))
    if key not in _RUNNERS:
        _RUNNERS[key] = KerasRunner(model, network, on_stage)
    return _RUNNERS[key]


def decide(network: Network, given: Given) -> dict[str, Decisions]:
    """As `rnnx.rounding.decisions.decide`, once for equal networks and inputs; do not change what it returns."""
    key = _digest(network, dict(network.named(given)))
    if key not in _DECISIONS:
        _DECISIONS[key] = decide_anew(network, given)
    return _DECISIONS[key]


@contextmanager
def shared(mutate: Callable[[Forms], None] = lambda forms: None) -> Iterator[None]:
    """Lets all exports, proofs and verifications take the three things from here.

    Args:
        mutate: What is done to the forms of an export before they are proved.
    """

    def build(model: keras.Model, network: Network, streaming: bool = False) -> Forms:
        built = build_forms(model, network, streaming)
        mutate(built)
        return built

    with ExitStack() as stack:
        stack.enter_context(patch.object(pipeline, "build_forms", build))
        stack.enter_context(patch.object(prove, "KerasRunner", trace_keras))
        for module in (decisions, prove_text, verify):  # `prove` decides through `decisions.decide_batches`
            stack.enter_context(patch.object(module, "decide", decide))
        yield


def export(model: str | Path | Source, out: Path, **options: Any) -> Exported:
    """As `rnnx.export.pipeline.export`, with the three things from here."""
    with shared():
        return pipeline.export(model, out, **options)


def require_proved(model: keras.Model, rewritten: Rewritten) -> None:
    """Every state and the result, within what rounding can do; the batch, and its rows alone."""
    network = read_network(model)
    names = tuple("abcde")
    batches = [ProbeBatch(IDS, names), *(ProbeBatch(IDS[i : i + 1], names[i : i + 1]) for i in range(5))]
    probes = Probes(tuple(batches), text_count=0, trap_count=5, long_batch=batches[0])
    with shared():
        report = prove.prove(model, network, {"model.batch.onnx": rewritten}, probes)
    (form,) = report.runtimes[1:]
    assert {layer.layer for layer in form.layers} == {*network.recurrent_nodes, "probs", "end to end"}
    for layer in form.layers:
        assert layer.ratio is not None
        assert layer.ratio <= 1, layer


def _facts_of(model: keras.Model, network: Network) -> list[Any]:
    """All that a conversion can depend on: the layers with their settings, the weights, and the reference's own."""
    return [model.to_json(), model.get_weights(), network]


def _digest(*facts: Any) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        _update(digest, fact)
    return digest.hexdigest()


def _update(digest: Any, fact: Any) -> None:
    """Adds a fact, its type and its size, so that no two different ones read alike."""
    digest.update(f"{type(fact).__name__}(".encode())
    if isinstance(fact, np.ndarray):
        digest.update(f"{fact.dtype}{fact.shape}".encode() + fact.tobytes())
    elif dataclasses.is_dataclass(fact):
        for field in dataclasses.fields(fact):
            _update(digest, getattr(fact, field.name))
    elif isinstance(fact, Mapping):
        for key, value in fact.items():
            _update(digest, key)
            _update(digest, value)
    elif isinstance(fact, list | tuple):
        for item in fact:
            _update(digest, item)
    else:
        assert isinstance(fact, str | int | float | None), fact
        digest.update(repr(fact).encode())
    digest.update(b")")
