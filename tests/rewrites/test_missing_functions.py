"""Tests the replacement of Erfc by Erf, of Expm1 by Exp and of Log1p by Log: operators, numbers, checker."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")

import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.missing_functions import replace_fills, replace_missing, write_split_sizes
from rnnx.runtime.session import Session

pytestmark = pytest.mark.train


def model_of(op_type: str) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op_type, ["x"], ["y"], name="node")], "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_erfc_becomes_one_minus_erf() -> None:
    replaced = replace_missing(model_of("Erfc"))
    onnx.checker.check_model(replaced, full_check=True)
    assert [node.op_type for node in replaced.graph.node] == ["Erf", "Sub"]
    x = np.linspace(-4, 4, 101).astype(np.float32)
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run({"x": x})
    np.testing.assert_allclose([math.erfc(v) for v in x], actual, rtol=0, atol=1e-6)


def test_log1p_becomes_a_logarithm() -> None:
    replaced = replace_missing(model_of("Log1p"))
    onnx.checker.check_model(replaced, full_check=True)
    assert [node.op_type for node in replaced.graph.node] == ["Add", "Log"]
    x = np.linspace(-0.9, 4, 101).astype(np.float32)
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run({"x": x})
    np.testing.assert_allclose(np.log1p(x), actual, rtol=0, atol=1e-6)


def test_expm1_becomes_a_power_minus_one() -> None:
    replaced = replace_missing(model_of("Expm1"))
    onnx.checker.check_model(replaced, full_check=True)
    assert [node.op_type for node in replaced.graph.node] == ["Exp", "Sub"]
    x = np.linspace(-4, 1, 101).astype(np.float32)
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run({"x": x})
    np.testing.assert_allclose(np.expm1(x), actual, rtol=0, atol=1e-6)


def test_a_graph_without_erfc_is_not_changed() -> None:
    assert replace_missing(model_of("Erf")).SerializeToString() == model_of("Erf").SerializeToString()


@pytest.mark.parametrize("value", [None, 1.0])
def test_a_filled_value_is_expanded(value: float | None) -> None:
    """Without a value, ConstantOfShape gives zeros."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["a", "b"]) for name in "xy"]
    given = {} if value is None else {"value": helper.make_tensor("value", TensorProto.FLOAT, [1], [value])}
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], name="shape"),
        helper.make_node("ConstantOfShape", ["shape"], ["y"], name="fill", **given),
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 13)], ir_version=8
    )
    replaced = replace_fills(model)
    onnx.checker.check_model(replaced, full_check=True)
    assert [node.op_type for node in replaced.graph.node] == ["Shape", "Expand"]
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run({"x": np.zeros((2, 3), np.float32)})
    np.testing.assert_array_equal(np.full((2, 3), value or 0.0), actual)


def test_two_splits_of_one_value_stay_two() -> None:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in "x"]
    halves, fourths = [f"half{i}" for i in range(2)], [f"fourth{i}" for i in range(4)]
    nodes = [helper.make_node("Split", ["x"], parts, axis=axis) for parts, axis in ((halves, -1), (fourths, 1))]
    nodes += [helper.make_node("Add", ["half1", "fourth2"], ["y"])]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 2])
    graph = helper.make_graph(nodes, "g", ends, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    written = write_split_sizes(model)
    onnx.checker.check_model(written, full_check=True)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    (actual,) = Session(written.SerializeToString(), device="cpu").run({"x": x})
    np.testing.assert_array_equal(x[:, 2:] + x[:, 2:3], actual)
