"""Tests masks that are inputs of a network: the reference, the probes, and the comparison under padding."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.export.probes_of_numbers import ProbeSize, make_number_probes, make_number_traps
from rnnx.proof.chunked import make_long_batch
from rnnx.proof.invariance import Answers, compare_ways
from rnnx.reference import (
    LSTM,
    Array,
    AsMask,
    Dense,
    GlobalAveragePooling1D,
    Input,
    Layer,
    NamedArrays,
    Network,
    Node,
    TakeMask,
)
from rnnx.rounding.decisions import decide

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 3)).astype(np.float32)
MASK = np.array([[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]], bool)


def draw(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32).astype(np.float64)


def make_network(*between: Layer) -> Network:
    """Makes an LSTM of numbers with a mask, and further layers between it and the head."""
    rnn = LSTM(draw(3, 16), draw(4, 16), draw(16), "tanh", return_sequences=bool(between))
    nodes = [
        Node("counts", AsMask(), ("mask",)),
        Node("masked", TakeMask(), ("x", "counts")),
        Node("rnn", rnn, ("masked",)),
    ]
    nodes += [Node(f"between.{i}", layer, (nodes[-1].name,)) for i, layer in enumerate(between)]
    nodes.append(Node("values", Dense(draw(4, 2), draw(2), "linear"), (nodes[-1].name,)))
    return Network(nodes, (Input("x", "numbers", (None, 3)), Input("mask", "mask", (None,))), {"values": "values"})


NETWORK = make_network()


def run(network: Network, given: NamedArrays) -> dict[str, np.ndarray]:
    return {name: values.astype(np.float32) for name, values in network.answers(given).items()}


def test_a_position_that_the_mask_does_not_count_is_not_read() -> None:
    together = NETWORK.predict({"x": X, "mask": MASK})
    for row in range(3):
        kept = X[row, MASK[row]][None]
        alone = NETWORK.predict({"x": kept, "mask": np.ones(kept.shape[:2], bool)})
        np.testing.assert_allclose(alone[0], together[row], rtol=0, atol=1e-12)
    (head,) = (node.layer for node in NETWORK.nodes if isinstance(node.layer, Dense))
    np.testing.assert_array_equal(head.bias, together[3])  # the state is still zero
    with pytest.raises(ValueError, match=r"a mask of the shape \(4, 6\) does not fit values of \(4, 5, 3\)"):
        NETWORK.predict({"x": X, "mask": np.ones((4, 6), bool)})


def test_the_padding_of_such_a_network_may_be_left_out() -> None:
    assert NETWORK.masks_zero
    given = {"x": X, "mask": MASK}
    bounds = decide(NETWORK, given)

    def ways(answer: NamedArrays | None = None) -> dict[str, bool]:
        def ask(given: NamedArrays) -> Answers:
            mask = given["mask"] if answer is None else np.ones_like(given["mask"])
            return run(NETWORK, {**given, "mask": mask})

        return {report.way: report.passed for report in compare_ways("test", NETWORK, ask, given, bounds)}

    assert all(ways().values())
    failed = {way for way, passed in ways({}).items() if not passed}
    assert failed == {"each row without its padding", "more padding in front", "more padding at the end"}


def test_probes_have_masks_of_every_shape() -> None:
    batches, long_batch = make_number_probes(NETWORK, ProbeSize(20), 2)
    masks = np.concatenate([dict(batch.given)["mask"] for batch in batches if batch.time == 20])
    assert masks.dtype == bool
    counts = masks.sum(axis=1)
    changes = (np.diff(masks.astype(int), axis=1) != 0).sum(axis=1)
    for shape in (
        counts == 0,
        counts == 20,
        (changes == 1) & masks[:, -1],  # padding in front
        (changes == 1) & masks[:, 0],  # padding at the end
        (changes == 2) & ~masks[:, 0],
        changes > 2,
    ):
        assert shape.sum() > 1
    for batch in (long_batch, make_long_batch(NETWORK)):
        assert dict(batch.given)["mask"].dtype == bool


def test_a_mean_gets_no_mask_without_a_position() -> None:
    network = make_network(GlobalAveragePooling1D())
    traps = make_number_traps(network, 20)
    assert all(given["mask"].any(axis=1).all() for given in traps.values())
    assert all(np.isfinite(network.predict(given)).all() for given in traps.values())
