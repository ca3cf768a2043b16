"""Tests the copies of a file that show its states and cuts."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnx.onnx_file.visible_states import StatesRecipe, make_recipe, with_states
from rnnx.runtime.session import Session

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 3, 8, 8)).astype(np.float32)


def convolution_and_scale() -> bytes:
    """Makes a convolution with a normalization after it, which onnxruntime fuses."""
    weights = {"W": RNG.normal(size=(4, 3, 3, 3)), "scale": RNG.normal(size=(1, 4, 1, 1))}
    nodes = [helper.make_node("Conv", ["x", "W"], ["image"]), helper.make_node("Mul", ["image", "scale"], ["values"])]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("values", TensorProto.FLOAT, ["batch", 4, 6, 6])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()],
    )
    opsets = [helper.make_opsetid("", 13)]
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def recipe_of_cuts() -> StatesRecipe:
    """Makes the recipe that shows the output of the convolution in Keras's order of axes."""
    extra = onnx.GraphProto()
    extra.node.append(helper.make_node("Transpose", ["image"], ["image.in_order"], perm=[0, 2, 3, 1]))
    return make_recipe({}, extra.SerializeToString(), {"convolution": "image.in_order"})


def test_a_copy_without_cuts_rounds_as_the_file() -> None:
    """A node that only a cut needs would keep onnxruntime from fusing the convolution."""
    file, recipe = convolution_and_scale(), recipe_of_cuts()
    copies = {is_cut: with_states(file, recipe if is_cut else recipe.without_cuts) for is_cut in (True, False)}
    types = {
        is_cut: [node.op_type for node in onnx.load_from_string(copy).graph.node] for is_cut, copy in copies.items()
    }
    assert types == {True: ["Conv", "Mul", "Transpose"], False: ["Conv", "Mul"]}
    (own,) = Session(file, device="cpu").run(X)
    (same,) = Session(copies[False], device="cpu").run(X)
    other, cut = Session(copies[True], device="cpu").run(X)
    np.testing.assert_array_equal(own, same)
    np.testing.assert_allclose(own, other, rtol=1e-5, atol=1e-5)
    assert cut.shape == (2, 6, 6, 4)


def test_a_chain_of_nodes_for_a_state_is_kept() -> None:
    extra = onnx.GraphProto()
    for source, result in (("image", "first"), ("first", "state"), ("first", "unread")):
        extra.node.append(helper.make_node("Identity", [source], [result]))
    copy = with_states(convolution_and_scale(), make_recipe({"rnn": "state"}, extra.SerializeToString()))
    assert [list(node.output) for node in onnx.load_from_string(copy).graph.node][2:] == [["first"], ["state"]]
