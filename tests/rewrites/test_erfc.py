"""Tests the replacement of Erfc by Erf: operators, numbers, checker."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")

import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.erfc import replace_erfc
from rnnx.runtime.session import Session

pytestmark = pytest.mark.train


def model_of(op_type: str) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op_type, ["x"], ["y"], name="node")], "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def test_erfc_becomes_one_minus_erf() -> None:
    replaced = replace_erfc(model_of("Erfc"))
    onnx.checker.check_model(replaced, full_check=True)
    assert [node.op_type for node in replaced.graph.node] == ["Erf", "Sub"]
    x = np.linspace(-4, 4, 101).astype(np.float32)
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run({"x": x})
    np.testing.assert_allclose([math.erfc(v) for v in x], actual, rtol=0, atol=1e-6)


def test_a_graph_without_erfc_is_not_changed() -> None:
    assert replace_erfc(model_of("Erf")).SerializeToString() == model_of("Erf").SerializeToString()
