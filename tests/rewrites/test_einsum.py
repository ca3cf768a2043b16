"""Tests that each Einsum becomes a product of matrices: the same numbers, and the weights in Keras's order."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnx.rewrites.einsum import replace_einsums
from rnnx.runtime.session import Session

pytestmark = pytest.mark.train

SIZES = {"a": 2, "b": 5, "c": 4, "d": 3, "e": 6, "s": 7}


def draw(letters: str) -> np.ndarray:
    rng = np.random.default_rng(len(letters))
    return rng.normal(size=[SIZES[letter] for letter in letters]).astype(np.float32)


def model_of(equation: str, *, has_weights: bool) -> onnx.ModelProto:
    operands, _, result = equation.partition("->")
    x, y = operands.split(",")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * len(letters))
        for name, letters in (("x", x), ("y", y), ("z", result))
    ]
    node = helper.make_node("Einsum", ["x", "y"], ["z"], name="z", equation=equation)
    weights = [numpy_helper.from_array(draw(y), "y")] if has_weights else []
    graph = helper.make_graph([node], "g", ends[: 1 if has_weights else 2], ends[2:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize(
    ("equation", "has_weights"),
    [
        ("abc,cde->abde", True),
        ("abcd,cde->abe", True),
        ("abc,c->ab", True),
        ("abc,ec->abe", True),
        ("abc,bd->adc", True),
        ("abc,cd->adb", True),
        ("abc,cde->adeb", True),
        ("abcd,ascd->acbs", False),
        ("ascd,abcd->acbs", False),
        ("acbs,ascd->abcd", False),
        ("abc,ac->ab", False),
        ("ab,abc->ac", False),
        ("ab,ac->abc", False),
        ("abc,abc->ac", False),
        ("abc,abd->adc", False),
        ("abc,abc->abc", False),
    ],
)
def test_an_einsum_becomes_a_product(equation: str, *, has_weights: bool) -> None:
    replaced = replace_einsums(model_of(equation, has_weights=has_weights))
    onnx.checker.check_model(replaced, full_check=True)
    operators = [node.op_type for node in replaced.graph.node]
    assert "Einsum" not in operators
    assert operators.count("MatMul") == 1
    x, y = (draw(letters) for letters in equation.partition("->")[0].split(","))
    given = {"x": x} if has_weights else {"x": x, "y": y}
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run_by_name(given).values()
    expected = np.einsum(equation, x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(expected, actual, rtol=0, atol=1e-5)
    if has_weights:
        stored = [numpy_helper.to_array(tensor) for tensor in replaced.graph.initializer]
        matrix = y if equation != "abc,ec->abe" else y.T
        assert any(np.array_equal(values.ravel(), matrix.ravel()) and values.ndim == 2 for values in stored)


@pytest.mark.parametrize("equation", ["abc,c->abc", "abc,b->abc", "...c,cd->...d"])
def test_an_einsum_of_weights_of_each_element_or_with_an_ellipsis_is_replaced(equation: str) -> None:
    model = model_of(equation.replace("...", "ab"), has_weights=True)
    model.graph.node[0].attribute[0].s = equation.encode()
    replaced = replace_einsums(model)
    assert [node.op_type for node in replaced.graph.node] == ["Mul" if "..." not in equation else "MatMul"]
    x, y = (draw(letters) for letters in equation.replace("...", "ab").partition("->")[0].split(","))
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run_by_name({"x": x}).values()
    np.testing.assert_allclose(np.einsum(equation, x, y), actual, rtol=0, atol=1e-5)


def test_weights_of_each_row_become_a_product_of_rows() -> None:
    replaced = replace_einsums(model_of("abc,abc->ab", has_weights=True))
    assert "Einsum" not in [node.op_type for node in replaced.graph.node]
    (actual,) = Session(replaced.SerializeToString(), device="cpu").run_by_name({"x": draw("abc") + 1}).values()
    np.testing.assert_allclose(np.einsum("abc,abc->ab", draw("abc") + 1, draw("abc")), actual, rtol=0, atol=1e-5)


def test_another_einsum_is_left_as_it_is() -> None:
    replaced = replace_einsums(model_of("abc,abd->abd", has_weights=True))
    assert [node.op_type for node in replaced.graph.node] == ["Einsum"]


def test_a_graph_without_einsum_is_not_changed() -> None:
    model = model_of("abc,cde->abde", has_weights=False)
    model.graph.node[0].CopyFrom(helper.make_node("Add", ["x", "y"], ["z"], name="z"))
    assert replace_einsums(model).SerializeToString() == model.SerializeToString()
