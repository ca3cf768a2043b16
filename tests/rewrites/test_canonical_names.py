"""Tests that a graph gets the same names and order, whichever of its independent nodes comes first."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnx.rewrites.canonical_names import make_canonical
from tests.rewrites.graphs import run

FLOAT = onnx.TensorProto.FLOAT


def build(first: str, second: str, constant: str, counter: int, *, is_turned: bool) -> onnx.ModelProto:
    """Builds (x + 1) * W + (x + 1) * (x - 1), with names and an order that tf2onnx could have chosen."""
    nodes = [
        helper.make_node("Add", ["x", constant], [f"{first}:0"], name=first),
        helper.make_node("Sub", ["x", constant], [f"left__{counter}:0"], name=f"left__{counter}"),
        helper.make_node("MatMul", [f"{first}:0", "dense/ReadVariableOp:0"], ["dense/MatMul:0"], name="dense/MatMul"),
        helper.make_node("Mul", [f"{first}:0", f"left__{counter}:0"], [f"{second}:0"], name=second),
    ]
    if is_turned:
        nodes = [nodes[i] for i in (1, 0, 3, 2)]
    nodes.append(helper.make_node("Add", ["dense/MatMul:0", f"{second}:0"], ["y"], name="end"))
    weights = numpy_helper.from_array(np.arange(9, dtype=np.float32).reshape(3, 3), "dense/ReadVariableOp:0")
    tensors = [weights, numpy_helper.from_array(np.array(1, np.float32), constant)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["batch", 3])],
        [helper.make_tensor_value_info("y", FLOAT, ["batch", 3])],
        tensors[:: -1 if is_turned else 1],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_the_order_and_the_names_follow_from_what_is_computed() -> None:
    """Two nodes that were merged have the name of either, and a counter is another one in every run."""
    one = build("forward/x", "product__17", "const_one__3", 5, is_turned=False)
    other = build("backward/x", "product__4", "time:0", 9, is_turned=True)
    given = {"x": np.ones((2, 3), np.float32)}
    expected = run(one, **given)
    make_canonical(one.graph)
    make_canonical(other.graph)
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)
    onnx.checker.check_model(one, full_check=True)
    np.testing.assert_array_equal(run(one, **given), expected)
    names = [tensor.name for tensor in one.graph.initializer]
    assert names == ["dense/ReadVariableOp:0", "float32_1.0_scalar"]
    assert [node.name for node in one.graph.node] == ["Add__0", "dense/MatMul", "left__0", "product__0", "end"]
