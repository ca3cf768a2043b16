"""Tests the folding of W and b into a table: operators, numbers, checker."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

from rnnx.rewrites.folded_table import add_folded, add_folded_from_zero
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import Recurrence
from tests.rewrites.graphs import draw_weights, op_types, parse, run

pytestmark = pytest.mark.train

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
TEXT = "g (int32[n] ids) => (float[n, 4] y) { y = Gather (folded, ids) }"
ALL = np.arange(5, dtype=np.int32)


def recurrence(name: str = "rnn") -> Recurrence:
    kernel, recurrent_kernel, bias = draw_weights(3, 4)
    return Recurrence(name, "Tanh", "x", None, None, kernel, recurrent_kernel, bias, True, name, False)


def test_a_table_is_multiplied_by_w_and_b_is_added() -> None:
    model, r = parse(TEXT, table=TABLE), recurrence()
    graph = Graph(model.graph)
    graph.replace("folded", add_folded(graph, r, "table"))
    graph.clean()
    assert op_types(model) == ["MatMul", "Add", "Gather"]
    np.testing.assert_allclose(TABLE @ r.kernel + r.bias, run(model, ids=ALL)[0], rtol=0, atol=1e-6)


def test_the_row_of_id_0_is_zero_and_two_tables_of_one_width_share_it() -> None:
    model, r = parse(TEXT, table=TABLE), recurrence()
    graph = Graph(model.graph)
    graph.replace("folded", add_folded_from_zero(graph, r, "table"))
    add_folded_from_zero(graph, recurrence("other"), "table")
    assert [tensor.name for tensor in model.graph.initializer].count("zero_row_4") == 1
    graph.clean()
    assert op_types(model) == ["MatMul", "Add", "Slice", "Concat", "Gather"]
    expected = TABLE @ r.kernel + r.bias
    expected[0] = 0
    np.testing.assert_allclose(expected, run(model, ids=ALL)[0], rtol=0, atol=1e-6)
