"""Tests the bounds of whole networks: their derivatives are right, and real arithmetic stays within them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from rnnx.primitives.float32 import UNIT_ROUNDOFF
from rnnx.reference import (
    Array,
    Concatenate,
    Dense,
    Embedding,
    Given,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Layer,
    Network,
    Node,
    Reverse,
    SimpleRNN,
    Tensor,
)
from rnnx.rounding.decisions import Decisions, decide, decide_distinct_rows

RNG = np.random.default_rng(0)
IDS = np.array([[0, 0, 3, 4, 5, 7], [1, 2, 3, 8, 7, 1], [0, 0, 0, 0, 2, 6]], np.int32)


def draw(*shape: int) -> np.ndarray:
    return RNG.normal(0, 0.5, shape).astype(np.float32).astype(np.float64)


def rnn(inputs: int, units: int, **settings: object) -> SimpleRNN:
    settings = {"activation": "tanh", "return_sequences": True, **settings}
    return SimpleRNN(draw(inputs, units), draw(units, units), draw(units), **settings)  # type: ignore[arg-type]


def bidirectional(pooling: Layer, outputs: int, *, mask_zero: bool) -> Network:
    activation = "sigmoid" if outputs == 1 else "softmax"
    return Network(
        [
            Node("embedding", Embedding(draw(9, 4), mask_zero=mask_zero), ("ids",)),
            Node("forward", rnn(4, 5, zero_output_for_mask=True), ("embedding",)),
            Node("backward", rnn(4, 5, zero_output_for_mask=True, go_backwards=True), ("embedding",)),
            Node("reverse", Reverse(), ("backward",)),
            Node("both", Concatenate(), ("forward", "reverse")),
            Node("pooled", pooling, ("both",)),
            Node("hidden", Dense(draw(10, 6), draw(6), "tanh"), ("pooled",)),
            Node("probs", Dense(draw(6, outputs), draw(outputs), activation), ("hidden",)),  # type: ignore[arg-type]
        ]
    )


def stacked(activation: str) -> Network:
    return Network(
        [
            Node("embedding", Embedding(draw(9, 4), mask_zero=True), ("ids",)),
            Node("first", rnn(4, 5, activation=activation), ("embedding",)),
            Node("second", rnn(5, 6, activation=activation, return_sequences=False), ("first",)),
            Node("probs", Dense(draw(6, 1), draw(1), "sigmoid"), ("second",)),
        ]
    )


NETWORKS = {
    "mean": bidirectional(GlobalAveragePooling1D(), 1, mask_zero=True),
    "max": bidirectional(GlobalMaxPooling1D(), 3, mask_zero=False),
    "tanh": stacked("tanh"),
    "relu": stacked("relu"),
    "sigmoid": stacked("sigmoid"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_bound_of_a_logit_counts_the_rounding_of_every_state(name: str) -> None:
    """The share of a recurrence is |dz / dh_t| times the bound of a step, here by finite differences."""
    network = NETWORKS[name]
    tensors, logits = network.forward(IDS), _logits(network)
    head = network.nodes[-1].layer
    assert isinstance(head, Dense)
    smallest_total = np.zeros_like(logits)
    for recurrent, layer in network.recurrent_nodes.items():
        x = layer.in_order(tensors[next(n for n in network.nodes if n.name == recurrent).inputs[0]])
        states = layer.states(x)
        for t in range(IDS.shape[1]):
            for unit in range(states.shape[2]):
                moved = _moved_logits(network, recurrent, t, unit, 1e-6)
                # Every activation but relu rounds its result, by up to u at least.
                counts = 0.0 if layer.activation == "relu" else UNIT_ROUNDOFF
                smallest_total += np.abs(moved - logits) / 1e-6 * counts
    bounds = decide(network, IDS)["probs"].logit_bounds
    assert (smallest_total <= bounds).all()
    if name != "relu":
        assert (bounds < 1000 * smallest_total + 1e-5).all()  # the bound has this size, and is not merely larger


def _moved_logits(network: Network, recurrent: str, step: int, unit: int, by: float) -> np.ndarray:
    """Returns the logits if one state were wrong by `by`, with all consequences."""

    @dataclasses.dataclass(frozen=True, eq=False)
    class Moved(SimpleRNN):
        def states(self, x: Tensor, first: Sequence[Array] = ()) -> Array:
            batch, time, _ = x.values.shape
            h, states = np.zeros((batch, len(self.bias))), []
            for t in range(time):
                new = self.step(x.values[:, t], h)
                if t == step:
                    new[:, unit] += by
                h = new if x.mask is None else np.where(x.mask[:, t, None], new, h)
                states.append(h)
            return np.stack(states, axis=1)

    def move(node: Node) -> Node:
        if node.name != recurrent:
            return node
        return dataclasses.replace(node, layer=Moved(**vars(node.layer)))

    return _logits(Network([move(node) for node in network.nodes]))


def _logits(network: Network) -> np.ndarray:
    head = network.nodes[-1]
    assert isinstance(head.layer, Dense)
    return np.asarray(head.layer.logits(network.forward(IDS)[head.inputs[0]].values))


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_moved_by_one_rounding_stay_within_the_bound(name: str) -> None:
    network = NETWORKS[name]
    decisions = decide(network, IDS)["probs"]
    for seed in range(20):
        rng = np.random.default_rng(seed)

        def shake(layer: Layer, rng: np.random.Generator = rng) -> Layer:
            if not isinstance(layer, SimpleRNN):
                return layer
            # A product with a factor that is wrong by u equals a product that was rounded once.
            signs = rng.choice([-1.0, 1.0], layer.recurrent_kernel.shape)
            return dataclasses.replace(layer, recurrent_kernel=layer.recurrent_kernel * (1 + UNIT_ROUNDOFF * signs))

        shaken = Network([dataclasses.replace(node, layer=shake(node.layer)) for node in network.nodes])
        moved = decide(shaken, IDS)["probs"]
        assert (np.abs(_logits(shaken) - _logits(network)) <= decisions.logit_bounds).all()
        assert (np.abs(moved.values - decisions.values) <= decisions.bounds).all()
        assert (moved.label_ids == decisions.label_ids)[decisions.is_certain].all()


def test_a_text_on_the_edge_is_not_certain() -> None:
    network = NETWORKS["mean"]
    head = network.nodes[-1]
    assert isinstance(head.layer, Dense)
    logits = _logits(network)
    edge = dataclasses.replace(head.layer, bias=head.layer.bias - logits[0] + 1e-7)
    decisions = decide(Network([*network.nodes[:-1], dataclasses.replace(head, layer=edge)]), IDS)["probs"]
    assert decisions.is_certain.tolist() == [[False], [True], [True]]


def test_weights_that_amplify_errors_leave_no_text_certain() -> None:
    layer = rnn(4, 40)
    wild = dataclasses.replace(layer, recurrent_kernel=layer.recurrent_kernel * 3, return_sequences=False)
    network = Network(
        [
            Node("embedding", Embedding(draw(9, 4), mask_zero=False), ("ids",)),
            Node("rnn", wild, ("embedding",)),
            Node("probs", Dense(draw(40, 1), draw(1), "sigmoid"), ("rnn",)),
        ]
    )
    ids = np.random.default_rng(0).integers(1, 9, (2, 300), dtype=np.int32)
    decisions = decide(network, ids)["probs"]
    assert not decisions.is_certain.any()
    assert (decisions.bounds <= 1).all()


def test_a_text_without_an_answer_is_not_certain() -> None:
    """The mean of a fully masked row is NaN."""
    decisions = decide(NETWORKS["mean"], np.zeros((1, 4), np.int32))["probs"]
    assert not decisions.is_certain.any()
    assert np.isinf(decisions.logit_bounds).all()


@pytest.mark.parametrize("rows", [1, 3])
def test_batched_passes_give_the_bounds_of_single_passes(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network has many outputs at many positions, and the last batch of passes may be smaller."""
    tags = Node("probs", Dense(draw(10, 5), draw(5), "softmax"), ("both",))
    network = Network([*NETWORKS["mean"].nodes[:5], tags])
    given = IDS[:rows]
    found = []
    for most in (1, 7 * given.size * 10):
        monkeypatch.setattr("rnnx.rounding.followed_numbers._MOST_AT_ONCE", most)
        found.append(decide(network, given)["probs"])
    one, several = found
    assert np.isfinite(one.logit_bounds).all(axis=(0, 2)).sum() == 4
    np.testing.assert_allclose(several.logit_bounds, one.logit_bounds, rtol=1e-12)


def test_an_output_over_the_time_follows_few_numbers_at_spread_positions() -> None:
    """The count of passes does not grow with the time; a label over few classes follows them all."""
    layers = [
        Node("embedding", Embedding(draw(9, 4), mask_zero=False), ("ids",)),
        Node("rnn", rnn(4, 40), ("embedding",)),
    ]
    ids = np.random.default_rng(0).integers(1, 9, (2, 100), dtype=np.int32)
    heads = {
        "states": ([], 8),
        "few classes": ([Node("probs", Dense(draw(40, 20), draw(20), "softmax"), ("rnn",))], 20),
        "many classes": ([Node("probs", Dense(draw(40, 100), draw(100), "softmax"), ("rnn",))], 1),
        "labels": ([Node("probs", Dense(draw(40, 20), draw(20), "sigmoid"), ("rnn",))], 20),
    }
    for name, (head, expected) in heads.items():
        (decision,) = decide(Network([*layers, *head]), ids).values()
        followed = np.isfinite(decision.logit_bounds)
        assert followed.all(axis=0).sum(axis=-1)[[0, 33, 66, 99]].tolist() == [expected] * 4, name
        assert followed.sum() == 2 * 4 * expected, name


def test_a_row_that_an_earlier_batch_holds_is_decided_once(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network([*NETWORKS["mean"].nodes[:5], Node("probs", Dense(draw(10, 5), draw(5), "softmax"), ("both",))])
    batches = [{"ids": IDS}, {"ids": IDS[1:2]}, {"ids": IDS[1:2, 1:]}]
    expected = [decide(network, given)["probs"] for given in batches]
    calls: list[int] = []

    def count(network: Network, given: Given) -> dict[str, Decisions]:
        calls.append(1)
        return decide(network, given)

    monkeypatch.setattr("rnnx.rounding.decisions.decide", count)
    for one, other in zip(expected, decide_distinct_rows(network, batches), strict=True):
        np.testing.assert_allclose(other["probs"].values, one.values, rtol=1e-12)
        np.testing.assert_allclose(other["probs"].logit_bounds, one.logit_bounds, rtol=1e-12)
    assert len(calls) == 2


@pytest.mark.parametrize("mask_zero", [False, True])
def test_one_answer_of_a_row_is_decided_once_too(mask_zero: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network = bidirectional(GlobalAveragePooling1D(), 1, mask_zero=mask_zero)
    ids = np.random.default_rng(4).integers(0, 9, (3, 6)).astype(np.int32)
    batches = [network.named(rows) for rows in (ids, ids[1:2], ids[1:2, 1:])]
    expected = [decide(network, given)["probs"] for given in batches]
    decided: list[Given] = []

    def record(network: Network, given: Given) -> dict[str, Decisions]:
        decided.append(given)
        return decide(network, given)

    monkeypatch.setattr("rnnx.rounding.decisions.decide", record)
    found = [decisions["probs"] for decisions in decide_distinct_rows(network, batches)]
    assert len(decided) == 2  # the last batch has another padding
    for one_by_one, shared in zip(expected, found, strict=True):
        np.testing.assert_allclose(one_by_one.values, shared.values, rtol=1e-12)
        np.testing.assert_allclose(one_by_one.bounds, shared.bounds, rtol=1e-9)
        assert np.array_equal(one_by_one.has_bound, shared.has_bound)
