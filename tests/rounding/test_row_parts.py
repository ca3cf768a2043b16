"""Tests that a large batch is computed in parts, with the same result, and that nothing of it stays in memory."""

from __future__ import annotations

import dataclasses
import gc
import weakref

import numpy as np
import pytest

from rnnx.primitives import tracked
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.reference import Conv1D, Input, Network, Node, SimpleRNN
from rnnx.rounding import decisions
from rnnx.rounding import row_parts as parts
from rnnx.rounding.decisions import decide
from rnnx.rounding.row_parts import count_row, row_parts, take_rows
from tests.rounding.test_decisions import IDS, NETWORKS

WIDE = np.concatenate([np.roll(IDS, by, axis=1) for by in range(4)])  # 12 rows of 6 ids


@pytest.mark.parametrize(("rows", "time"), [(0, 5), (1, 100), (7, 10), (8, 3), (118, 600), (3, 40_000)])
def test_parts_cover_all_rows_once(rows: int, time: int) -> None:
    found = row_parts(NETWORKS["tanh"], {"ids": np.zeros((rows, time), np.int32)})
    assert [row for part in found for row in range(rows)[part]] == list(range(rows))
    longest = max(part.stop - part.start for part in found)
    assert longest * time <= parts._MOST_POSITIONS + time


def test_rows_of_many_numbers_are_split_further() -> None:
    """Each row has 8 steps of 100,000 numbers and 3 states."""
    rnn = SimpleRNN(np.zeros((100_000, 3)), np.zeros((3, 3)), np.zeros(3), "tanh", return_sequences=True)
    network = Network([Node("rnn", rnn, ("x",))], (Input("x", "numbers", (None, 100_000)),))
    inputs = {"x": np.zeros((30, 8, 100_000), np.float32)}
    assert count_row(network, inputs) == 8 * (100_000 + 5 * 3)
    found = row_parts(network, inputs)
    assert [part.stop - part.start for part in found] == [10, 10, 10]


def test_the_windows_of_a_convolution_count() -> None:
    network = Network(
        [Node("values", Conv1D(np.zeros((3, 2, 5)), np.zeros(5)), ("x",))], (Input("x", "numbers", (None, 2)),)
    )
    inputs = {"x": np.zeros((1, 10, 2), np.float32)}
    assert count_row(network, inputs) == 10 * 2 + 8 * 5 + 8 * 3 * 2


def test_rows_whose_positions_are_joined_are_taken_together() -> None:
    values = np.arange(12).reshape(6, 2)  # three rows of two positions
    assert take_rows(values, slice(1, 3), 3).tolist() == values[2:].tolist()


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_parts_give_the_decisions_of_the_whole_batch(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = decide(network, WIDE).values()
    monkeypatch.setattr(parts, "_MOST_POSITIONS", 12)  # two rows
    (joined,) = decide(network, WIDE).values()
    for field in dataclasses.fields(whole):
        expected, actual = getattr(whole, field.name), getattr(joined, field.name)
        if field.name == "head":
            assert actual == expected
        elif np.issubdtype(expected.dtype, np.floating):
            assert actual == pytest.approx(expected, rel=1e-12)
        else:
            assert np.array_equal(actual, expected)


def test_a_wrong_state_in_the_last_part_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    network = NETWORKS["tanh"]
    tensors = network.forward(WIDE)
    states = {
        name: layer.states(layer.in_order(tensors[next(n for n in network.nodes if n.name == name).inputs[0]]))
        for name, layer in network.recurrent_nodes.items()
    }
    monkeypatch.setattr(parts, "_MOST_POSITIONS", 12)
    batch = ProbeBatch(WIDE, tuple(f"row {i}" for i in range(len(WIDE))))
    expected = decide(network, WIDE)

    def compare() -> dict[str, tuple[bool, str]]:
        answers = {name: decision.values.astype(np.float32) for name, decision in expected.items()}
        outputs = Outputs(answers, {name: values.astype(np.float32) for name, values in states.items()})
        report = compare_runtime("here", network, [batch], [outputs], [expected])
        return {layer.layer: (layer.passed, layer.probe) for layer in report.layers}

    assert all(passed for passed, _ in compare().values())
    states["first"][11, 4, 2] += 1e-3
    assert compare()["first"] == (False, "row 11")


def test_nothing_of_a_batch_stays_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the collector of cycles, since it comes late, and these arrays are large."""
    traces: list[weakref.ref[tracked.Trace]] = []
    begin = tracked.Trace.__init__

    def watched(self: tracked.Trace, **settings: bool) -> None:
        begin(self, **settings)  # type: ignore[arg-type]
        traces.append(weakref.ref(self))

    monkeypatch.setattr(tracked.Trace, "__init__", watched)
    gc.disable()
    try:
        for network in NETWORKS.values():
            decisions.decide(network, IDS)
        assert len(traces) > 20
        assert [trace for trace in traces if trace() is not None] == []
    finally:
        gc.enable()
