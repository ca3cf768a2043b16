"""Draws `.onnx` files as a stranger could make them.

A valid file has its bytes changed, or is parsed, changed in its structure and written again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import onnx
from google.protobuf.message import DecodeError
from hypothesis import strategies as st
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto

from rnnx.bundle.metadata import METADATA_KEY
from rnnx.errors import ModelError
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import DIGEST_KEY, EVIDENCE_KEY, evidence_digest
from tests.fuzz.mutations import NASTY_BYTES, edited_json, mangled, texts

_OPERATORS = (
    "Identity", "Loop", "If", "Scan", "RNN", "LSTM", "GRU", "Gather", "Reshape", "Expand", "Tile", "ConstantOfShape",
    "Range", "Pad", "Concat", "Split", "Squeeze", "Unsqueeze", "MatMul", "Gemm", "Add", "Div", "Mod", "Cast", "Slice",
    "Transpose", "NonZero", "CumSum", "Where", "ScatterND", "Resize", "Conv", "Einsum", "TopK", "OneHot", "Softmax",
    "ReduceSum", "Constant", "RandomUniform", "Bernoulli", "StringNormalizer", "ReverseSequence", "SequenceAt",
    "Optional", "Unknown", "",
)  # fmt: skip
_SIZES = (0, -1, 1, 2, 3, 7, 255, 2**16, 2**31 - 1, 2**31, 2**40, 2**62, -(2**63))
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "evil", "../x")
_FLOATS = (0.0, -1.0, 1e30, float("nan"), float("inf"), float("-inf"), 1e-40)

Change = Callable[[st.DrawFn, ModelProto], None]


def _graph(draw: st.DrawFn, model: ModelProto) -> GraphProto:
    """Returns the main graph, or sometimes a graph nested in it."""
    inner = [a.g for node in model.graph.node for a in node.attribute if a.type == AttributeProto.GRAPH]
    return draw(st.sampled_from(inner)) if inner and draw(st.integers(0, 2)) == 0 else model.graph


def _node(draw: st.DrawFn, model: ModelProto) -> NodeProto | None:
    nodes = _graph(draw, model).node
    return nodes[draw(st.integers(0, len(nodes) - 1))] if nodes else None


def _value(draw: st.DrawFn, model: ModelProto) -> str:
    """Draws a name that a value in the graph has, or an unusual one."""
    graph = model.graph
    names = {name for node in graph.node for name in node.output} | {tensor.name for tensor in graph.initializer}
    return draw(st.one_of(st.sampled_from(sorted(names) or [""]), texts)).encode("utf-8", "replace").decode()


def _change_operator(draw: st.DrawFn, model: ModelProto) -> None:
    if node := _node(draw, model):
        node.op_type = draw(st.sampled_from(_OPERATORS))


def _change_domain(draw: st.DrawFn, model: ModelProto) -> None:
    domain = draw(st.sampled_from(_DOMAINS))
    if node := _node(draw, model):
        node.domain = domain
    if draw(st.booleans()):
        model.opset_import.add(domain=domain, version=draw(st.sampled_from((0, 1, 13, 999))))


def _change_version(draw: st.DrawFn, model: ModelProto) -> None:
    model.opset_import[0].version = draw(st.sampled_from((0, -1, 1, 7, 12, 14, 24, 999, 2**40)))
    if draw(st.booleans()):
        model.ir_version = draw(st.sampled_from((0, -1, 3, 9, 999, 2**40)))


def _change_edges(draw: st.DrawFn, model: ModelProto) -> None:
    if node := _node(draw, model):
        names = node.input if draw(st.booleans()) else node.output
        if names and draw(st.integers(0, 3)):
            names[draw(st.integers(0, len(names) - 1))] = _value(draw, model)
        elif names and draw(st.booleans()):
            del names[-1]
        else:
            names.append(_value(draw, model))


def _change_nodes(draw: st.DrawFn, model: ModelProto) -> None:
    nodes = _graph(draw, model).node
    if not nodes:
        return
    i, how = draw(st.integers(0, len(nodes) - 1)), draw(st.integers(0, 2))
    if how == 0:
        del nodes[i]
    elif how == 1:
        nodes.add().CopyFrom(nodes[i])
    else:
        new = nodes.add(op_type=draw(st.sampled_from(_OPERATORS)))
        new.input.extend(_value(draw, model) for _ in range(draw(st.integers(0, 3))))
        new.output.append(draw(st.sampled_from(("new", "probs", "ids", ""))))


def _change_attribute(draw: st.DrawFn, model: ModelProto) -> None:
    node = _node(draw, model)
    if node is None:
        return
    how = draw(st.integers(0, 4))
    if how == 0 or not node.attribute:
        name = draw(
            st.sampled_from(
                (
                    "hidden_size",
                    "direction",
                    "axis",
                    "to",
                    "perm",
                    "clip",
                    "activations",
                    "layout",
                    "num_scan_inputs",
                    "x",
                )
            )
        )
        node.attribute.add(name=name, type=AttributeProto.INT, i=draw(st.sampled_from(_SIZES)))
        return
    attribute = node.attribute[draw(st.integers(0, len(node.attribute) - 1))]
    if how == 1:
        node.attribute.remove(attribute)
    elif how == 2:
        attribute.type = draw(st.integers(0, 14))
    else:
        attribute.i = draw(st.sampled_from(_SIZES))
        attribute.f = draw(st.sampled_from(_FLOATS))
        attribute.s = draw(
            st.sampled_from((b"", b"reverse", b"bidirectional", b"forward", b"Tanh", b"\xff", b"A" * 3000))
        )
        if attribute.ints:
            attribute.ints[draw(st.integers(0, len(attribute.ints) - 1))] = draw(st.sampled_from(_SIZES))
        if attribute.strings:
            attribute.strings[0] = draw(st.sampled_from((b"", b"Relu", b"Affine", b"Unknown", b"\xff")))


def _change_tensor(draw: st.DrawFn, model: ModelProto) -> None:
    tensors = _graph(draw, model).initializer or model.graph.initializer
    if not tensors:
        return
    tensor = tensors[draw(st.integers(0, len(tensors) - 1))]
    how = draw(st.integers(0, 7))
    if how == 0 and tensor.dims:
        tensor.dims[draw(st.integers(0, len(tensor.dims) - 1))] = draw(st.sampled_from(_SIZES))
    elif how == 1:
        tensor.dims.append(draw(st.sampled_from(_SIZES)))
    elif how == 2:
        tensor.data_type = draw(st.integers(0, 30))
    elif how == 3:
        tensor.raw_data = draw(mangled(tensor.raw_data))
    elif how == 4:
        tensor.data_location = TensorProto.EXTERNAL
        where = ("../../secret.txt", "/etc/passwd", "weights.bin", "", "*/_ORT_MEM_ADDR_/*")
        tensor.external_data.add(key="location", value=draw(st.sampled_from(where)))
        tensor.external_data.add(key="offset", value=draw(st.sampled_from(("0", "-1", "99999999999", "x"))))
        tensor.ClearField("raw_data")
    elif how == 5:
        tensor.name = _value(draw, model)
    elif how == 6:
        tensors.remove(tensor)
    else:
        tensor.float_data.extend([draw(st.sampled_from(_FLOATS))] * draw(st.sampled_from((1, 3, 100))))


def _change_ports(draw: st.DrawFn, model: ModelProto) -> None:
    graph = _graph(draw, model)
    ports = graph.input if draw(st.booleans()) else graph.output
    how = draw(st.integers(0, 4))
    if not ports or how == 0:
        ports.add(name=_value(draw, model)).type.tensor_type.elem_type = draw(st.integers(0, 20))
        return
    port = ports[draw(st.integers(0, len(ports) - 1))]
    if how == 1:
        ports.remove(port)
    elif how == 2:
        port.name = _value(draw, model)
    elif how == 3:
        port.type.tensor_type.elem_type = draw(st.integers(0, 30))
    elif port.type.tensor_type.shape.dim:
        port.type.tensor_type.shape.dim[-1].dim_value = draw(st.sampled_from(_SIZES))
    else:
        port.type.tensor_type.shape.dim.add().dim_value = draw(st.sampled_from(_SIZES))


def _add_loop(draw: st.DrawFn, model: ModelProto) -> None:
    """Adds a loop that runs once or practically forever."""
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["on"], ["still"])],
        "body",
        [
            onnx.helper.make_tensor_value_info("i", TensorProto.INT64, []),
            onnx.helper.make_tensor_value_info("on", TensorProto.BOOL, []),
        ],
        [onnx.helper.make_tensor_value_info("still", TensorProto.BOOL, [])],
    )
    times = onnx.helper.make_tensor("times", TensorProto.INT64, [], [draw(st.sampled_from((1, 2**62)))])
    forever = onnx.helper.make_tensor("forever", TensorProto.BOOL, [], [True])
    model.graph.initializer.extend([times, forever])
    model.graph.node.insert(0, onnx.helper.make_node("Loop", ["times", "forever"], [], body=body))


def _add_function(draw: st.DrawFn, model: ModelProto) -> None:
    name = draw(st.sampled_from(("F", "RNN", "Identity")))
    inner = onnx.helper.make_node(name, ["a"], ["b"], domain="own")
    model.functions.append(
        onnx.helper.make_function("own", name, ["a"], ["b"], [inner], [onnx.helper.make_opsetid("own", 1)])
    )
    model.opset_import.add(domain="own", version=1)
    if node := _node(draw, model):
        node.domain, node.op_type = "own", name


def _nest(draw: st.DrawFn, model: ModelProto) -> None:
    """Nests graphs in graphs, sometimes deeper than protobuf reads."""
    depth = draw(st.sampled_from((1, 3, 20, 40)))
    inner = GraphProto(name="inner")
    for _ in range(depth):
        node = NodeProto(op_type="If", input=["on"], output=["out"])
        node.attribute.append(AttributeProto(name="then_branch", type=AttributeProto.GRAPH, g=inner))
        try:
            inner = GraphProto(name="outer", node=[node])
        except DecodeError:  # deeper than protobuf reads
            break
    model.graph.node.add(op_type="If", input=["on"], output=["out"]).attribute.add(
        name="then_branch", type=AttributeProto.GRAPH
    ).g.CopyFrom(inner)


_CHANGES: tuple[Change, ...] = (
    _change_operator, _change_domain, _change_version, _change_edges, _change_edges, _change_nodes, _change_nodes,
    _change_attribute, _change_attribute, _change_tensor, _change_tensor, _change_tensor, _change_ports, _add_loop,
    _add_function, _nest,
)  # fmt: skip


@st.composite
def changed_structure(draw: st.DrawFn, data: bytes) -> bytes:
    """Draws a file with some changes to its graph; its digest is sometimes updated."""
    model = ModelProto.FromString(data)
    for change in draw(st.lists(st.sampled_from(_CHANGES), min_size=1, max_size=3)):
        change(draw, model)
    changed: bytes = model.SerializeToString()
    return sealed(changed) if draw(st.booleans()) else changed


@st.composite
def changed_metadata(draw: st.DrawFn, data: bytes) -> bytes:
    """Draws a file with other metadata: for applications, the evidence, its recipe of the states, or any other."""
    model = ModelProto.FromString(data)
    properties = {entry.key: entry for entry in model.metadata_props}
    how = draw(st.integers(0, 9))
    if how == 0:
        entry = model.metadata_props.add(key=draw(st.sampled_from((METADATA_KEY, EVIDENCE_KEY, DIGEST_KEY, "x"))))
        entry.value = draw(texts).encode("utf-8", "replace").decode()
    elif how == 1:
        model.metadata_props.remove(draw(st.sampled_from(list(properties.values()))))
    elif how == 2:
        evidence = json.loads(properties[EVIDENCE_KEY].value)
        extra = draw(mangled(base64.b64decode(evidence["states"]["extra"])))
        evidence["states"]["extra"] = base64.b64encode(extra).decode()
        properties[EVIDENCE_KEY].value = json.dumps(evidence)
    else:
        entry = properties[METADATA_KEY if how < 5 else EVIDENCE_KEY]
        edited = draw(edited_json(json.loads(entry.value)))
        entry.value = edited.decode("utf-8", "replace")
    return sealed(model.SerializeToString())


def sealed(data: bytes) -> bytes:
    """Updates the digest of a file, even if its content makes no sense; returns the file unchanged if that fails."""
    try:
        light = parse_model(data)
        digest = evidence_digest(read_properties(light), light)
        model = ModelProto.FromString(data)
    except (ModelError, DecodeError):  # the test shows what a command says about such a file
        return data
    for entry in model.metadata_props:
        if entry.key == DIGEST_KEY:
            entry.value = digest
    sealed_data: bytes = model.SerializeToString()
    return sealed_data


@st.composite
def other_bytes(draw: st.DrawFn, data: bytes, other: bytes) -> bytes:
    """Draws a file with bytes flipped, cut, inserted or taken from another file, or without any such change."""
    how = draw(st.integers(0, 9))
    if how == 0:
        return draw(st.one_of(st.binary(max_size=60), st.sampled_from(NASTY_BYTES), st.just(other)))
    if how == 1:
        start, size, place = (draw(st.integers(0, len(other))) for _ in range(3))
        return data[:place] + other[start : start + size] + data[place:]
    changed = draw(mangled(data))
    return sealed(changed) if draw(st.booleans()) else changed
