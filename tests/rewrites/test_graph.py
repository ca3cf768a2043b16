"""Tests a graph that is being rewritten: matching, adding, replacing, and the removal of dead nodes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from rnnx.onnx_file.graph_builder import TO_THE_END
from rnnx.rewrites.graph import Graph, Op, Pattern, Var
from tests.rewrites.graphs import check, op_types, parse, run

pytestmark = pytest.mark.train

F = np.float32
X = np.arange(6, dtype=F).reshape(2, 3)
SUM = """g (float[2, 3] x, float[2, 3] z) => (float[2, 3] y) {
    a = Neg (x)
    same = Identity (a)
    b = Add (z, same)
    y = Mul (b, x)
}"""


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (Var("all"), {"all": "y"}),
        (Op("Mul", Op("Add", Op("Neg", Var("p")), Var("q")), Var("p")), {"p": "x", "q": "z"}),
        (Op("Mul", Var("p"), Op("Add", Var("q"), Op("Neg", Var("p")))), {"p": "x", "q": "z"}),
        (Op("Mul", Op("Add")), {}),  # further inputs may be anything
        (Op("Mul", Op("Add", Var("p"), Op("Neg", Var("p"))), Var("p")), None),  # one name, two values
        (Op("Mul", Op("Sub", Var("p"), Var("q")), Var("r")), None),
        (Op("Mul", Var("p"), Var("q"), Var("r")), None),
    ],
)
def test_a_pattern_matches_through_identities_and_in_either_order(
    pattern: Pattern, expected: dict[str, str] | None
) -> None:
    assert Graph(parse(SUM).graph).match("y", pattern) == expected


def test_the_inputs_of_an_operator_that_does_not_commute_keep_their_order() -> None:
    graph = Graph(parse("g (float[2] x, float[2] z) => (float[2] y) { a = Neg (x) y = Sub (a, z) }").graph)
    assert graph.match("y", Op("Sub", Op("Neg", Var("p")), Var("q"))) == {"p": "x", "q": "z"}
    assert graph.match("y", Op("Sub", Var("q"), Op("Neg", Var("p")))) is None


def test_a_shared_constant_is_added_once() -> None:
    graph = Graph(parse("g (float[2] x) => (float[2] y) { y = Identity (x) }").graph)
    names = [graph.shared(7), graph.shared(7), graph.shared([7]), graph.shared(7, np.float32), graph.shared([0, 7])]
    assert names == ["int32_7_scalar", "int32_7_scalar", "int64_7", "float32_7.0_scalar", "int64_0_7"]
    stored = {name: np.asarray(graph.constant(name)) for name in names}
    assert [(array.dtype.name, array.shape) for array in stored.values()] == [
        ("int32", ()),
        ("int64", (1,)),
        ("float32", ()),
        ("int64", (2,)),
    ]
    assert len(graph.proto.initializer) == len(stored)


def test_a_slice_takes_bounds_by_axis() -> None:
    model = parse("g (float[2, 3] x) => (float[r, c] y) { y = Identity (part) }")
    Graph(model.graph).slice("x", "part", {0: (1, TO_THE_END), 1: (0, -1)})
    graph = Graph(model.graph)
    graph.clean()
    np.testing.assert_array_equal(X[1:, :-1], run(model, x=X)[0])


IF = """g (float[2, 3] x, bool c) => (float[2, 3] y) {
    a = Neg (x)
    y = If (c) <
        then_branch = t () => (float[2, 3] u) { u = Exp (a) },
        else_branch = e () => (float[2, 3] v) { v = Abs (a) }
    >
}"""


def test_all_readers_of_a_replaced_value_read_the_new_one_in_bodies_too() -> None:
    model = parse(IF)
    graph = Graph(model.graph)
    graph.replace("a", graph.add("Sqrt", ["x"], "root"))
    graph.clean()
    assert op_types(model) == ["Sqrt", "If"]
    for chosen, function in ((True, np.exp), (False, np.abs)):
        np.testing.assert_allclose(function(np.sqrt(X)), run(model, x=X, c=np.array(chosen))[0], rtol=1e-6)


def test_a_replaced_output_of_the_graph_keeps_its_name() -> None:
    model = parse(SUM)
    graph = Graph(model.graph)
    graph.replace("y", graph.add("Sub", ["x", "z"], "difference"))
    graph.clean()
    assert op_types(model) == ["Sub", "Identity"]
    np.testing.assert_array_equal(X - 1, run(model, x=X, z=np.ones_like(X))[0])


def test_a_new_node_takes_the_name_of_a_renamed_one_and_its_readers() -> None:
    model = parse(SUM)
    graph = Graph(model.graph)
    graph.rename("a", "before")
    graph.add("Abs", ["before"], "a")
    graph.clean()
    np.testing.assert_array_equal((np.abs(X) + 1) * X, run(model, x=X, z=np.ones_like(X))[0])


def test_a_new_node_takes_the_name_of_a_removed_constant() -> None:
    model = parse("g (float[2, 3] x) => (float[2, 3] y) { y = Add (x, c) }", c=F(1))
    graph = Graph(model.graph)
    graph.remove_constant("c")
    assert graph.constant("c") is None
    graph.add("Neg", [graph.shared(4.0, F)], "c")
    graph.clean()
    assert op_types(model) == ["Neg", "Add"]
    np.testing.assert_array_equal(X - 4, run(model, x=X)[0])


def test_nodes_that_only_a_dead_body_reads_are_removed() -> None:
    """Version 1.1.0 of onnx-ir keeps such nodes, which is one reason why rnnx has its own graph."""
    model = parse(IF)
    graph = Graph(model.graph)
    graph.add_constant("unread", np.zeros(3, F))
    graph.replace("y", graph.add("Exp", ["x"], "exp"))
    graph.clean()
    assert op_types(model) == ["Exp", "Identity"]
    assert not model.graph.initializer
    np.testing.assert_allclose(np.exp(X), run(model, x=X, c=np.array(True))[0], rtol=1e-6)


def test_nodes_that_a_live_body_reads_are_kept() -> None:
    model = parse(IF)
    Graph(model.graph).clean()
    assert model.SerializeToString() == parse(IF).SerializeToString()


@given(st.data())
def test_nodes_are_sorted_and_sorted_nodes_are_not_moved(data: st.DataObject) -> None:
    """The checker refuses a graph in which a node comes before one that it reads."""
    count = data.draw(st.integers(1, 8))
    nodes = []
    for i in range(count):
        read = [data.draw(st.sampled_from(["x", *(f"v{j}" for j in range(i))])) for _ in range(2)]
        nodes.append(helper.make_node("Add", read, [f"v{i}"], name=f"v{i}"))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", f"v{count - 1}")]
    shuffled = helper.make_graph(data.draw(st.permutations(nodes)), "g", ends[:1], ends[1:])
    model = helper.make_model(shuffled, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    Graph(model.graph).clean()
    check(model)
    assert {node.name for node in model.graph.node} == _needed(nodes, f"v{count - 1}")
    before = model.SerializeToString()
    Graph(model.graph).clean()
    assert model.SerializeToString() == before


def _needed(nodes: list[onnx.NodeProto], output: str) -> set[str]:
    needed = {output}
    for node in reversed(nodes):
        if node.output[0] in needed:
            needed |= set(node.input)
    return needed - {"x"}


def test_an_output_with_the_name_of_a_node_gets_a_node_of_another_name() -> None:
    model = parse("g (float[n] x) => (float[n] rnn) { rnn = Neg (x) twice = Add (x, x) }")
    graph = Graph(model.graph)
    graph.proto.node[1].name = "rnn"  # as a recurrence has the name of its layer
    graph.replace("rnn", "twice")
    graph.clean()
    names = [node.name for node in graph.proto.node]
    assert len(set(names)) == len(names) == 2
    assert [output.name for output in graph.proto.output] == ["rnn"]
