"""Tests the proof of networks that decide by computed numbers, on runtimes that are made with NumPy."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.onnx_file.graph_view import GraphView, ViewedNode
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.cuts import fused_reader, missing_cuts, wanted_cuts
from rnnx.proof.jump_numbers import find_missing_numbers
from rnnx.proof.report import RuntimeReport
from rnnx.reference import (
    ApplyFunction,
    ApplyStep,
    ArgMax,
    Choose,
    CombineNumber,
    Compare,
    Dense,
    Input,
    KeepBeyond,
    Network,
    Node,
    OneHot,
    Recurrent,
    SimpleRNN,
    Tensor,
)
from rnnx.rounding.decisions import decide
from tests.layers import draw

X = np.random.default_rng(0).normal(size=(4, 5, 3)).astype(np.float32)
BATCH = ProbeBatch(X, tuple("abcd"))
RNN = SimpleRNN(draw(3, 6), draw(6, 6) * 0.3, draw(6), "tanh", return_sequences=False)


def reads_scores(nodes: tuple[Node, ...]) -> bool:
    return any("scores" in node.inputs for node in nodes)


def network_of(*nodes: Node, last: str, size: int = 4) -> Network:
    """Returns a network of a recurrence, a Dense, some layers, and a Dense with a softmax."""
    return Network(
        [
            Node("rnn", RNN, ("x",)),
            *([Node("scores", Dense(draw(6, 4), draw(4), "linear"), ("rnn",))] if reads_scores(nodes) else []),
            *nodes,
            Node("head", Dense(draw(size, 3), draw(3), "softmax"), (last,)),
        ],
        (Input("x", "numbers", (None, 3)),),
    )


HALF = CombineNumber("multiply", 0.3, is_first=False)
GATED = network_of(
    Node("half", HALF, ("scores",)),
    Node("is_above", Compare("greater", 0.25, is_computed=True), ("half",)),
    Node("not", Compare("equal", 0.0, is_computed=True), ("is_above",)),
    Node("gated", Choose(second=0.5), ("not", "scores")),
    last="gated",
)


def run_rounded(network: Network, x: npt.NDArray[np.float32] = X, moved: dict[str, Any] | None = None) -> Outputs:
    """Runs a network as a runtime that rounds once per layer, and adds something to what some layers decide."""
    tensors = {network.inputs[0].name: Tensor(x.astype(np.float64))}
    states = {}
    for node in network.nodes:
        inputs = [tensors[name] for name in node.inputs]
        values = node.layer(*inputs).values + (moved or {}).get(node.name, 0.0)
        if isinstance(node.layer, Recurrent):
            states[node.name] = node.layer.states(inputs[0]).astype(np.float32)
        tensors[node.name] = Tensor(values.astype(np.float32).astype(np.float64))
    shown = {name: tensor.values.astype(np.float32) for name, tensor in tensors.items()}
    cuts = {node.name: shown[node.name] for node in wanted_cuts(network)}
    return Outputs({name: shown[node.name] for name, node in network.ends.items()}, states, cuts)


def compare(network: Network, outputs: Outputs) -> RuntimeReport:
    return compare_runtime("test", network, [BATCH], [outputs], [decide(network, X)])


def ratio(report: RuntimeReport, layer: str) -> float:
    return next(each.ratio or 0.0 for each in report.layers if each.layer == layer)


def test_what_a_layer_decides_by_is_shown() -> None:
    # Scores are shown for their weights, and a truth value follows from what is shown.
    assert [node.name for node in wanted_cuts(GATED)] == ["scores", "half"]
    assert missing_cuts(GATED, ["scores"]) == ["half"]


def test_a_state_is_shown_already() -> None:
    by_state = network_of(
        Node("sign", ApplyStep("sign"), ("rnn",)), Node("same", ApplyFunction("relu"), ("sign",)), last="same", size=6
    )
    assert not wanted_cuts(by_state)


def test_a_decision_does_not_stand_for_the_dense_before_it() -> None:
    network = network_of(Node("best", ArgMax(1, keepdims=True), ("scores",)), last="best", size=1)
    (scores,) = wanted_cuts(network)
    assert fused_reader(network, scores) is None
    assert missing_cuts(network, ["best"]) == ["scores"]


def test_a_runtime_decides_by_its_own_numbers() -> None:
    right = compare(GATED, run_rounded(GATED))
    assert right.worst.passed
    assert right.has_jumps
    # The score is moved over the jump by less than rounding may move it: what follows has to follow.
    exact = GATED.forward(X)["half"].values
    place = np.unravel_index(np.abs(exact - 0.25).argmin(), exact.shape)
    shift = exact[place] - 0.25
    nodes = [
        dataclasses.replace(node, layer=Compare("greater", 0.25 + shift, is_computed=True))
        if node.name == "is_above"
        else node
        for node in GATED.nodes
    ]
    at_jump = dataclasses.replace(GATED, nodes=nodes)
    for side in (1e-8, -1e-8):
        move = np.zeros(exact.shape)
        move[place] = side
        assert compare(at_jump, run_rounded(at_jump, moved={"half": move})).worst.passed


def test_a_runtime_that_decides_otherwise_fails() -> None:
    moved = np.zeros((4, 4))
    moved[2, 1] = 1.0 - 2.0 * GATED.forward(X)["is_above"].values[2, 1]
    report = compare(GATED, run_rounded(GATED, moved={"is_above": moved}))
    assert ratio(report, "probs") > 1e3
    # Without cuts, as in Keras, nothing but the end is compared, and no score is close enough to the jump to hide it.
    shown = run_rounded(GATED, moved={"is_above": moved})
    assert ratio(compare(GATED, dataclasses.replace(shown, cuts=None)), "probs") > 1e3


def test_a_row_has_a_bound_where_no_rounding_decides() -> None:
    decided = decide(GATED, X)["probs"]
    assert decided.has_bound.all()
    assert decided.is_certain.all()
    values = GATED.forward(X)["half"].values
    nodes = [
        dataclasses.replace(node, layer=Compare("greater", float(np.float32(values[1, 2])), is_computed=True))
        if node.name == "is_above"
        else node
        for node in GATED.nodes
    ]
    close = decide(dataclasses.replace(GATED, nodes=nodes), X)["probs"]
    assert close.has_bound.tolist() == [True, False, True, True]
    assert close.is_certain.tolist() == [True, False, True, True]
    assert (close.bounds[1] == 1).all()


def test_a_jump_at_every_position_has_no_bound() -> None:
    recurrence = dataclasses.replace(RNN, return_sequences=True)
    network = Network(
        [
            Node("rnn", recurrence, ("x",)),
            Node("kept", KeepBeyond(0.25), ("rnn",)),
            Node("again", SimpleRNN(draw(6, 2), draw(2, 2), draw(2), "tanh", return_sequences=False), ("kept",)),
        ],
        (Input("x", "numbers", (None, 3)),),
    )
    long = np.random.default_rng(1).normal(size=(2, 30, 3)).astype(np.float32)
    assert not decide(network, long)["probs"].has_bound.any()


def compares(op_type: str, number: float, output: str = "above") -> GraphView:
    constants = {"c": np.array([number], np.float32), "one": np.array([1], np.float32)}
    nodes = [ViewedNode(op_type, ("x", "c"), (output,), {}, None), ViewedNode("Cast", (output,), ("y",), {}, None)]
    return GraphView(("x",), ("y",), tuple(nodes), constants)


def thresholded(number: float) -> GraphView:
    return GraphView(("x",), ("y",), (ViewedNode("ThresholdedRelu", ("x",), ("y",), {"alpha": number}, None),), {})


@pytest.mark.parametrize(
    ("graph", "is_right"),
    [
        (compares("Greater", 0.25), True),
        (compares("Less", 0.25), True),
        (compares("Greater", 0.25001), False),
        (compares("GreaterOrEqual", 0.25), False),
        (compares("Add", 0.25), False),
        (thresholded(0.25), True),
        (thresholded(0.2499), False),
    ],
)
def test_the_numbers_of_comparisons_are_in_the_file(graph: GraphView, is_right: bool) -> None:
    problems = list(find_missing_numbers(graph, GATED))
    said = "no comparison in the file has the number 0.25 by which layer is_above decides, as it does"
    assert problems == ([] if is_right else [said])


def test_the_places_of_a_vector_are_in_the_file() -> None:
    network = network_of(
        Node("best", ArgMax(1), ("scores",)), Node("vectors", OneHot(4, is_computed=True), ("best",)), last="vectors"
    )
    graph = compares("Equal", 0.0)
    right = dataclasses.replace(graph, constants={"c": np.arange(4, dtype=np.float32)})
    assert not list(find_missing_numbers(right, network))
    wrong = dataclasses.replace(graph, constants={"c": np.array([0, 1, 2, 4], np.float32)})
    assert len(list(find_missing_numbers(wrong, network))) == 1
