"""Tests that the comparison passes what is right, and fails what is wrong in the right place."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.report import ParityReport, RuntimeReport
from rnnx.reference import Dense, Embedding, Network, Node, SimpleRNN
from rnnx.rounding.decisions import decide

RNG = np.random.default_rng(0)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32).astype(np.float64)


RNN = SimpleRNN(draw(4, 6), draw(6, 6), draw(6), "tanh", return_sequences=False)
NETWORK = Network(
    [
        Node("embedding", Embedding(draw(9, 4), mask_zero=True), ("ids",)),
        Node("rnn", RNN, ("embedding",)),
        Node("probs", Dense(draw(6, 1), draw(1), "sigmoid"), ("rnn",)),
    ]
)
IDS = np.array([[0, 0, 3, 4, 5], [1, 2, 3, 8, 7], [0, 0, 0, 0, 2]], np.int32)
BATCH = ProbeBatch(IDS, ("a", "b", "c"))


def float32_run(network: Network) -> Outputs:
    """Runs the network in float32, step by step."""
    nodes = {node.name: node.layer for node in network.nodes}
    embedding, rnn, dense = nodes["embedding"], nodes["rnn"], nodes["probs"]
    assert isinstance(embedding, Embedding)
    assert isinstance(rnn, SimpleRNN)
    assert isinstance(dense, Dense)
    w, u, b, v, c = (
        x.astype(np.float32) for x in (rnn.kernel, rnn.recurrent_kernel, rnn.bias, dense.kernel, dense.bias)
    )
    x = embedding.table.astype(np.float32)[IDS]
    h, states = np.zeros((3, 6), np.float32), []
    for t in range(5):
        h = np.where(IDS[:, t, None] != 0, np.tanh(x[:, t] @ w + h @ u + b), h)
        states.append(h)
    with np.errstate(over="ignore"):
        probs = 1 / (1 + np.exp(-(h @ v + c)))
    return Outputs({"probs": probs.astype(np.float32)}, {"rnn": np.stack(states, axis=1)})


def compare(outputs: Outputs, network: Network = NETWORK) -> RuntimeReport:
    return compare_runtime("test", network, [BATCH], [outputs], [decide(network, IDS)])


def with_rnn(**changes: Any) -> Network:
    nodes = [
        dataclasses.replace(node, layer=dataclasses.replace(RNN, **changes)) if node.name == "rnn" else node
        for node in NETWORK.nodes
    ]
    return Network(nodes)


def test_right_arithmetic_passes_far_from_the_bound() -> None:
    report = compare(float32_run(NETWORK))
    assert report.passed
    assert [layer.layer for layer in report.layers] == ["rnn", "probs", "end to end"]
    assert all(0 < (layer.ratio or 0) < 0.5 for layer in report.layers)
    assert (report.label_count, report.tie_count) == (3, 0)


@pytest.mark.parametrize("name", ["kernel", "recurrent_kernel", "bias"])
def test_one_wrong_weight_fails_in_its_layer(name: str) -> None:
    weights = getattr(RNN, name).copy()
    weights.flat[7 % weights.size] += 1e-3
    report = compare(float32_run(with_rnn(**{name: weights})))
    assert not report.passed
    assert (report.worst.layer, report.worst.unit) == ("rnn", 7 % weights.size % 6)


def test_a_transposed_kernel_fails() -> None:
    assert not compare(float32_run(with_rnn(recurrent_kernel=RNN.recurrent_kernel.T.copy()))).passed


def test_a_wrong_head_fails_after_the_recurrence() -> None:
    outputs = float32_run(NETWORK)
    report = compare(Outputs({"probs": outputs.answers["probs"] + np.float32(1e-4)}, outputs.states))
    assert not report.passed
    assert report.worst.layer == "probs"
    assert report.layers[0].passed


def test_an_ignored_mask_fails_at_its_step() -> None:
    outputs = float32_run(NETWORK)
    states = outputs.states["rnn"].copy()
    states[0, 1, 3] = 1e-30  # a masked position must keep its zero, bit for bit
    report = compare(Outputs({"probs": outputs.answers["probs"]}, {"rnn": states}))
    assert not report.passed
    assert (report.worst.probe, report.worst.step, report.worst.unit) == ("a", 1, 3)


def test_nan_fails_in_states_and_in_outputs() -> None:
    outputs = float32_run(NETWORK)
    states = outputs.states["rnn"].copy()
    states[1, 2, 0] = np.nan
    in_states = compare(Outputs({"probs": outputs.answers["probs"]}, {"rnn": states}))
    assert not in_states.passed
    assert in_states.worst.ratio is None
    probs = outputs.answers["probs"].copy()
    probs[2] = np.nan
    in_probs = compare(Outputs({"probs": probs}, outputs.states))
    assert not in_probs.passed
    assert in_probs.max_abs_diff is None
    json.dumps(dataclasses.asdict(in_probs), allow_nan=False)


def test_another_shape_or_dtype_fails() -> None:
    outputs = float32_run(NETWORK)
    assert not compare(Outputs({"probs": outputs.answers["probs"][:, 0]}, outputs.states)).passed
    assert not compare(Outputs({"probs": outputs.answers["probs"].astype(np.float64)}, outputs.states)).passed
    assert (
        "float32, not float64"
        in compare(Outputs({"probs": outputs.answers["probs"].astype(np.float64)}, outputs.states)).problems[0]
    )


def test_another_label_fails() -> None:
    outputs = float32_run(NETWORK)
    assert (
        "another label than the reference on 'a'"
        in compare(Outputs({"probs": 1 - outputs.answers["probs"]}, outputs.states)).problems
    )


def test_a_label_that_rounding_could_change_is_a_tie() -> None:
    head = NETWORK.nodes[-1]
    assert isinstance(head.layer, Dense)
    last = NETWORK.forward(IDS)["rnn"].values
    on_the_edge = dataclasses.replace(head.layer, bias=-(last @ head.layer.kernel)[1])
    network = Network([*NETWORK.nodes[:-1], dataclasses.replace(head, layer=on_the_edge)])
    report = compare(float32_run(network), network)
    assert report.passed
    assert (report.label_count, report.tie_count) == (2, 1)


def test_the_verdict_says_if_no_label_is_certain() -> None:
    head = NETWORK.nodes[-1]
    assert isinstance(head.layer, Dense)
    undecided = dataclasses.replace(head.layer, kernel=head.layer.kernel * 0, bias=head.layer.bias * 0)
    network = Network([*NETWORK.nodes[:-1], dataclasses.replace(head, layer=undecided)])
    report = compare(float32_run(network), network)
    assert (report.label_count, report.tie_count) == (0, 3)
    unlabelled = "; rounding could change every label, so no label was compared"
    assert ParityReport(1, 1, 1, (report,)).verdict.endswith(unlabelled)
    assert unlabelled not in ParityReport(1, 1, 1, (compare(float32_run(NETWORK)),)).verdict


def test_whole_predictions_are_compared_too() -> None:
    """Every step and the head are right, but another sequence was read."""
    reversed_batch = ProbeBatch(IDS[::-1], BATCH.names)
    outputs = float32_run(NETWORK)
    swapped = Outputs({"probs": outputs.answers["probs"][[1, 0, 2]]}, outputs.states)
    report = compare_runtime("test", NETWORK, [BATCH], [swapped], [decide(NETWORK, IDS)])
    assert report.layers[-1].layer == "end to end"
    assert not report.layers[-1].passed
    assert not compare_runtime(
        "test", NETWORK, [reversed_batch], [outputs], [decide(NETWORK, reversed_batch.given)]
    ).passed


def test_a_bound_that_allows_any_answer_is_not_a_proof() -> None:
    """The weights are so large that any probability would be within the bound."""
    head = NETWORK.nodes[-1]
    assert isinstance(head.layer, Dense)
    huge = dataclasses.replace(head.layer, kernel=head.layer.kernel * 1e7)
    network = Network([*NETWORK.nodes[:-1], dataclasses.replace(head, layer=huge)])
    report = compare(float32_run(network), network)
    assert not report.passed
    assert "is above 0.5 on every probe" in report.problems[-1]


def test_a_report_without_comparisons_is_not_a_proof() -> None:
    assert not ParityReport(1, 1, 1, ()).passed
    assert ParityReport(1, 1, 1, (compare(float32_run(NETWORK)),)).passed
    failed = ParityReport(1, 1, 1, (compare(float32_run(NETWORK)),), ("labels: swapped",))
    assert not failed.passed
    assert failed.verdict == "FAILED: labels: swapped"


@pytest.mark.parametrize(("count", "what"), [(0, "fewer"), (2, "more")])
def test_every_batch_has_one_output(count: int, what: str) -> None:
    outputs = [float32_run(NETWORK)] * count
    with pytest.raises(ValueError, match=f"there are {what} outputs than batches"):
        compare_runtime("test", NETWORK, [BATCH], iter(outputs), [decide(NETWORK, IDS)])
