"""Tests that a folded BatchNormalization gets its four weights back: operators, numbers, checker, refusal."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")

import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnx.errors import ModelError
from rnnx.rewrites.normalization import Statistics, restore_statistics
from rnnx.runtime.session import Session

pytestmark = pytest.mark.train

RNG = np.random.default_rng(0)
F = np.float32


def draw(count: int = 3) -> np.ndarray:
    return RNG.normal(size=count).astype(F)


def statistics(name: str = "norm", *, has_beta: bool = True, mean: np.ndarray | None = None) -> Statistics:
    mean = draw() if mean is None else mean
    return Statistics(name, mean, np.abs(draw()), draw(), draw() if has_beta else None, 1e-3)


def folded(*normalizations: Statistics, add: bool = True) -> onnx.ModelProto:
    """Returns a graph with one Mul and one Add of constants for each, as tf2onnx writes it."""
    nodes, constants, value = [], [], "x"
    for layer in normalizations:
        scale, offset, _ = layer.fold()
        names = [f"{layer.name}_{part}" for part in ("scale", "offset", "scaled", "shifted")]
        constants.append(numpy_helper.from_array(scale.astype(F)[None, None], names[0]))
        nodes.append(helper.make_node("Mul", [value, names[0]], [names[2]], name=names[2]))
        value = names[2]
        if add:
            constants.append(numpy_helper.from_array(offset.astype(F)[None, None], names[1]))
            nodes.append(helper.make_node("Add", [names[1], value], [names[3]], name=names[3]))
            value = names[3]
    nodes.append(helper.make_node("Identity", [value], ["y"]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "time", 3]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    (result,) = Session(model.SerializeToString(), device="cpu").run({"x": x})
    return np.asarray(result)


@pytest.mark.parametrize("has_beta", [True, False])
def test_the_file_holds_the_four_weights_and_computes_the_same(has_beta: bool) -> None:
    norm = statistics(has_beta=has_beta)
    model = folded(norm)
    restored = restore_statistics(model, [norm])
    onnx.checker.check_model(restored, full_check=True)
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in restored.graph.initializer}
    for part in ("mean", "variance", "gamma", *(["beta"] if has_beta else [])):
        np.testing.assert_array_equal(getattr(norm, part), held[f"norm.{part}"])
    assert "norm_scale" not in held
    operators = Counter(node.op_type for node in restored.graph.node)
    assert operators["Sqrt"] == operators["Reciprocal"] == 1
    x = RNG.normal(size=(2, 4, 3)).astype(F)
    np.testing.assert_allclose(run(model, x), run(restored, x), rtol=1e-5, atol=1e-6)


def test_each_of_two_normalizations_gets_its_own_weights() -> None:
    both = [statistics("first"), statistics("second")]
    restored = restore_statistics(folded(*both), both[::-1])
    x = RNG.normal(size=(1, 2, 3)).astype(F)
    np.testing.assert_allclose(run(folded(*both), x), run(restored, x), rtol=1e-5, atol=1e-6)


def test_without_an_offset_only_the_scale_is_restored() -> None:
    """In a layer that was never trained, TensorFlow leaves an Add of zeros out."""
    norm = statistics(has_beta=False, mean=np.zeros(3, F))
    restored = restore_statistics(folded(norm, add=False), [norm])
    assert Counter(node.op_type for node in restored.graph.node)["Add"] == 1  # of the epsilon
    x = RNG.normal(size=(1, 2, 3)).astype(F)
    np.testing.assert_allclose(run(folded(norm, add=False), x), run(restored, x), rtol=1e-6)


def test_a_missing_normalization_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="layer other: the constants of this BatchNormalization were not found"):
        restore_statistics(folded(statistics()), [statistics("other")])
    model = folded(statistics())
    assert restore_statistics(model, []).SerializeToString() == model.SerializeToString()


@pytest.mark.parametrize("is_last", [False, True])
def test_a_scale_in_a_product_is_moved_after_it(is_last: bool) -> None:
    """TensorFlow computes the normalization of x * exp(x) as (exp(x) s) x + t."""
    norm = statistics(has_beta=not is_last, mean=np.zeros(3, F) if is_last else None)
    model = folded(norm, add=not is_last)
    scaled, after = model.graph.node[0], model.graph.node[1]
    scaled.input[0] = "power"
    after.input[:] = ["whole" if name == scaled.output[0] else name for name in after.input]
    model.graph.node.insert(0, helper.make_node("Exp", ["x"], ["power"]))
    model.graph.node.insert(2, helper.make_node("Mul", [scaled.output[0], "x"], ["whole"]))
    x = RNG.normal(size=(2, 4, 3)).astype(F)
    expected = run(model, x)
    restored = restore_statistics(model, [norm])
    onnx.checker.check_model(restored, full_check=True)
    np.testing.assert_allclose(expected, run(restored, x), rtol=1e-5, atol=1e-6)
    products = [node for node in restored.graph.node if set(node.input) == {"power", "x"}]
    assert [node.op_type for node in products] == ["Mul"]


def test_the_weights_of_another_axis_keep_its_place() -> None:
    """The constants are (1, 3, 1): one number for each of three positions."""
    norm = statistics()
    model = folded(norm)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).reshape(1, 3, 1)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    x = RNG.normal(size=(2, 3, 3)).astype(F)
    restored = restore_statistics(model, [norm])
    np.testing.assert_allclose(run(model, x), run(restored, x), rtol=1e-5, atol=1e-6)
