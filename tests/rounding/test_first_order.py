"""Tests that the rows where a first-order estimate of rounding does not hold are found, and no others."""

from __future__ import annotations

import numpy as np

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.report import ParityReport
from rnnx.reference import Dense, FoldTime, Input, Network, Node, SimpleRNN, UnfoldTime
from rnnx.rounding.decisions import decide

RNG = np.random.default_rng(3)
X = RNG.normal(size=(2, 80, 2)).astype(np.float32)
PORT = Input("x", "numbers", (None, 2))


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32).astype(np.float64)


KERNEL, RECURRENT, BIAS, HEAD = draw(2, 20), draw(20, 20), draw(20), draw(20, 1)


def network(gain: float, activation: str = "tanh") -> Network:
    recurrent = (gain * RECURRENT / np.abs(np.linalg.eigvals(RECURRENT)).max()).astype(np.float32).astype(np.float64)
    rnn = SimpleRNN(KERNEL, recurrent, BIAS, activation, return_sequences=False)  # type: ignore[arg-type]
    return Network([Node("rnn", rnn, ("x",)), Node("probs", Dense(HEAD, np.zeros(1), "sigmoid"), ("rnn",))], (PORT,))


def test_a_network_that_forgets_has_a_bound_on_every_row() -> None:
    decision = decide(network(0.9), X)["probs"]
    assert decision.has_bound.all()
    assert (decision.bounds < 1e-4).all()


def test_a_linear_recurrence_has_a_bound_however_much_it_amplifies() -> None:
    assert decide(network(1.2, "linear"), X)["probs"].has_bound.all()


def test_a_chaotic_network_has_none_and_no_certain_label() -> None:
    decision = decide(network(4.0), X)["probs"]
    assert not decision.has_bound.any()
    assert not decision.is_certain.any()
    assert (decision.bounds == 1.0).all()


def test_a_row_is_judged_alone_as_in_its_batch() -> None:
    chaotic = network(4.0)
    together = decide(chaotic, X)["probs"].has_bound
    alone = [decide(chaotic, X[i : i + 1])["probs"].has_bound[0] for i in range(2)]
    assert together.tolist() == alone


def test_a_recurrence_of_each_position_counts_for_the_row_that_has_it() -> None:
    """The second row has positions of which one is amplified."""
    rnn = SimpleRNN(KERNEL, network(4.0).recurrent_nodes["rnn"].recurrent_kernel, BIAS, "tanh", return_sequences=False)
    nodes = [
        Node("rows", FoldTime(), ("x",)),
        Node("rnn", rnn, ("rows",)),
        Node("positions", UnfoldTime(), ("rnn", "x")),
        Node("probs", Dense(HEAD, np.zeros(1), "sigmoid"), ("positions",)),
    ]
    each = Network(nodes, (Input("x", "numbers", (None, 80, 2)),))
    calm = np.full_like(X[0], 10.0)  # saturates every unit
    decision = decide(each, np.stack([[calm, calm, calm], [calm, X[0], calm]]))["probs"]
    assert decision.has_bound.tolist() == [True, False]


def test_the_report_says_what_is_not_certified_and_a_wrong_step_still_fails() -> None:
    chaotic = network(4.0)
    rnn, head = (node.layer for node in chaotic.nodes)
    assert isinstance(rnn, SimpleRNN)
    assert isinstance(head, Dense)
    h, states = np.zeros((2, 20), np.float32), []
    w, u, b = (values.astype(np.float32) for values in (rnn.kernel, rnn.recurrent_kernel, rnn.bias))
    for t in range(X.shape[1]):
        h = np.tanh(X[:, t] @ w + h @ u + b)
        states.append(h)
    probs = (1 / (1 + np.exp(-(h @ head.kernel.astype(np.float32))))).astype(np.float32)
    outputs = Outputs({"probs": probs}, {"rnn": np.stack(states, axis=1)})
    batch = ProbeBatch({"x": X}, ("a", "b"))

    def report(given: Outputs) -> ParityReport:
        runtime = compare_runtime("float32", chaotic, [batch], [given], [decide(chaotic, X)])
        return ParityReport(0, 2, X.shape[1], (runtime,))

    right = report(outputs)
    assert right.passed
    assert "on 2 of the probes" in right.verdict
    assert "cannot be certified end to end" in right.verdict
    wrong = outputs.states["rnn"].copy()
    wrong[0, 40, 2] += 1e-4
    assert not report(Outputs(outputs.answers, {"rnn": wrong})).passed


def test_the_document_of_a_usual_proof_has_no_count() -> None:
    chaotic, usual = (
        compare_runtime(
            "none", net, [batch], [Outputs({"probs": np.zeros((2, 1), np.float32)}, {"rnn": states})], [decide(net, X)]
        )
        for net in (network(4.0), network(0.9))
        for batch, states in [(ProbeBatch({"x": X}, ("a", "b")), np.zeros((2, 80, 20), np.float32))]
    )
    documents = [ParityReport(0, 2, 80, (runtime,)).document()["runtimes"][0] for runtime in (chaotic, usual)]
    assert documents[0]["uncertified_count"] == 2
    assert "uncertified_count" not in documents[1]
