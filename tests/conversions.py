"""Converts and exports Keras networks, and computes the expensive parts once in a session; needs the [train] extra.

Three things take nearly all the time of an export: tf2onnx, the trace of Keras, and the bounds of decisions. They
depend on the network alone, the bounds also on the inputs, so each is computed once for equal networks and inputs. The
rewriting, the comparisons and the verdict are always computed. A test that is about one of the three, or changes
something else that they depend on, calls `rnnx.export` itself.
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
import numpy.typing as npt
import onnx

from rnnx.export import forms, pipeline, prove
from rnnx.export.convert import convert as convert_anew
from rnnx.export.keras_states import KerasRunner
from rnnx.export.pipeline import Exported
from rnnx.export.probes import Probes
from rnnx.export.source import Source
from rnnx.keras_models.read_network import read_network
from rnnx.proof import decide_once
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.cuts import names_of_cuts
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
    """Works as `rnnx.export.convert.convert`, but converts equal networks once; the caller may change the copy."""
    key = _digest(_facts_of(model, network))
    if key not in _CONVERTED:
        _CONVERTED[key] = convert_anew(model, network)
    copy = onnx.ModelProto()
    copy.CopyFrom(_CONVERTED[key])
    return copy


def build_forms(model: keras.Model, network: Network, streaming: bool = False) -> Forms:
    """Works as `rnnx.export.forms.build_forms`, on a conversion from `convert`."""
    with patch.object(forms, "convert", convert):
        return forms.build_forms(model, network, streaming)


def trace_keras(
    model: keras.Model, network: Network, on_stage: Callable[[str], None] = lambda stage: None
) -> KerasRunner:
    """Works as `rnnx.export.keras_states.KerasRunner`, but traces equal networks once."""
    key = _digest(_facts_of(model, network))
    if key not in _RUNNERS:
        _RUNNERS[key] = KerasRunner(model, network, on_stage)
    return _RUNNERS[key]


def decide(network: Network, given: Given, has_bound: npt.NDArray[np.bool_] | None = None) -> dict[str, Decisions]:
    """Works as `rnnx.rounding.decisions.decide`, once for equal networks and inputs; do not change what it returns."""
    key = _digest((network, has_bound), dict(network.named(given)))
    if key not in _DECISIONS:
        _DECISIONS[key] = decide_anew(network, given, has_bound)
    return _DECISIONS[key]


@contextmanager
def shared(mutate: Callable[[Forms], None] = lambda forms: None) -> Iterator[None]:
    """Makes all exports, proofs and verifications in the block use the shared conversions, traces and bounds.

    Args:
        mutate: Changes the forms of an export before they are proved.
    """

    def build(model: keras.Model, network: Network, streaming: bool = False) -> Forms:
        built = build_forms(model, network, streaming)
        mutate(built)
        return built

    with ExitStack() as stack:
        stack.enter_context(patch.object(pipeline, "build_forms", build))
        stack.enter_context(patch.object(prove, "KerasRunner", trace_keras))
        # The proofs of an export decide through `decide_distinct_rows`, which is in `decisions`.
        for module in (decisions, decide_once):
            stack.enter_context(patch.object(module, "decide", decide))
        yield


def export(model: str | Path | Source, out: Path, **options: Any) -> Exported:
    """Works as `rnnx.export.pipeline.export`, with the shared conversions, traces and bounds."""
    with shared():
        return pipeline.export(model, out, **options)


def require_proved(model: keras.Model, rewritten: Rewritten) -> None:
    """Proves one form on a batch and on its rows alone: every state and the result within the rounding bound."""
    network = read_network(model)
    names = tuple("abcde")
    batches = [ProbeBatch(IDS, names), *(ProbeBatch(IDS[i : i + 1], names[i : i + 1]) for i in range(5))]
    probes = Probes(tuple(batches), text_count=0, trap_count=5, long_batch=batches[0])
    with shared():
        report = prove.prove(model, network, {"model.batch.onnx": rewritten}, probes)
    (form,) = report.runtimes[1:]
    alone = names_of_cuts(network, rewritten.cuts or {}).values()
    assert {layer.layer for layer in form.layers} == {*network.recurrent_nodes, *alone, "probs", "end to end"}
    for layer in form.layers:
        assert layer.ratio is not None
        assert layer.ratio <= 1, layer


def _facts_of(model: keras.Model, network: Network) -> list[Any]:
    """Returns all that a conversion can depend on: the layers and their settings, the weights, and the reference."""
    return [model.to_json(), model.get_weights(), network]


def _digest(*facts: Any) -> str:
    digest = hashlib.sha256()
    for fact in facts:
        _update(digest, fact)
    return digest.hexdigest()


def _update(digest: Any, fact: Any) -> None:
    """Hashes a fact with its type and its size, so that no two different facts hash alike."""
    digest.update(f"{type(fact).__name__}(".encode())
    if isinstance(fact, np.ndarray | np.generic):
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
