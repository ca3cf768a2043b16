"""tf2onnx optimizes a single copy of a graph, and goes on without an optimizer that fails; no recurrence is lost."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import tf2onnx.optimizer
from tf2onnx.graph import Graph
from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

from rnnx.errors import ModelError
from rnnx.export import convert as converting
from rnnx.export.convert import convert
from rnnx.keras_models.read_network import read_network
from rnnx.rewrites.recurrence import MARKER_TYPE
from tests.networks import MODELS

MODEL = MODELS["last state"](False)
NETWORK = read_network(MODEL)


def count_operators() -> Counter[str]:
    """Converts the model and counts its operators."""
    return Counter(node.op_type for node in convert(MODEL, NETWORK).graph.node)


@pytest.fixture
def has_copied(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each time that tf2onnx optimized a graph: whether it copied the graph before each optimizer."""
    calls: list[bool] = []
    optimize_graph = tf2onnx.optimizer.optimize_graph

    def record(graph: Graph, catch_errors: bool, optimizers: Any) -> Graph:
        calls.append(catch_errors)
        return optimize_graph(graph, catch_errors, optimizers)

    monkeypatch.setattr(tf2onnx.optimizer, "optimize_graph", record)
    return calls


def test_all_optimizers_run_on_one_copy(has_copied: list[bool]) -> None:
    optimize_graph, update_proto = tf2onnx.optimizer.optimize_graph, Graph.update_proto
    count_operators()
    assert has_copied == [False]
    assert tf2onnx.optimizer.optimize_graph is optimize_graph
    assert Graph.update_proto is update_proto


def test_an_optimizer_that_fails_is_left_out(has_copied: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = count_operators()
    has_copied.clear()

    def fail(self: TransposeOptimizer, graph: Graph) -> Graph:
        for node in graph.get_nodes():
            node.type = "Identity"  # an optimizer that fails may have changed its graph
        raise RuntimeError("this optimizer fails")

    monkeypatch.setattr(TransposeOptimizer, "_optimize", fail)
    actual = count_operators()
    assert has_copied == [False, True]
    for operator in ("Gather", MARKER_TYPE, "MatMul"):
        assert actual[operator] == expected[operator]
    assert actual[MARKER_TYPE] == 1


def test_a_loop_that_is_left_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "marked", lambda model, network: nullcontext())
    with pytest.raises(ModelError, match=r"^tf2onnx left a loop or a branch in the graph: .+; please report"):
        convert(MODEL, NETWORK)


def test_a_recurrence_that_is_lost_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converting, "fill_markers", lambda *given: set())
    (name,) = NETWORK.recurrent_nodes
    with pytest.raises(ModelError, match=f"^the converted graph has no {name}; please report this model$"):
        convert(MODEL, NETWORK)
