"""Tests the ids of a recurrence in the order of its loop: operators, numbers, checker."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.loop_ids import add_ids
from rnnx.rewrites.recurrence import Embedded
from tests.rewrites.graphs import op_types, parse, run

pytestmark = pytest.mark.train

IDS = np.arange(6, dtype=np.int32).reshape(2, 3)


@pytest.mark.parametrize(
    ("is_backwards", "operators", "expected"),
    [(False, ["Transpose"], IDS.T), (True, ["Transpose", "Slice"], IDS.T[::-1])],
)
def test_ids_are_read_in_the_order_of_the_loop(is_backwards: bool, operators: list[str], expected: np.ndarray) -> None:
    model = parse("g (int32[batch, time] ids) => (int32[time, batch] y) { y = Identity (loop) }")
    graph = Graph(model.graph)
    graph.replace("loop", add_ids(graph, "rnn", Embedded("table", "ids", is_backwards)))
    graph.clean()
    assert op_types(model) == [*operators, "Identity"]
    np.testing.assert_array_equal(expected, run(model, ids=IDS)[0])
